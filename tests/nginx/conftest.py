"""nginx, as nginx/swiper.conf sets it up, before two real gunicorn instances."""

from collections.abc import Iterator

import pytest
from flask import Flask

from config.settings import Settings
from tests.front import render, start_nginx
from tests.nginx.fronts import Front
from tests.processes import Visitor, answers_at, environment_of, free_port


@pytest.fixture(scope="module")
def front(settings: Settings, migrated_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("nginx")
    env = environment_of(settings, TRUSTED_PROXIES=1)
    front = Front(folder, env, free_port(), {})
    upstreams = [free_port(), free_port()]
    for port in upstreams:
        front.start_instance(port)
    nginx = start_nginx(folder, render(folder, settings.media_dir, front.port, upstreams))
    try:
        for port in upstreams:
            front.wait_for_instance(port)
        nginx.wait_for(lambda: answers_at(front.base), "nginx does not serve")
        yield front
    finally:
        for program in (nginx, *front.instances.values()):
            program.__exit__(None, None, None)


@pytest.fixture
def visitor(front: Front, app: Flask) -> Iterator[Visitor]:
    """A stranger."""
    with front.visit() as visitor:
        yield visitor
