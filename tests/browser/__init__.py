"""The web client in a real Chromium, against the service as `make run` starts it. `make browser` runs these."""
