"""What gunicorn serves: `gunicorn -c config/gunicorn.py wsgi:app`."""

from swiper import start_app

app = start_app()
