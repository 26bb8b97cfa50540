"""What callers read about the API, made from the proto files: an OpenAPI document and a page."""
