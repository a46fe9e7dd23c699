"""A provider that stands outside of Swiper is added by a setting alone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from chaos.shop import NEEDED_BY_PROVIDERS
from config.providers import SMS_PROVIDERS
from config.settings import ROOT, ConfigurationError, Settings
from swiper.auth.codes import deliver_code
from swiper.auth.models import SmsOutbox
from swiper.extensions import db
from swiper.sms import SmsProvider, build_provider
from tests.fake_server import FakeServer
from tests.processes import environment_of, free_port, gunicorn
from tests.sms.test_wire_numbers import CONFIG, examples, siblings, wires
from tests.test_contributing import python_blocks

# The example of CONTRIBUTING.md, and what somebody may get wrong.
SOURCE = next(block for block in python_blocks() if "SmsProvider" in block)
SOURCE += """

class Careless(CourierProvider):
    def wire_number(self, phone):
        return phone[-6:]


class Unfinished(SmsProvider):
    name = "unfinished"


class Nameless(SmsProvider):
    wire_number = try_send = print


class Broken(CourierProvider):
    def __init__(self, config):
        raise ValueError("COURIER_KEY is\\nno key")
"""
COURIER = "courier_sms:CourierProvider"


@pytest.fixture(autouse=True)
def courier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """What the provider sends to; its module stands in a folder of its own."""
    (tmp_path / "courier_sms.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "courier_sms", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("COURIER_TOKEN", "token")
    with FakeServer() as server:
        monkeypatch.setenv("COURIER_URL", server.url)
        yield server


def test_a_code_goes_out_by_a_provider_from_outside(
    app: Flask, courier: FakeServer, make_app: Callable[..., Flask]
) -> None:
    client = (sending := make_app(sms_providers=[COURIER])).test_client()
    assert client.post("/api/user/verify", json={"phonenum": "13800138000"}).status_code == 200
    with sending.app_context():
        assert deliver_code(db.session.scalars(select(SmsOutbox.id)).one())
    (request,) = courier.requests
    sent = json.loads(request.body)
    assert (request.headers["authorization"], sent["to"]) == ("Bearer token", "+8613800138000")
    code = sent["text"].split()[0]
    assert client.post("/api/user/login", json={"phonenum": "13800138000", "vcode": code}).status_code == 200


def test_numbers_leave_a_provider_from_outside_in_forms_of_their_own() -> None:
    phones = set().union(*map(siblings, examples()))
    provider = build_provider(COURIER, CONFIG)
    assert set(wires(provider, phones).values()) == set(filter(provider.takes, phones))
    assert all(map(provider.takes, examples()))


def test_a_provider_from_outside_that_mixes_numbers_up_sends_to_none_of_them() -> None:
    provider = build_provider("courier_sms:Careless", CONFIG)
    assert not any(map(provider.takes, examples()))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pigeon", "knows .*console.*, or a class as package.module:Class; not 'pigeon'"),
        ("courier_sms.CourierProvider", "not 'courier_sms.CourierProvider'"),
        ("no_such_module:CourierProvider", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("courier_sms:NoSuchClass", "AttributeError: .* has no attribute 'NoSuchClass'"),
        ("courier_sms:os", "TypeError: it is no subclass of swiper.sms.SmsProvider with a name"),
        ("courier_sms:SmsError", "TypeError: it is no subclass of swiper.sms.SmsProvider with a name"),
        ("courier_sms:Nameless", "TypeError: it is no subclass of swiper.sms.SmsProvider with a name"),
        ("courier_sms:Unfinished", "TypeError: .* abstract"),
        ("courier_sms:Broken", "ValueError: COURIER_KEY is no key$"),
    ],
)
def test_a_provider_that_cannot_be_used_is_told_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        build_provider(name, CONFIG)
    assert str(caught.value).startswith("SMS_PROVIDERS")
    assert len(str(caught.value).splitlines()) == 1


def test_a_program_that_cannot_have_its_provider_ends_with_this_line_alone(app: Flask, settings: Settings) -> None:
    command = [sys.executable, "-c", "import wsgi"]
    env = environment_of(settings, SMS_PROVIDERS="no_such_module:Provider")
    ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode != 0
    assert ended.stdout + ended.stderr == (
        "swiper: SMS_PROVIDERS: no_such_module:Provider cannot be used: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
    )


def test_gunicorn_gives_up_at_once_and_without_a_traceback(app: Flask, settings: Settings, tmp_path: Path) -> None:
    env = environment_of(settings, SMS_PROVIDERS="pigeon")
    with gunicorn(env, free_port(), tmp_path / "gunicorn.log") as program:
        assert program.wait() != 0
    assert program.output.count("swiper: SMS_PROVIDERS: must name ") == 1
    assert "Traceback" not in program.output


def test_a_provider_of_swiper_written_as_a_path_is_held_to_the_same_rules() -> None:
    for name, path in SMS_PROVIDERS.items():
        made = Settings(_env_file=None, sms_providers=path, **dict.fromkeys(NEEDED_BY_PROVIDERS, "x"))
        assert made.sms_providers == [name]
    console: type[SmsProvider] = type(build_provider("console", CONFIG))
    assert SMS_PROVIDERS["console"] == f"{console.__module__}:{console.__qualname__}"
