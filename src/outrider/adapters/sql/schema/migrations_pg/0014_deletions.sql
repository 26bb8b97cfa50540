-- compatible with: 13

-- How many deliveries an event was stored with: a duplicate is answered so, without counting.
ALTER TABLE events ADD COLUMN delivery_count INTEGER;

-- Deleted targets whose open deliveries are not all cancelled yet. Nearly always empty.
CREATE TABLE target_deletions (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    PRIMARY KEY (instance_id, target_id)
);

-- Deleted instances of which rows are left. Nearly always empty.
CREATE TABLE instance_deletions (
    id TEXT PRIMARY KEY
);
