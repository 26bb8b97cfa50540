-- compatible with: 10
-- The schema of SQLite's steps 1 to 10. Times are microseconds since 1970, durations microseconds,
-- secrets sealed under the master key. Texts compare by their bytes, whatever the database's locale:
-- pages of lists must not change their order with the machine.

-- Numbers by which processes make identifiers; see `postgres_hints`.
CREATE SEQUENCE nodes MINVALUE 1 MAXVALUE 1023 CYCLE;

CREATE TABLE facts (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE instances (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL DEFAULT '',
    is_default BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX instances_name ON instances (name);
CREATE UNIQUE INDEX instances_default ON instances (is_default) WHERE is_default = 1;

CREATE TABLE instance_hosts (
    host TEXT COLLATE "C" PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL
);
CREATE INDEX instance_hosts_instance ON instance_hosts (instance_id, position);

-- Grows with every change of a target or an execution: routers are rebuilt when it has moved.
CREATE TABLE routing_revision (
    value BIGINT NOT NULL
);
INSERT INTO routing_revision (value) VALUES (0);

CREATE TABLE targets (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    folded_name TEXT COLLATE "C" NOT NULL,
    type BIGINT NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    timeout BIGINT NOT NULL,
    interrupt_on_error BIGINT NOT NULL,
    payload_type BIGINT NOT NULL,
    sealed_signing_keys BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- A deleted target stays, for the date that a second DeleteTarget answers.
    deleted_at BIGINT,
    PRIMARY KEY (instance_id, id)
);
-- A name of a thousand characters is longer than what an index of PostgreSQL takes.
CREATE UNIQUE INDEX targets_name ON targets (instance_id, md5(folded_name)) WHERE deleted_at IS NULL;
CREATE INDEX targets_created ON targets (instance_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX targets_changed ON targets (instance_id, changed_at, id) WHERE deleted_at IS NULL;

CREATE TABLE public_keys (
    instance_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    id BIGINT NOT NULL,
    pem BYTEA NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    is_active BIGINT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- A removed key stays, for the date of the last change of its target.
    removed_at BIGINT,
    PRIMARY KEY (instance_id, target_id, id)
);

CREATE TABLE target_policies (
    instance_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    -- JSON of what anybody may see.
    plain TEXT COLLATE "C" NOT NULL,
    -- JSON of header values, client key and proxy, sealed.
    sealed_secrets BYTEA NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, target_id)
);
CREATE TABLE paused_targets (
    instance_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    paused_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, target_id)
);

CREATE TABLE executions (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, id)
);
-- The list as it was set, deleted targets included: setting the same list again is no change.
CREATE TABLE execution_targets (
    instance_id TEXT COLLATE "C" NOT NULL,
    execution_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (instance_id, execution_id, position)
);
CREATE INDEX execution_targets_target ON execution_targets (instance_id, target_id);

CREATE TABLE accounts (
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    roles TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    secret_hash BYTEA,
    PRIMARY KEY (instance_id, id),
    UNIQUE (instance_id, name)
);
-- The public parts; nobody but the account has the private ones.
CREATE TABLE account_keys (
    id BIGINT PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    public_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX account_keys_account ON account_keys (instance_id, account_id);
CREATE TABLE tokens (
    id BIGINT PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    secret_hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_account ON tokens (instance_id, account_id);

-- What an instance signs with and publishes.
CREATE TABLE web_keys (
    id BIGINT PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    algorithm TEXT COLLATE "C" NOT NULL,
    rsa_bits BIGINT NOT NULL,
    state BIGINT NOT NULL,
    public_jwk TEXT COLLATE "C" NOT NULL,
    -- NULL once the key is removed; the row stays, for the date that a second DeleteWebKey answers.
    sealed_private_key BYTEA,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX web_keys_created ON web_keys (instance_id, created_at, id) WHERE state <> 4;
CREATE UNIQUE INDEX web_keys_active ON web_keys (instance_id) WHERE state = 2;

-- Kinds: 1 method, 2 function, 3 event type. Schema and example are JSON objects as text.
CREATE TABLE catalogue_entries (
    instance_id TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    schema TEXT COLLATE "C",
    example TEXT COLLATE "C",
    PRIMARY KEY (instance_id, kind, name)
);

CREATE TABLE events (
    number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    execution_id TEXT COLLATE "C",
    -- The bytes that are signed and sent, on every attempt the same.
    body BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    -- What it is about: type and id, unit separator between. Empty: nothing.
    aggregate TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX events_id ON events (instance_id, id);

CREATE TABLE deliveries (
    id BIGINT PRIMARY KEY,
    instance_id TEXT COLLATE "C" NOT NULL,
    event_number BIGINT NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    attempt_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- When it is to be attempted; NULL while claimed, finished, in a lane or waiting for another.
    due_at BIGINT,
    -- The same in a lane.
    held_due_at BIGINT,
    -- Who is attempting it; the owner's lease covers it.
    owner TEXT COLLATE "C",
    claimed_at BIGINT,
    finished_at BIGINT,
    -- The delivery in front of it, until that one lets it go.
    waits_for BIGINT,
    is_waited_for BIGINT NOT NULL DEFAULT 0,
    replay_of BIGINT,
    -- Set while a delivery stands in line behind earlier ones of its aggregate, or may be stood behind.
    aggregate TEXT COLLATE "C",
    -- The delivery in front of it in that line.
    behind BIGINT
) WITH (
    -- Every delivery is changed three times: what that leaves behind must not pile up before the
    -- queue, whatever the length of the log.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0.02
);
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_owner ON deliveries (owner, instance_id, target_id) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_waits_for ON deliveries (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX deliveries_event ON deliveries (event_number);
CREATE INDEX deliveries_target ON deliveries (instance_id, target_id, id);
CREATE INDEX deliveries_log ON deliveries (instance_id, id);
CREATE INDEX deliveries_dead ON deliveries (instance_id, state, id) WHERE state = 5;
CREATE INDEX deliveries_lane ON deliveries (instance_id, target_id, held_due_at, id)
    WHERE held_due_at IS NOT NULL AND behind IS NULL;
CREATE INDEX deliveries_line ON deliveries (instance_id, target_id, aggregate, event_number)
    WHERE aggregate IS NOT NULL;
CREATE INDEX deliveries_parked ON deliveries (instance_id, target_id)
    WHERE state = 5 AND aggregate IS NOT NULL;
CREATE INDEX deliveries_behind ON deliveries (behind) WHERE behind IS NOT NULL;
CREATE INDEX deliveries_open ON deliveries (instance_id, target_id, attempt_count, created_at)
    WHERE finished_at IS NULL;
CREATE INDEX deliveries_finished ON deliveries (state, finished_at, id)
    WHERE finished_at IS NOT NULL;

CREATE TABLE attempts (
    delivery_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    status_code BIGINT NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    excerpt BYTEA NOT NULL,
    PRIMARY KEY (delivery_id, number)
);

-- Which workers are alive. One lease covers all that a worker has claimed.
CREATE TABLE leases (
    owner TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

-- A lane is the queue of one target, where something holds it back or it would hold others back.
CREATE TABLE lanes (
    instance_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    is_paused BIGINT NOT NULL,
    max_concurrency BIGINT NOT NULL,
    rate_per_second DOUBLE PRECISION NOT NULL,
    is_ordered BIGINT NOT NULL,
    parks BIGINT NOT NULL,
    breaker_failures BIGINT NOT NULL,
    breaker_open_for BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    open_until BIGINT,
    tokens DOUBLE PRECISION NOT NULL,
    tokens_at BIGINT,
    ramp BIGINT NOT NULL,
    served_at BIGINT,
    -- When something can be claimed from it; NULL: not before something else has changed.
    ready_at BIGINT,
    -- Its order was switched on: up to which id deliveries have been lined up.
    lining_up_after BIGINT,
    -- Its order was switched off: 1 lets all lines go, 2 what waits behind dead deliveries.
    letting_go BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, target_id)
);
CREATE INDEX lanes_ready ON lanes (ready_at, instance_id, target_id) WHERE ready_at IS NOT NULL;
-- When deliveries were last claimed from the queue that all others share: it takes turns with lanes.
CREATE TABLE general_queue (served_at BIGINT NOT NULL);
INSERT INTO general_queue (served_at) VALUES (0);

-- What is settled and still in the log, up to the marks.
CREATE TABLE delivery_totals (
    instance_id TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (instance_id, target_id, state)
);
-- What was settled in each ten seconds of the last hour. Outcome 0: no attempt was made.
CREATE TABLE delivery_slots (
    instance_id TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (instance_id, slot, target_id, state, outcome)
);
CREATE INDEX delivery_slots_slot ON delivery_slots (slot);
-- Up to where each final state has been counted.
CREATE TABLE tally_marks (
    state BIGINT PRIMARY KEY,
    finished_at BIGINT NOT NULL,
    delivery_id BIGINT NOT NULL
);
INSERT INTO tally_marks (state, finished_at, delivery_id) VALUES
    (4, 0, 9223372036854775807), (5, 0, 9223372036854775807), (6, 0, 9223372036854775807);

-- Deliveries that were cancelled while they were attempted. Nearly always empty.
CREATE TABLE cancel_requests (
    delivery_id BIGINT PRIMARY KEY
);
-- Work that one process does at a time.
CREATE TABLE turns (
    name TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);
