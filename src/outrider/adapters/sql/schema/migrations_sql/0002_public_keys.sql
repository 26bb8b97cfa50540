CREATE TABLE public_keys (
    instance_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    pem BLOB NOT NULL,
    fingerprint TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- A removed key stays, for the date of the last change of its target.
    removed_at INTEGER,
    PRIMARY KEY (instance_id, target_id, id)
) WITHOUT ROWID;
