"""The API reference, made from the proto files: an OpenAPI document and a page."""
