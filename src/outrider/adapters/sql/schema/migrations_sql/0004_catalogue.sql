-- Kinds: 1 method, 2 function, 3 event type. Schema and example are JSON objects as text.
CREATE TABLE catalogue_entries (
    instance_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    schema TEXT,
    example TEXT,
    PRIMARY KEY (instance_id, kind, name)
);
INSERT INTO catalogue_entries (instance_id, kind, name)
    SELECT instance_id, 3, name FROM event_types;
DROP TABLE event_types;
