-- compatible with: 13

-- A method's schema and example are about its request; these are about its response. JSON objects as text.
ALTER TABLE catalogue_entries ADD COLUMN response_schema TEXT COLLATE "C";
ALTER TABLE catalogue_entries ADD COLUMN response_example TEXT COLLATE "C";
