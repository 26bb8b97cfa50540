-- Several instances in one store: host names choose among them, and the default has all the rest.

ALTER TABLE instances ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN is_default INTEGER NOT NULL DEFAULT 0;
UPDATE instances SET name = 'default', is_default = 1
    WHERE id = (SELECT id FROM instances ORDER BY created_at, id LIMIT 1);
UPDATE instances SET name = id WHERE is_default = 0;
CREATE UNIQUE INDEX instances_name ON instances (name);
CREATE UNIQUE INDEX instances_default ON instances (is_default) WHERE is_default = 1;

CREATE TABLE instance_hosts (
    host TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX instance_hosts_instance ON instance_hosts (instance_id, position);
