CREATE TABLE target_policies (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    -- JSON of what anybody may see.
    plain TEXT NOT NULL,
    -- JSON of header values, client key and proxy, sealed.
    sealed_secrets BLOB NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (instance_id, target_id)
) WITHOUT ROWID;

-- A table of its own: whoever claims deliveries asks for it, and it is nearly always empty.
CREATE TABLE paused_targets (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    paused_at INTEGER NOT NULL,
    PRIMARY KEY (instance_id, target_id)
) WITHOUT ROWID;

-- When a delivery to a paused target would have been due. Its due_at is NULL meanwhile: a backlog
-- of a million held deliveries is then no longer in the index of what is due, and costs the others nothing.
ALTER TABLE deliveries ADD COLUMN held_due_at INTEGER;
CREATE INDEX deliveries_held ON deliveries (instance_id, target_id) WHERE held_due_at IS NOT NULL;
