-- Tables, columns and indexes get the names that the code and the documentation use.

ALTER TABLE lanes RENAME TO target_queues;
ALTER TABLE target_queues RENAME COLUMN parks TO halts_on_dead;
ALTER TABLE target_queues RENAME COLUMN ramp TO slow_start_window;
ALTER TABLE target_queues RENAME COLUMN served_at TO last_claimed_at;
ALTER TABLE target_queues RENAME COLUMN lining_up_after TO backfill_after;
ALTER TABLE target_queues RENAME COLUMN letting_go TO promoting;
DROP INDEX lanes_ready;
CREATE INDEX target_queues_ready ON target_queues (ready_at, instance_id, target_id)
    WHERE ready_at IS NOT NULL;

ALTER TABLE general_queue RENAME TO shared_queue;
ALTER TABLE shared_queue RENAME COLUMN served_at TO last_claimed_at;

ALTER TABLE deliveries RENAME COLUMN held_due_at TO queued_due_at;
ALTER TABLE deliveries RENAME COLUMN waits_for TO depends_on;
ALTER TABLE deliveries RENAME COLUMN is_waited_for TO has_dependents;
ALTER TABLE deliveries RENAME COLUMN behind TO waits_on;
DROP INDEX deliveries_waits_for;
CREATE INDEX deliveries_depends_on ON deliveries (depends_on) WHERE depends_on IS NOT NULL;
DROP INDEX deliveries_lane;
CREATE INDEX deliveries_queued ON deliveries (instance_id, target_id, queued_due_at, id)
    WHERE queued_due_at IS NOT NULL AND waits_on IS NULL;
DROP INDEX deliveries_line;
CREATE INDEX deliveries_key ON deliveries (instance_id, target_id, aggregate, event_number)
    WHERE aggregate IS NOT NULL;
DROP INDEX deliveries_parked;
CREATE INDEX deliveries_halted ON deliveries (instance_id, target_id)
    WHERE state = 5 AND aggregate IS NOT NULL;
DROP INDEX deliveries_behind;
CREATE INDEX deliveries_waits_on ON deliveries (waits_on) WHERE waits_on IS NOT NULL;

ALTER TABLE attempts RENAME COLUMN excerpt TO body_prefix;

ALTER TABLE delivery_slots RENAME TO delivery_buckets;
ALTER TABLE delivery_buckets RENAME COLUMN slot TO bucket;
DROP INDEX delivery_slots_slot;
CREATE INDEX delivery_buckets_bucket ON delivery_buckets (bucket);
ALTER TABLE tally_marks RENAME TO rollup_marks;

ALTER TABLE turns RENAME TO leader_leases;
ALTER TABLE facts RENAME TO metadata;
