"""Settings: where they come from, and what they default to."""

import socket
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import ROOT, Environment, Settings
from config.urls import with_driver
from tests.config.conftest import FIELDS


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
    assert load(RESERVED_NICKNAMES=text).reserved_nicknames == expected


def test_empty_variable_counts_as_not_set(load: Callable[..., Settings], tmp_path: Path) -> None:
    settings = load(PORT="", CACHE_DIR="", LOG_DIR="", DATABASE_URL="", SMS_PROVIDERS="")
    assert (settings.port, settings.sms_providers) == (8000, ["console"])
    assert settings.cache_dir == tmp_path / "instance/cache"
    assert settings.log_dir == tmp_path / "instance/logs"


def test_every_list_takes_commas(load: Callable[..., Settings]) -> None:
    """A list of another type than `CommaList` would have to be written as JSON."""
    lists = [name for name, field in Settings.model_fields.items() if field.annotation == list[str]]
    assert lists
    values = dict.fromkeys(lists, "CN, US") | {
        "cors_origins": "https://a.example, https://b.example",
        "database_replica_urls": "sqlite:////a.db, sqlite:////b.db",
        "sms_providers": "console, package.module:Class",
    }
    variables = {variable: values[field] for variable, field in FIELDS.items() if field in lists}
    settings = load(**variables)
    assert {name: len(getattr(settings, name)) for name in lists} == dict.fromkeys(lists, 2)


def test_a_contact_of_two_lines_is_refused(load: Callable[..., Settings]) -> None:
    with pytest.raises(ValidationError, match="must be a mail address"):
        load(SECURITY_CONTACT="mailto:a@b.example\nContact: x")


@pytest.mark.parametrize(
    "bind",
    ["9180", "127.0.0.1:0", "127.0.0.1:70000", "::1:9180", "unix:metrics.sock", "127.0.0.1:8000"],
)
def test_metrics_are_bound_to_no_public_or_unclear_address(load: Callable[..., Settings], bind: str) -> None:
    with pytest.raises(ValueError, match=r"METRICS_BIND|metrics_bind"):
        load(METRICS_BIND=bind)


@pytest.mark.parametrize("bind", ["127.0.0.1:9180", "[::1]:9180", "metrics.internal:9180", "unix:/run/swiper/m.sock"])
def test_metrics_are_bound_to_a_port_or_a_socket(load: Callable[..., Settings], bind: str) -> None:
    assert load(METRICS_BIND=bind).metrics_bind == bind


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
    assert load(CACHE_TYPE=name, WEB_CONCURRENCY="1").cache_type == kind


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("mysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("mariadb://u@h/d?ssl=1", "mysql+pymysql://u@h/d?ssl=1&charset=utf8mb4"),
        ("mysql+pymysql://u@h/d?charset=utf8mb4", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgresql://u:p/@[::1]:5433/d", "postgresql+psycopg://u:p/@[::1]:5433/d"),
        ("postgresql://u@/d?host=/run/db", "postgresql+psycopg://u@/d?host=/run/db"),
        ("postgresql://u@:5433/d?host=/run/db", "postgresql+psycopg://u@:5433/d?host=/run/db"),
        *(
            (
                f"postgresql://u:p%40@{hosts}/d?{query}target_session_attrs=read-write",
                f"postgresql+psycopg://u:p%40@/d?{same}",
            )
            for hosts, query, same in (
                ("a:1,b:2", "", "host=a,b&port=1,2&target_session_attrs=read-write"),
                ("a,b:2", "", "host=a,b&port=,2&target_session_attrs=read-write"),
                ("a,b", "", "host=a,b&target_session_attrs=read-write"),
                ("[::1]:1,[::2]:2", "", "host=::1,::2&port=1,2&target_session_attrs=read-write"),
                ("", "host=a:1&host=b:2&", "host=a,b&port=1,2&target_session_attrs=read-write"),
                ("", "host=a,b&port=1,2&", "host=a,b&port=1,2&target_session_attrs=read-write"),
                ("", "host=a:1&", "host=a&port=1&target_session_attrs=read-write"),
            )
        ),
    ],
)
def test_database_url_names_a_driver_that_yields(url: str, expected: str) -> None:
    assert with_driver(url) == expected


def test_origins_are_written_as_browsers_write_them(load: Callable[..., Settings]) -> None:
    written = "https://App.Example/, HTTPS://a.example:443,http://b.example:80,http://c.example:8080"
    assert load(CORS_ORIGINS=written).cors_origins == [
        "https://app.example",
        "https://a.example",
        "http://b.example",
        "http://c.example:8080",
    ]


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
