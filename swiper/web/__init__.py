"""The start page, health checks, API document, uploaded files and robots' portraits."""
