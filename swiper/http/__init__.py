"""What all requests use: hooks, request bodies, responses, schemas, the OpenAPI document."""
