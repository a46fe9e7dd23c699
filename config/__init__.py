"""Settings of the application, and the configuration of its logs, its periodic work and gunicorn."""
