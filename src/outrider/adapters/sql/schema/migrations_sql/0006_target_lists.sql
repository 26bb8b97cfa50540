-- Lists of targets are found, filtered by name and counted in an index alone: the rows, with their
-- sealed keys, are read for the one page that is shown. The last column is what makes an index
-- cover a query that says `deleted_at IS NULL`.

DROP INDEX targets_created;
CREATE INDEX targets_created
    ON targets (instance_id, created_at, id, name, folded_name, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX targets_changed
    ON targets (instance_id, changed_at, id, name, folded_name, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX targets_spelt_name
    ON targets (instance_id, name, id, created_at, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX targets_folded_name
    ON targets (instance_id, folded_name, id, created_at, deleted_at)
    WHERE deleted_at IS NULL;
