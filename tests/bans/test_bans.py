"""IP bans: which addresses they cover, how long, and that nobody talks their way around them."""

from collections.abc import Callable
from datetime import timedelta
from time import sleep
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update

from swiper.bans.addresses import client_network
from swiper.bans.hooks import is_banned
from swiper.bans.models import IpBan
from swiper.bans.services import ban_network, list_bans, purge_bans, unban_network
from swiper.clock import now
from swiper.errors import ParamError
from swiper.extensions import db
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")


def get(client: FlaskClient, address: str, path: str = "/api/vip/levels", **headers: str) -> Any:
    return client.get(path, environ_base={"REMOTE_ADDR": address}, headers=headers)


def run(runner: FlaskCliRunner, *args: str) -> Any:
    """What `flask` does: the command in an app context."""
    with runner.app.app_context():
        return runner.invoke(args=args)


@pytest.fixture
def ban(app: Flask) -> Callable[..., str]:
    def add(*args: Any) -> str:
        with app.app_context():
            return ban_network(*args)

    return add


@pytest.mark.parametrize(
    ("banned", "refused", "admitted"),
    [
        ("203.0.113.9", ["203.0.113.9"], ["203.0.113.8", "203.0.113.10", "127.0.0.1"]),
        ("203.0.113.0/24", ["203.0.113.0", "203.0.113.255"], ["203.0.112.255", "203.0.114.0"]),
        ("203.0.113.77/24", ["203.0.113.1"], ["203.0.114.0"]),
        ("0.0.0.0/0", ["127.0.0.1", "8.8.8.8"], ["2001:db8::1"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::"], ["2001:db9::1", "203.0.113.9"]),
        ("2001:DB8:0:0::1", ["2001:db8::1", "2001:db8::ffff:1"], ["2001:db8:0:1::1"]),
        ("2001:DB8:0:0::1/128", ["2001:db8::1"], ["2001:db8::2"]),
        ("203.0.113.9", ["::ffff:203.0.113.9", "::ffff:cb00:7109"], ["::ffff:203.0.113.8", "::203.0.113.9"]),
        ("::ffff:203.0.113.9", ["203.0.113.9", "::ffff:203.0.113.9"], ["203.0.113.8"]),
        ("64:ff9b::203.0.113.9", ["203.0.113.9", "64:ff9b::cb00:7109"], ["203.0.113.8", "64:ff9b::203.0.113.8"]),
        ("::ffff:203.0.113.0/120", ["203.0.113.200"], ["203.0.114.0"]),
    ],
)
def test_a_ban_covers_its_addresses_alone(
    client: FlaskClient, ban: Callable[..., str], banned: str, refused: list[str], admitted: list[str]
) -> None:
    ban(banned)
    for address in refused:
        answer = get(client, address)
        assert (answer.status_code, answer.json["code"]) == (403, 1010), address
    for address in admitted:
        assert get(client, address).status_code == 200, address


def test_several_bans_of_several_lengths(client: FlaskClient, ban: Callable[..., str]) -> None:
    for network in ("203.0.113.9", "198.51.100.0/24", "10.0.0.0/8", "2001:db8::/64"):
        ban(network)
    for address in ("203.0.113.9", "198.51.100.4", "10.255.0.1", "2001:db8::5"):
        assert get(client, address).status_code == 403
    assert get(client, "203.0.113.10").status_code == 200


def test_a_banned_address_is_refused_before_its_login_is_looked_at(
    client: FlaskClient, people: People, ban: Callable[..., str]
) -> None:
    person = people.add()
    ban("203.0.113.9")
    assert get(client, "203.0.113.9", "/api/user/profile").json["code"] == 1010
    assert get(person.client, "203.0.113.9", "/api/user/profile").json["code"] == 1010
    assert get(person.client, "203.0.113.10", "/api/user/profile").status_code == 200
    verify = client.post(
        "/api/user/verify", json={"phonenum": "13800138000"}, environ_base={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert verify.json["code"] == 1010


def test_pages_are_refused_and_health_checks_are_not(client: FlaskClient, ban: Callable[..., str]) -> None:
    ban("203.0.113.9")
    for path in ("/", "/docs", "/media/x.jpg", "/no/such/route"):
        assert get(client, "203.0.113.9", path).status_code == 403, path
    for path in ("/healthz", "/readyz"):
        assert get(client, "203.0.113.9", path).status_code == 200


def test_a_ban_runs_out(app: Flask, client: FlaskClient, ban: Callable[..., str]) -> None:
    ban("203.0.113.9", "spam", now() + timedelta(hours=1))
    assert get(client, "203.0.113.9").status_code == 403
    ban("203.0.113.9", "spam", now() - timedelta(seconds=1))
    assert get(client, "203.0.113.9").status_code == 200
    with app.app_context():
        assert list_bans() == []


def test_a_ban_runs_out_while_the_list_is_cached(client: FlaskClient, ban: Callable[..., str]) -> None:
    ban("203.0.113.9", "", now() + timedelta(milliseconds=400))
    assert get(client, "203.0.113.9").status_code == 403
    sleep(0.5)
    assert get(client, "203.0.113.9").status_code == 200


def test_banning_again_replaces_reason_and_expiry(app: Flask, ban: Callable[..., str]) -> None:
    ban("203.0.113.9", "spam", now() + timedelta(hours=1))
    ban("203.0.113.9/32", "fraud")
    with app.app_context():
        [found] = list_bans()
        assert (found.network, found.reason, found.expires_at) == ("203.0.113.9/32", "fraud", None)


def test_lifting_a_ban_admits_at_once(app: Flask, client: FlaskClient, ban: Callable[..., str]) -> None:
    ban("203.0.113.9")
    ban("198.51.100.0/24")
    assert get(client, "203.0.113.9").status_code == 403
    with app.app_context():
        assert unban_network("::ffff:203.0.113.9") is True
        assert unban_network("203.0.113.9") is False
        assert unban_network("198.51.100.7") is False
    assert get(client, "203.0.113.9").status_code == 200
    assert get(client, "198.51.100.7").status_code == 403


@pytest.mark.parametrize("text", ["", "x", "203.0.113.256", "203.0.113.0/33", "::/129", "1.2.3", "203.0.113.9 ;", "５"])
def test_what_is_no_network_is_not_banned(app: Flask, text: str) -> None:
    with app.app_context():
        with pytest.raises(ParamError):
            ban_network(text)
        assert list_bans() == []


@pytest.mark.parametrize("address", ["", "unix:", "x", "203.0.113.9%eth0", "fe80::1%eth0"])
def test_a_peer_without_an_address_is_admitted(app: Flask, ban: Callable[..., str], address: str) -> None:
    ban("203.0.113.9")
    with app.app_context():
        assert is_banned(address) is False


def test_purging_removes_what_ran_out_alone(app: Flask, ban: Callable[..., str]) -> None:
    ban("203.0.113.1")
    ban("203.0.113.2", "", now() + timedelta(hours=1))
    ban("203.0.113.3", "", now() + timedelta(hours=1))
    with app.app_context():
        db.session.execute(
            update(IpBan).where(IpBan.network == "203.0.113.3/32").values(expires_at=now() - timedelta(seconds=1))
        )
        db.session.commit()
        purge_bans()
        assert sorted(db.session.scalars(select(IpBan.network))) == ["203.0.113.1/32", "203.0.113.2/32"]


def test_the_commands_ban_list_and_unban(runner: FlaskCliRunner, client: FlaskClient) -> None:
    result = run(runner, "ban-ip", "203.0.113.0/24", "--reason", "刷单", "--hours", "0.5")
    assert (result.exit_code, result.output) == (0, "203.0.113.0/24 is banned.\n")
    assert run(runner, "ban-ip", "2001:db8::1").exit_code == 0
    assert get(client, "203.0.113.9").status_code == 403
    lines = run(runner, "list-bans").output.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["2001:db8::/64", "203.0.113.0/24"]
    assert lines[0].split("\t")[1:] == ["for good", ""]
    assert lines[1].split("\t")[2] == "刷单"
    result = run(runner, "unban-ip", "203.0.113.0/24")
    assert (result.exit_code, result.output) == (0, "203.0.113.0/24 is free.\n")
    assert get(client, "203.0.113.9").status_code == 200
    assert run(runner, "unban-ip", "203.0.113.0/24").exit_code == 1


@pytest.mark.parametrize("args", [["ban-ip", "x"], ["unban-ip", "x"], ["ban-ip", "203.0.113.1", "--hours", "0"]])
def test_a_wrong_command_is_told_in_one_sentence(runner: FlaskCliRunner, app: Flask, args: list[str]) -> None:
    result = run(runner, *args)
    assert result.exit_code != 0
    assert "Error: " in result.output
    assert "Traceback" not in result.output
    with app.app_context():
        assert list_bans() == []


FORGED = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP", "CF-Connecting-IP"]


@pytest.mark.parametrize("header", FORGED)
def test_a_forged_header_neither_frees_nor_bans(client: FlaskClient, ban: Callable[..., str], header: str) -> None:
    ban("203.0.113.9")
    assert get(client, "203.0.113.9", **{header: "198.51.100.1"}).status_code == 403
    assert get(client, "198.51.100.1", **{header: "203.0.113.9"}).status_code == 200


def test_behind_one_proxy_its_entry_alone_counts(make_app: Callable[..., Flask], ban: Callable[..., str]) -> None:
    ban("203.0.113.9")
    client = make_app(trusted_proxies=1).test_client()
    proxy = "10.0.0.2"
    assert get(client, proxy, **{"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    assert get(client, proxy, **{"X-Forwarded-For": "198.51.100.1"}).status_code == 200
    # The client wrote the first entry, the proxy the last.
    assert get(client, proxy, **{"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}).status_code == 403
    assert get(client, proxy, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}).status_code == 200


def test_behind_two_proxies_the_second_entry_from_the_end_counts(
    make_app: Callable[..., Flask], ban: Callable[..., str]
) -> None:
    ban("203.0.113.9")
    client = make_app(trusted_proxies=2).test_client()
    assert get(client, "10.0.0.2", **{"X-Forwarded-For": "8.8.8.8, 203.0.113.9, 10.0.0.1"}).status_code == 403
    assert get(client, "10.0.0.2", **{"X-Forwarded-For": "203.0.113.9, 8.8.8.8, 10.0.0.1"}).status_code == 200


def test_another_process_sees_a_ban_after_the_refresh(make_app: Callable[..., Flask], ban: Callable[..., str]) -> None:
    other = make_app(local_refresh_seconds=0.3).test_client()
    assert get(other, "203.0.113.9").status_code == 200
    ban("203.0.113.9")
    sleep(0.35)
    assert get(other, "203.0.113.9").status_code == 403


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
    ],
)
def test_budgets_count_an_ipv6_subscriber_as_one(address: str, network: str) -> None:
    assert client_network(address) == network
