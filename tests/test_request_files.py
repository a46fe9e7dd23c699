"""A reader follows each of the four commonest requests through few files."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from swiper.ids import new_id
from swiper.vip import money
from tests.factories import People
from tests.request_files import files_of
from tests.vip.test_orders import order
from tests.vip.test_payments import notice, send

# For each request: the most files of `swiper/` that it may run through, and the most of these that are its own, which
# means that not all four requests share them. Lower a number whenever a request needs fewer.
MOST = {"login": (28, 12), "deck": (25, 9), "like": (24, 8), "payment": (29, 13)}


def login(app: Flask, people: People) -> Callable[[], Any]:
    client, phone = app.test_client(), people.add().phone
    client.post("/api/user/verify", json={"phonenum": phone})
    return functools.partial(client.post, "/api/user/login", json={"phonenum": phone, "vcode": people.sent_code()})


def deck(app: Flask, people: People) -> Callable[[], Any]:
    man = people.add()
    people.woman()
    for _ in range(2):
        man.deck()
    return functools.partial(man.get, "/api/social/users")


def like(app: Flask, people: People) -> Callable[[], Any]:
    man, *others, last = people.add(), *(people.woman() for _ in range(3))
    for other in others:
        man.like(other)
    return functools.partial(man.like, last)


def payment(app: Flask, people: People) -> Callable[[], Any]:
    return functools.partial(send, app, notice(order(people.add())["id"]))


@pytest.fixture
def files(app: Flask, make_app: Callable[..., Flask]) -> dict[str, list[str]]:
    """The files of each request in a process that has answered such a request a moment before, also for this person."""
    # What a process reads once a second for all its requests, it has read.
    warm = make_app(local_refresh_seconds=600, figures_flush_seconds=600)
    people = People(warm)
    found = {}
    for prepare in (login, deck, like, payment):
        prepare(warm, people)()
        call, answers = prepare(warm, people), []
        found[prepare.__name__] = files_of(lambda call=call, answers=answers: answers.append(call()))
        assert answers[0].status_code == 200, answers[0].json
    return found


def test_each_request_runs_through_few_files(files: dict[str, list[str]]) -> None:
    shared = set.intersection(*map(set, files.values()))
    own = {name: [file for file in found if file not in shared] for name, found in files.items()}
    told = [f"all share {len(shared)}: {', '.join(sorted(shared))}"]
    told += [f"a {name} has {len(files[name])}, its own {len(own[name])}: {', '.join(own[name])}" for name in files]
    print(*told, sep="\n")
    for name, (most, most_own) in MOST.items():
        assert len(files[name]) <= most, "\n".join(told)
        assert len(own[name]) <= most_own, "\n".join(told)


def test_files_count_by_their_functions_alone() -> None:
    def call() -> None:
        assert new_id()
        importlib.reload(money)

    assert files_of(call) == ["ids.py"]
