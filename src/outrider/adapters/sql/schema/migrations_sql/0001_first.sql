-- Times are microseconds since 1970, durations microseconds, secrets sealed under the master key.

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Grows with every change of a target or an execution: routers are rebuilt when it has moved.
CREATE TABLE routing_revision (
    value INTEGER NOT NULL
);
INSERT INTO routing_revision (value) VALUES (0);

CREATE TABLE targets (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    type INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    timeout INTEGER NOT NULL,
    interrupt_on_error INTEGER NOT NULL,
    payload_type INTEGER NOT NULL,
    sealed_signing_keys BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- A deleted target stays, for the date that a second DeleteTarget answers.
    deleted_at INTEGER,
    PRIMARY KEY (instance_id, id)
);
CREATE UNIQUE INDEX targets_name ON targets (instance_id, folded_name) WHERE deleted_at IS NULL;
CREATE INDEX targets_created ON targets (instance_id, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE executions (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (instance_id, id)
);

-- The list as it was set, deleted targets included: setting the same list again is no change.
CREATE TABLE execution_targets (
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    PRIMARY KEY (instance_id, execution_id, position)
) WITHOUT ROWID;
CREATE INDEX execution_targets_target ON execution_targets (instance_id, target_id);

CREATE TABLE accounts (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    PRIMARY KEY (instance_id, id),
    UNIQUE (instance_id, name)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    secret_hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
);

CREATE TABLE event_types (
    instance_id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (instance_id, name)
) WITHOUT ROWID;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    execution_id TEXT,
    -- The bytes that are signed and sent, on every attempt the same.
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (instance_id, id);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    event_number INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    state INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    -- When it is to be attempted; NULL while claimed, finished or waiting for another delivery.
    due_at INTEGER,
    -- Who is attempting it; the owner's lease covers it.
    owner TEXT,
    claimed_at INTEGER,
    finished_at INTEGER,
    -- The delivery in front of it, until that one lets it go.
    waits_for INTEGER,
    is_waited_for INTEGER NOT NULL DEFAULT 0,
    replay_of INTEGER
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_owner ON deliveries (owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_waits_for ON deliveries (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX deliveries_event ON deliveries (event_number);
CREATE INDEX deliveries_target ON deliveries (instance_id, target_id, id);
CREATE INDEX deliveries_dead ON deliveries (instance_id, id) WHERE state = 5;

CREATE TABLE attempts (
    delivery_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    stage TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    error TEXT NOT NULL,
    excerpt BLOB NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

-- Which workers are alive. One lease covers all that a worker has claimed.
CREATE TABLE leases (
    owner TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
