"""Settings: where they come from, what they default to, and what production refuses."""

import os
import re
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices, ValidationError

from config.settings import ROOT, Environment, Settings
from config.urls import with_driver

EXAMPLE = ROOT / ".env.example"
LINE = re.compile(r"^#([A-Z][A-Z0-9_]*)=(.*)$")
SECRETS = {"SECRET_KEY", "PAYMENT_SECRET"}
PRODUCTION = {
    "SWIPER_ENV": "production",
    "SECRET_KEY": "s" * 48,
    "SMS_PROVIDERS": "aliyun",
    "ALIYUN_ACCESS_KEY_ID": "id",
    "ALIYUN_ACCESS_KEY_SECRET": "secret",
    "ALIYUN_SMS_SIGN_NAME": "name",
    "ALIYUN_SMS_TEMPLATE_CODE": "SMS_1",
    "PAYMENT_PROVIDER": "none",
    "DATABASE_URL": "postgresql://swiper@db/swiper",
    "REDIS_URL": "redis://redis:6379/0",
    "TRUSTED_PROXIES": "1",
}


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.upper()


FIELDS = {variable_of(field): field for field in Settings.model_fields}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of our variables is set, but for an instance folder of the test's own."""
    for name in os.environ:
        if name.upper() in FIELDS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("SWIPER_INSTANCE", str(tmp_path / "instance"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Reads the settings from the given environment variables alone."""

    def read(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings(_env_file=None)

    return read


def test_embedded_defaults_serve_where_nothing_is_set(load: Callable[..., Settings], tmp_path: Path) -> None:
    settings, instance = load(), tmp_path / "instance"
    assert settings.environment is Environment.DEVELOPMENT
    assert settings.database_url == f"sqlite:///{instance}/swiper.db"
    assert settings.redis_url == f"unix://{settings.redis_socket}"
    assert settings.is_embedded_redis
    assert settings.celery_broker_url == f"redis+socket://{settings.redis_socket}?virtual_host=0"
    assert settings.celery_result_backend == settings.celery_broker_url
    assert (settings.media_dir, settings.cache_dir, settings.log_dir) == tuple(
        instance / name for name in ("media", "cache", "logs")
    )
    assert settings.sms_providers == ["console"]
    assert settings.host == "127.0.0.1"


def test_environment_is_read(load: Callable[..., Settings]) -> None:
    settings = load(PORT="8123", LIKES_PER_DAY="7", DEBUG="true", TIMEZONE="Asia/Urumqi", REDIS_URL="redis://r:6379/3")
    assert (settings.port, settings.likes_per_day, settings.debug) == (8123, 7, True)
    assert settings.timezone == "Asia/Urumqi"
    assert settings.celery_broker_url == "redis://r:6379/3"
    assert not settings.is_embedded_redis
    config = settings.flask_config()
    assert (config["LIKES_PER_DAY"], config["PORT"]) == (7, 8123)


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text(
        '# a comment\nPORT=8200\nLIKES_PER_DAY=9\nCORS_ORIGINS="https://a.example, https://b.example"\nLANG=x\n'
    )
    monkeypatch.setenv("PORT", "8300")
    settings = Settings(_env_file=file)
    assert (settings.port, settings.likes_per_day) == (8300, 9)
    assert settings.cors_origins == ["https://a.example", "https://b.example"]


def test_dotenv_stands_beside_the_makefile() -> None:
    assert Settings.model_config["env_file"] == ROOT / ".env"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), ("a", ["a"]), ("a,b", ["a", "b"]), (" a , b ,", ["a", "b"])],
)
def test_lists_are_written_with_commas(load: Callable[..., Settings], text: str, expected: list[str]) -> None:
    assert load(CORS_ORIGINS=text).cors_origins == expected


def test_empty_variable_counts_as_not_set(load: Callable[..., Settings], tmp_path: Path) -> None:
    settings = load(PORT="", CACHE_DIR="", LOG_DIR="", DATABASE_URL="", SMS_PROVIDERS="")
    assert (settings.port, settings.sms_providers) == (8000, ["console"])
    assert settings.cache_dir == tmp_path / "instance/cache"
    assert settings.log_dir == tmp_path / "instance/logs"


def test_every_list_takes_commas(load: Callable[..., Settings]) -> None:
    """A list of another type than `CommaList` would have to be written as JSON."""
    lists = [name for name, field in Settings.model_fields.items() if field.annotation == list[str]]
    assert lists
    settings = load(**{variable_of(name): "CN, US" for name in lists})
    assert {name: len(getattr(settings, name)) for name in lists} == dict.fromkeys(lists, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "70000"),
        ("TIMEZONE", "Asia/Nowhere"),
        ("CACHE_TYPE", "cloud"),
        ("SWIPER_ENV", "staging"),
        ("CODE_MAX_GUESSES", "0"),
        ("TRUSTED_PROXIES", "-1"),
        ("SECURITY_CONTACT", "call us"),
        ("SECURITY_CONTACT", "http://example.com"),
        ("SECURITY_CONTACT", "mailto:a@b.example\nContact: x"),
        ("SECURITY_CANONICAL_URL", "http://example.com"),
        ("LIKES_PER_DAY", "many"),
    ],
)
def test_wrong_value_stops_the_start(load: Callable[..., Settings], name: str, value: str) -> None:
    with pytest.raises((ValidationError, ValueError, KeyError)):
        load(**{name: value})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RedisCache", "redis"),
        ("FileSystemCache", "file"),
        ("filesystem", "file"),
        ("NULL", "null"),
        ("simple", "simple"),
    ],
)
def test_cache_type_knows_both_spellings(load: Callable[..., Settings], name: str, kind: str) -> None:
    assert load(CACHE_TYPE=name).cache_type == kind


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("mysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("mariadb://u@h/d?ssl=1", "mysql+pymysql://u@h/d?ssl=1&charset=utf8mb4"),
        ("mysql+pymysql://u@h/d?charset=utf8mb4", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_database_url_names_a_driver_that_yields(url: str, expected: str) -> None:
    assert with_driver(url) == expected


def test_production_starts_with_everything_in_place(load: Callable[..., Settings]) -> None:
    settings = load(**PRODUCTION)
    assert settings.flask_config()["SESSION_COOKIE_SECURE"]
    assert settings.robots_answer_percent == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "change-me-to-a-random-text-of-32-characters-or-more"}, "SECRET_KEY"),
        ({"DEBUG": "1"}, "DEBUG"),
        ({"SMS_PROVIDERS": "console"}, "console"),
        ({"SMS_PROVIDERS": "aliyun,console"}, "console"),
        ({"SMS_PROVIDERS": ""}, "SMS_PROVIDERS"),
        ({"ALIYUN_ACCESS_KEY_SECRET": ""}, "ALIYUN_ACCESS_KEY_SECRET"),
        ({"ALIYUN_SMS_INTERNATIONAL_SIGN_NAME": "x"}, "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE"),
        ({"ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE": "x"}, "ALIYUN_SMS_INTERNATIONAL_SIGN_NAME"),
        ({"SMS_PROVIDERS": "aliyun,ronglian"}, "RONGLIAN_ACCOUNT_SID"),
        ({"STORAGE": "qiniu"}, "QINIU_BUCKET"),
        ({"STORAGE": "s3"}, "S3_BUCKET"),
        ({"PAYMENT_PROVIDER": "sandbox"}, "sandbox"),
        ({"PAYMENT_PROVIDER": "cashier", "PAYMENT_SECRET": "short"}, "PAYMENT_SECRET"),
        ({"PAYMENT_PROVIDER": "cashier", "PAYMENT_SECRET": "p" * 40}, "PAYMENT_CHECKOUT_URL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES"),
    ],
)
def test_production_refuses(load: Callable[..., Settings], changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match="production refuses to start") as caught:
        load(**(PRODUCTION | changes))
    assert complaint in str(caught.value)


def test_production_takes_no_proxy_where_it_is_said(load: Callable[..., Settings]) -> None:
    assert load(**(PRODUCTION | {"TRUSTED_PROXIES": "0"})).trusted_proxies == 0


def test_codes_are_asked_for_by_get_outside_production_or_where_it_is_said(load: Callable[..., Settings]) -> None:
    assert load().verify_by_get is True
    assert load(VERIFY_BY_GET="false").verify_by_get is False
    assert load(**PRODUCTION, VERIFY_BY_GET="").verify_by_get is False
    assert load(**PRODUCTION, VERIFY_BY_GET="true").verify_by_get is True


def test_origins_are_written_as_browsers_write_them(load: Callable[..., Settings]) -> None:
    written = "https://App.Example/, HTTPS://a.example:443,http://b.example:80,http://c.example:8080"
    assert load(CORS_ORIGINS=written).cors_origins == [
        "https://app.example",
        "https://a.example",
        "http://b.example",
        "http://c.example:8080",
    ]


def test_refusal_names_all_faults_and_no_secret(load: Callable[..., Settings]) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**(PRODUCTION | {"SECRET_KEY": "my-little-secret", "SMS_PROVIDERS": "console", "DEBUG": "1"}))
    text = str(caught.value)
    assert all(name in text for name in ("SECRET_KEY", "SMS_PROVIDERS", "DEBUG"))
    assert "my-little-secret" not in text


def test_secret_is_made_once_and_kept_to_its_owner(load: Callable[..., Settings], tmp_path: Path) -> None:
    first = load().secret_key
    assert len(first) >= 48
    assert load().secret_key == first
    kept = tmp_path / "instance/secret-key"
    assert kept.read_text() == first
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    # Database, sessions and uploads lie beside it.
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.parent.glob("secret-key*")] == ["secret-key"]


def read_secret(instance: str) -> str:
    return Settings(_env_file=None, instance=Path(instance)).secret_key


def test_processes_that_start_together_get_one_secret(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for round_number in range(5):
            instance = str(tmp_path / f"round-{round_number}")
            assert len(set(pool.map(read_secret, [instance] * 8))) == 1


def test_secret_of_the_environment_leaves_no_file(load: Callable[..., Settings], tmp_path: Path) -> None:
    assert load(SECRET_KEY="given").secret_key == "given"
    assert not (tmp_path / "instance/secret-key").exists()


@pytest.mark.parametrize("folder", ["x" * 120, "数据" * 30])
def test_long_instance_path_gets_a_short_socket(tmp_path: Path, folder: str) -> None:
    settings = Settings(_env_file=None, instance=tmp_path / folder)
    again = Settings(_env_file=None, instance=tmp_path / folder)
    other = Settings(_env_file=None, instance=tmp_path / folder / "b")
    assert settings.redis_socket == again.redis_socket != other.redis_socket
    assert settings.is_embedded_redis


@pytest.mark.parametrize("length", range(60, 130, 5))
def test_sockets_of_an_instance_can_be_bound(length: int) -> None:
    """Whatever the length of the folder, also the longest name fits into a socket address."""
    instance = Path("/tmp") / ("i" * length)
    settings = Settings(_env_file=None, instance=instance, secret_key="given", port=65535)
    longest = settings.redis_socket.parent / f"gunicorn-{settings.port}.ctl"
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(FileNotFoundError):
        # An address that is too long would be an OSError of another kind.
        probe.connect(str(longest))


def examples() -> dict[str, str]:
    """The variables that .env.example lists, with the values it shows."""
    found = [match.groups() for match in map(LINE.match, EXAMPLE.read_text().splitlines()) if match]
    assert len(found) == len({name for name, _ in found}), "a variable is listed twice"
    return dict(found)


def test_example_lists_exactly_the_settings() -> None:
    assert set(examples()) == set(FIELDS)


def test_example_sets_nothing_by_itself() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert all(line == "" or line.startswith("#") for line in lines)


def test_example_explains_each_setting() -> None:
    """The line above each variable is a comment, not another variable."""
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if LINE.match(line):
            assert lines[number - 1].startswith("# "), line


def test_example_shows_the_defaults(load: Callable[..., Settings]) -> None:
    """Uncommented, the whole file changes nothing, but for what depends on the machine and the secrets."""
    shown = {name: value for name, value in examples().items() if name not in SECRETS | {"WEB_CONCURRENCY"}}
    del shown["SWIPER_INSTANCE"]
    plain: dict[str, Any] = Settings(_env_file=None, web_concurrency=2).model_dump()
    written = load(**shown, WEB_CONCURRENCY="2").model_dump()
    assert {name: (plain[name], written[name]) for name in plain if plain[name] != written[name]} == {}


def test_production_refuses_the_secrets_of_the_example(load: Callable[..., Settings]) -> None:
    shown = examples()
    cashier = PRODUCTION | {"PAYMENT_PROVIDER": "cashier", "PAYMENT_CHECKOUT_URL": "https://pay.example"}
    for name in SECRETS:
        assert shown[name].startswith("change-me")
        with pytest.raises(ValidationError, match=f"{name} needs 32 characters"):
            load(**(cashier | {name: shown[name]}))
