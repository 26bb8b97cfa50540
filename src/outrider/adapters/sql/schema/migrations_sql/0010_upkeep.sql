-- Counting, forgetting and cancelling without reading the log.

-- The newest of an instance, without sorting all that it has.
CREATE INDEX deliveries_log ON deliveries (instance_id, id);
-- With the state, though it is always the same: else SQLite takes the index of all for as good.
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (instance_id, state, id) WHERE state = 5;
-- What is not settled, counted by target: PENDING has no attempt. The first of a target is the
-- oldest of those with as many attempts. The last column is what makes the index cover a query
-- that says `finished_at IS NULL`.
CREATE INDEX deliveries_open
    ON deliveries (instance_id, target_id, attempt_count, created_at, finished_at)
    WHERE finished_at IS NULL;
-- What is settled, in the order in which it is counted and forgotten.
CREATE INDEX deliveries_finished ON deliveries (state, finished_at, id)
    WHERE finished_at IS NOT NULL;

-- What is settled and still in the log, up to the marks.
CREATE TABLE delivery_totals (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    state INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (instance_id, target_id, state)
);
INSERT INTO delivery_totals (instance_id, target_id, state, count)
    SELECT instance_id, target_id, state, count(*) FROM deliveries
    WHERE finished_at IS NOT NULL GROUP BY instance_id, target_id, state;

-- What was settled in each ten seconds of the last hour. Outcome 0: no attempt was made.
CREATE TABLE delivery_slots (
    instance_id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    target_id TEXT NOT NULL,
    state INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (instance_id, slot, target_id, state, outcome)
);
CREATE INDEX delivery_slots_slot ON delivery_slots (slot);

-- Up to where each final state has been counted.
CREATE TABLE tally_marks (
    state INTEGER PRIMARY KEY,
    finished_at BIGINT NOT NULL,
    delivery_id BIGINT NOT NULL
);
INSERT INTO tally_marks (state, finished_at, delivery_id)
    SELECT 4, coalesce(max(finished_at), 0), 9223372036854775807 FROM deliveries WHERE state = 4;
INSERT INTO tally_marks (state, finished_at, delivery_id)
    SELECT 5, coalesce(max(finished_at), 0), 9223372036854775807 FROM deliveries WHERE state = 5;
INSERT INTO tally_marks (state, finished_at, delivery_id)
    SELECT 6, coalesce(max(finished_at), 0), 9223372036854775807 FROM deliveries WHERE state = 6;

-- Deliveries that were cancelled while they were attempted. Nearly always empty.
CREATE TABLE cancel_requests (
    delivery_id BIGINT PRIMARY KEY
);

-- Work that one process does at a time.
CREATE TABLE turns (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
