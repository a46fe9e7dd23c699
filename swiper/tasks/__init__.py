"""The Celery application, and the functions that queue tasks."""
