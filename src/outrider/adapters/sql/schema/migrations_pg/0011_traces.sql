-- compatible with: 10
-- The trace that published it, as a header `traceparent` has it; empty: none.
ALTER TABLE events ADD COLUMN trace TEXT COLLATE "C" NOT NULL DEFAULT '';
