"""A reader follows each of the four commonest requests through few files."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.factories import People
from tests.request_files import files_of
from tests.vip.test_orders import order
from tests.vip.test_payments import notice, send

# The most files of `swiper/` that one request may run through. Lower a number whenever a request needs fewer.
MOST = {"login": 34, "deck": 28, "like": 27, "payment": 26}


def login(app: Flask, people: People) -> Callable[[], Any]:
    client, phone = app.test_client(), people.add().phone
    client.post("/api/user/verify", json={"phonenum": phone})
    return functools.partial(client.post, "/api/user/login", json={"phonenum": phone, "vcode": people.sent_code()})


def deck(app: Flask, people: People) -> Callable[[], Any]:
    man = people.add()
    people.woman()
    return functools.partial(man.get, "/api/social/users")


def like(app: Flask, people: People) -> Callable[[], Any]:
    return functools.partial(people.add().like, people.woman())


def payment(app: Flask, people: People) -> Callable[[], Any]:
    return functools.partial(send, app, notice(order(people.add())["id"]))


@pytest.mark.parametrize("prepare", [login, deck, like, payment])
def test_a_request_runs_through_few_files(
    prepare: Callable[[Flask, People], Callable[[], Any]], app: Flask, people: People
) -> None:
    # What a process loads once is loaded by the first of two.
    prepare(app, people)()
    call, answers = prepare(app, people), []
    files = files_of(lambda: answers.append(call()))
    assert answers[0].status_code == 200
    told = f"a {prepare.__name__} runs through {len(files)} files:\n" + "\n".join(files)
    print(told)
    assert len(files) <= MOST[prepare.__name__], told
