"""Methods for the catalogue, out of what describes an API: descriptor sets and OpenAPI."""
