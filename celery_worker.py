"""What Celery runs: `celery -A celery_worker worker` and `celery -A celery_worker beat`."""

from swiper import create_app

celery = create_app().extensions["celery"]
