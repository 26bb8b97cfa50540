-- compatible with: 10

-- The trace that an event was published in: `traceparent`, a blank and `tracestate` if there is one.
ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT '';
