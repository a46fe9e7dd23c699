"""Settings of the processes that run Swiper: the application, its logs, its periodic work and gunicorn."""
