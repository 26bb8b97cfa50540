-- compatible with: 13

-- Of type, aggregate and payload, keyed: the same id with another content is refused. NULL for
-- events of releases before, whose content is read from the body.
ALTER TABLE events ADD COLUMN digest BYTEA;

-- How many outriders the event came through before this one.
ALTER TABLE events ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
