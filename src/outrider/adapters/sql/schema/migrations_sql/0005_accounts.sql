-- Accounts may be made without a token, and get tokens for a secret or a key of their own.
ALTER TABLE accounts ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN secret_hash BLOB;
UPDATE accounts SET created_at = coalesce(
    (SELECT min(tokens.created_at) FROM tokens
     WHERE tokens.instance_id = accounts.instance_id AND tokens.account_id = accounts.id), 0);
-- The public parts; nobody but the account has the private ones.
CREATE TABLE account_keys (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    public_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
);
CREATE INDEX account_keys_account ON account_keys (instance_id, account_id);
CREATE INDEX tokens_account ON tokens (instance_id, account_id);
