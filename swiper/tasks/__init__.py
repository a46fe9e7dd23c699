"""The Celery application, and how tasks get to it."""
