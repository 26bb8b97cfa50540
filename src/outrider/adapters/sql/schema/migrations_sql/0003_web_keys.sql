-- What an instance signs with and publishes.

CREATE TABLE web_keys (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    rsa_bits INTEGER NOT NULL,
    state INTEGER NOT NULL,
    public_jwk TEXT NOT NULL,
    -- NULL once the key is removed; the row stays, for the date that a second DeleteWebKey answers.
    sealed_private_key BLOB,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
);
CREATE INDEX web_keys_created ON web_keys (instance_id, created_at, id) WHERE state <> 4;
CREATE UNIQUE INDEX web_keys_active ON web_keys (instance_id) WHERE state = 2;
