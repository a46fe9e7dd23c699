"""What gunicorn serves: `gunicorn -c config/gunicorn.py wsgi:app`."""

from swiper import create_app

app = create_app()
