-- A lane is the queue of one target, where something holds it back or it would hold others back.
CREATE TABLE lanes (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    is_paused INTEGER NOT NULL,
    max_concurrency BIGINT NOT NULL,
    rate_per_second DOUBLE PRECISION NOT NULL,
    is_ordered INTEGER NOT NULL,
    parks INTEGER NOT NULL,
    breaker_failures BIGINT NOT NULL,
    breaker_open_for BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    open_until BIGINT,
    tokens DOUBLE PRECISION NOT NULL,
    tokens_at BIGINT,
    ramp INTEGER NOT NULL,
    served_at BIGINT,
    -- When something can be claimed from it; NULL: not before something else has changed.
    ready_at BIGINT,
    -- Its order was switched on: up to which id deliveries have been lined up.
    lining_up_after BIGINT,
    -- Its order was switched off: 1 lets all lines go, 2 what waits behind dead deliveries.
    letting_go INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, target_id)
);
CREATE INDEX lanes_ready ON lanes (ready_at, instance_id, target_id) WHERE ready_at IS NOT NULL;

-- When deliveries were last claimed from the queue that all others share: it takes turns with lanes.
CREATE TABLE general_queue (served_at BIGINT NOT NULL);
INSERT INTO general_queue (served_at) VALUES (0);

-- What an event is about: type and id, unit separator between. Empty: nothing.
ALTER TABLE events ADD COLUMN aggregate TEXT NOT NULL DEFAULT '';

-- Set while a delivery stands in line behind earlier ones of its aggregate, or may be stood behind.
ALTER TABLE deliveries ADD COLUMN aggregate TEXT;
-- The delivery in front of it in that line.
ALTER TABLE deliveries ADD COLUMN behind BIGINT;

-- In a lane, held_due_at is when a delivery is due; due_at is NULL.
DROP INDEX deliveries_held;
CREATE INDEX deliveries_lane ON deliveries (instance_id, target_id, held_due_at, id)
    WHERE held_due_at IS NOT NULL AND behind IS NULL;
CREATE INDEX deliveries_line ON deliveries (instance_id, target_id, aggregate, event_number)
    WHERE aggregate IS NOT NULL;
CREATE INDEX deliveries_parked ON deliveries (instance_id, target_id)
    WHERE state = 5 AND aggregate IS NOT NULL;
CREATE INDEX deliveries_behind ON deliveries (behind) WHERE behind IS NOT NULL;
-- What is being attempted is counted by target.
DROP INDEX deliveries_owner;
CREATE INDEX deliveries_owner ON deliveries (owner, instance_id, target_id) WHERE owner IS NOT NULL;
-- In the order of claims: equal times come by id.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE due_at IS NOT NULL;

INSERT INTO lanes (instance_id, target_id, is_paused, max_concurrency, rate_per_second, is_ordered,
    parks, breaker_failures, breaker_open_for, failures, tokens, ramp)
    SELECT instance_id, target_id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM paused_targets;
