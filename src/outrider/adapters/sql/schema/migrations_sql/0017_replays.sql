-- compatible with: 13

-- The first of those that a replay goes back to: all replays of one delivery are found by it.
ALTER TABLE deliveries ADD COLUMN replay_root INTEGER;
-- Whether a replay was delivered that retention has deleted since.
ALTER TABLE deliveries ADD COLUMN was_redelivered INTEGER NOT NULL DEFAULT 0;
-- Identifiers grow with time: the smallest of those that a replay goes back to is the first.
WITH RECURSIVE sources (id, source) AS (
    SELECT id, replay_of FROM deliveries WHERE replay_of IS NOT NULL
    UNION ALL
    SELECT sources.id, deliveries.replay_of FROM sources
        JOIN deliveries ON deliveries.id = sources.source WHERE deliveries.replay_of IS NOT NULL
)
UPDATE deliveries SET replay_root = roots.root
    FROM (SELECT id, min(source) AS root FROM sources GROUP BY id) AS roots
    WHERE roots.id = deliveries.id;
CREATE INDEX deliveries_replays ON deliveries (replay_root) WHERE replay_root IS NOT NULL;
