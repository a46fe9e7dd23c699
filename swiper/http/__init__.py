"""What every request goes through: hooks, bodies, answers, the OpenAPI document."""
