-- Tables, columns and indexes get the names that the code and the documentation use.

ALTER TABLE lanes RENAME TO target_queues;
ALTER TABLE target_queues RENAME COLUMN parks TO halts_on_dead;
ALTER TABLE target_queues RENAME COLUMN ramp TO slow_start_window;
ALTER TABLE target_queues RENAME COLUMN served_at TO last_claimed_at;
ALTER TABLE target_queues RENAME COLUMN lining_up_after TO backfill_after;
ALTER TABLE target_queues RENAME COLUMN letting_go TO promoting;
ALTER INDEX lanes_ready RENAME TO target_queues_ready;

ALTER TABLE general_queue RENAME TO shared_queue;
ALTER TABLE shared_queue RENAME COLUMN served_at TO last_claimed_at;

ALTER TABLE deliveries RENAME COLUMN held_due_at TO queued_due_at;
ALTER TABLE deliveries RENAME COLUMN waits_for TO depends_on;
ALTER TABLE deliveries RENAME COLUMN is_waited_for TO has_dependents;
ALTER TABLE deliveries RENAME COLUMN behind TO waits_on;
ALTER INDEX deliveries_waits_for RENAME TO deliveries_depends_on;
ALTER INDEX deliveries_lane RENAME TO deliveries_queued;
ALTER INDEX deliveries_line RENAME TO deliveries_key;
ALTER INDEX deliveries_parked RENAME TO deliveries_halted;
ALTER INDEX deliveries_behind RENAME TO deliveries_waits_on;

ALTER TABLE attempts RENAME COLUMN excerpt TO body_prefix;

ALTER TABLE delivery_slots RENAME TO delivery_buckets;
ALTER TABLE delivery_buckets RENAME COLUMN slot TO bucket;
ALTER INDEX delivery_slots_slot RENAME TO delivery_buckets_bucket;
ALTER TABLE tally_marks RENAME TO rollup_marks;

ALTER TABLE turns RENAME TO leader_leases;
ALTER TABLE facts RENAME TO metadata;
