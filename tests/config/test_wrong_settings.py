"""Each wrong setting stops the start with one line that names it, all of them at once, and shows no secret."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from annotated_types import Ge, Gt, Le

from config import extras
from config.base import ConfigurationError, Fault
from config.folders import folder_faults
from config.load import load_settings
from config.providers import SMS_PROVIDERS
from config.settings import ROOT, Settings
from tests.config.conftest import FIELDS, Told
from tests.config.test_production import PRODUCTION
from tests.processes import BIN, environment, free_port, gunicorn

SECRET = "hunter2-is-no-secret"
SERVERS = "redis://, rediss://, sentinel://, sentinels://, unix://"
CELERY_REDIS = "redis://, rediss://, redis+socket://, sentinel://, sentinels://"
BROKERS = f"{CELERY_REDIS}, amqp://, amqps://, pyamqp://, memory://"
BACKENDS = f"{CELERY_REDIS}, rpc://, cache+memcached://, file://, disabled://"
NO_CLUSTER = "Celery cannot use a Redis Cluster: name RabbitMQ (amqp://…), Sentinels or one Redis"
MASTER = "must name the master as the Sentinels do, such as ?master=mymaster"
PORT = "the port must be a number from 1 to 65535"
ORIGIN = "must be an origin such as https://app.example.com, without a path"
WRITABLE = "target_session_attrs=read-write"
HOSTLESS = "one of the hosts is empty, or there are more ports than hosts"
CASHIER = {"PAYMENT_PROVIDER": "cashier", "PAYMENT_CHECKOUT_URL": "https://pay.example"}
POSTGRES = "postgresql://swiper@db/swiper"
S3 = {
    "STORAGE": "s3",
    "S3_BUCKET": "b",
    "S3_ACCESS_KEY_ID": "i",
    "S3_SECRET_ACCESS_KEY": "k",
    "S3_BASE_URL": "https://b",
}
MACHINES = S3 | {
    "SEVERAL_MACHINES": "true",
    "SECRET_KEY": "s" * 48,
    "DATABASE_URL": POSTGRES,
    "REDIS_URL": "redis://redis:6379/0",
}

# The variables, and the one line.
WRONG: list[tuple[dict[str, str], str]] = [
    # Numbers.
    ({"PORT": "0"}, "PORT: must be a whole number from 1 up to 65535, not '0'"),
    ({"PORT": "70000"}, "PORT: must be a whole number from 1 up to 65535, not '70000'"),
    ({"PORT": "eighty"}, "PORT: must be a whole number from 1 up to 65535, not 'eighty'"),
    ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY: must be a whole number from 1 up to 512, not '0'"),
    ({"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES: must be a whole number from 0 up to 10, not '-1'"),
    ({"TRUSTED_PROXIES": "10.0.0.0/8"}, "TRUSTED_PROXIES: must be a whole number from 0 up to 10, not '10.0.0.0/8'"),
    ({"LIKES_PER_DAY": "-5"}, "LIKES_PER_DAY: must be a whole number from 0 up to 10000000, not '-5'"),
    ({"LIKES_PER_DAY": "1.5"}, "LIKES_PER_DAY: must be a whole number from 0 up to 10000000, not '1.5'"),
    (
        {"SMS_GLOBAL_PER_DAY": "9" * 60},
        f"SMS_GLOBAL_PER_DAY: must be a whole number from 1 up to 10000000, not '{'9' * 40}…'",
    ),
    ({"REDIS_TIMEOUT_SECONDS": "0"}, "REDIS_TIMEOUT_SECONDS: must be a number above 0 up to 60, not '0'"),
    ({"SMS_TIMEOUT_SECONDS": "nan"}, "SMS_TIMEOUT_SECONDS: must be a number above 0 up to 60, not 'nan'"),
    ({"STORAGE_TIMEOUT_SECONDS": "inf"}, "STORAGE_TIMEOUT_SECONDS: must be a number above 0 up to 600, not 'inf'"),
    ({"USER_CACHE_SECONDS": "0"}, "USER_CACHE_SECONDS: must be a whole number from 1 up to 86400, not '0'"),
    ({"UPLOAD_MAX_BYTES": "-1"}, "UPLOAD_MAX_BYTES: must be a whole number from 1024 up to 1000000000, not '-1'"),
    ({"DEBUG": "maybe"}, "DEBUG: must be true or false, not 'maybe'"),
    ({"VERIFY_BY_GET": "2"}, "VERIFY_BY_GET: must be true or false, not '2'"),
    # Words.
    ({"SWIPER_ENV": "staging"}, "SWIPER_ENV: must be one of development, production, testing, not 'staging'"),
    ({"CACHE_TYPE": "cloud"}, "CACHE_TYPE: must be one of null, simple, file, redis, memcached, not 'cloud'"),
    ({"FAST_PATHS": "yes"}, "FAST_PATHS: must be one of on, off, postgres, redis, not 'yes'"),
    ({"DATABASE_LAYOUT": "sharded"}, "DATABASE_LAYOUT: must be one of single, distributed, not 'sharded'"),
    ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'"),
    ({"STORAGE": "ftp"}, "STORAGE: must be one of local, qiniu, s3, not 'ftp'"),
    ({"PAYMENT_PROVIDER": "cash"}, "PAYMENT_PROVIDER: must be one of sandbox, cashier, none, not 'cash'"),
    ({"ALIYUN_SMS_PROTOCOL": "FTP"}, "ALIYUN_SMS_PROTOCOL: must be one of HTTPS, HTTP, not 'FTP'"),
    ({"TIMEZONE": "Asia/Nowhere"}, "TIMEZONE: there is no time zone 'Asia/Nowhere'; write it as Asia/Shanghai"),
    ({"TIMEZONE": "../etc"}, "TIMEZONE: there is no time zone '../etc'; write it as Asia/Shanghai"),
    ({"TIMEZONE": "Asia"}, "TIMEZONE: there is no time zone 'Asia'; write it as Asia/Shanghai"),
    ({"DEFAULT_REGION": "China"}, "DEFAULT_REGION: must be a country of ISO 3166 such as CN, not 'China'"),
    ({"SMS_COUNTRIES": "HK,XX"}, "SMS_COUNTRIES: names no country of ISO 3166: XX"),
    (
        {"SMS_PROVIDERS": "pigeon"},
        "SMS_PROVIDERS: must name aliyun, console, ronglian, or a class as package.module:Class; not 'pigeon'",
    ),
    ({"SMS_PROVIDERS": "console,console"}, "SMS_PROVIDERS: names console twice"),
    ({"SMS_PROVIDERS": f"console,{SMS_PROVIDERS['console']}"}, "SMS_PROVIDERS: names console twice"),
    # Addresses.
    (
        {"DATABASE_URL": f"swiper:{SECRET}@db/swiper"},
        "DATABASE_URL: must be a URL such as postgresql://user:password@host/name",
    ),
    (
        {"DATABASE_URL": f"oracle://swiper:{SECRET}@db/swiper"},
        "DATABASE_URL: oracle:// is not one of postgresql://, mysql://, mariadb://, sqlite:///",
    ),
    (
        {"DATABASE_URL": f"postgresql+asyncpg://swiper:{SECRET}@db/swiper"},
        "DATABASE_URL: postgresql+asyncpg:// is not one of postgresql://, mysql://, mariadb://, sqlite:///",
    ),
    ({"DATABASE_URL": f"postgresql://swiper:{SECRET}@db:5432x/swiper"}, f"DATABASE_URL: {PORT}"),
    ({"DATABASE_URL": "mysql://db:99999/swiper"}, f"DATABASE_URL: {PORT}"),
    ({"DATABASE_URL": "postgresql://db"}, "DATABASE_URL: must end in the name of a database, such as /swiper"),
    (
        {"DATABASE_URL": f"postgresql://swiper:{SECRET}@x@db/swiper"},
        "DATABASE_URL: the password has a special character: write @ as %40, / as %2F, : as %3A",
    ),
    (
        {"DATABASE_URL": f"postgresql://swiper:{SECRET}@a:1,b:2/swiper"},
        "DATABASE_URL: names several hosts, so it must end in target_session_attrs=read-write: one of them may be a"
        " standby",
    ),
    ({"DATABASE_URL": f"postgresql://swiper:{SECRET}@a:1,b:99999/swiper?{WRITABLE}"}, f"DATABASE_URL: {PORT}"),
    ({"DATABASE_URL": f"postgresql://swiper:{SECRET}@a:1,:2/swiper?{WRITABLE}"}, f"DATABASE_URL: {HOSTLESS}"),
    ({"DATABASE_URL": f"postgresql:///swiper?host=a&port=1,2&{WRITABLE}"}, f"DATABASE_URL: {HOSTLESS}"),
    (
        {"DATABASE_URL": "postgresql://a,b/swiper?target_session_attrs=master"},
        "DATABASE_URL: target_session_attrs must be one of any, read-write, read-only, primary, standby,"
        " prefer-standby",
    ),
    ({"DATABASE_URL": "mysql://a,b/swiper"}, "DATABASE_URL: several hosts are for PostgreSQL alone"),
    (
        {"DATABASE_URL": "sqlite://swiper.db"},
        "DATABASE_URL: a file of SQLite has three slashes before a relative path, four before an absolute one",
    ),
    (
        {"DATABASE_URL": "sqlite://"},
        "DATABASE_URL: a database in memory is a database of its own in each process; name a file",
    ),
    ({"DATABASE_URL": "sqlite:////nonexistent/x.db"}, "DATABASE_URL: there is no folder /nonexistent"),
    ({"REDIS_URL": "http://redis"}, f"REDIS_URL: http:// is not one of {SERVERS}"),
    ({"REDIS_URL": f":{SECRET}@redis:6379"}, f"REDIS_URL: must begin with one of {SERVERS}"),
    ({"REDIS_URL": f"redis://:{SECRET}@redis:0/0"}, f"REDIS_URL: {PORT}"),
    ({"REDIS_URL": f"redis://:{SECRET}@redis/zero"}, "REDIS_URL: must end in the number of a database, such as /0"),
    ({"REDIS_URL": "redis:///0"}, "REDIS_URL: must have a host"),
    ({"REDIS_URL": f"redis://:{SECRET}@[redis/0"}, f"REDIS_URL: must be a valid URL that begins with {SERVERS}"),
    ({"SITE_NAME": "sms"}, "SITE_NAME: must be another word: keys of a site without a name begin with sms:"),
    ({"REDIS_URL": "unix://"}, "REDIS_URL: must have the path of a socket, such as unix:///run/redis.sock"),
    (
        {"REDIS_URL": f"redis://:{SECRET}@x@redis/0"},
        "REDIS_URL: must be a URL such as redis://host:6379/0; write @ in a password as %40, / as %2F, : as %3A",
    ),
    (
        {"REDIS_URL": f"redis://:{SECRET}@a:6379,b:6379/0"},
        "REDIS_URL: several hosts are a cluster (redis://a,b?cluster=true) or Sentinels (sentinel://a,b?master=…)",
    ),
    ({"REDIS_URL": f"sentinel://:{SECRET}@a:26379,b:0/0?master=m"}, f"REDIS_URL: {PORT}"),
    ({"REDIS_URL": f"sentinel://:{SECRET}@a:26379,,b/0?master=m"}, "REDIS_URL: must have a host"),
    ({"REDIS_URL": f"sentinel://:{SECRET}@a,b/0"}, f"REDIS_URL: {MASTER}"),
    ({"REDIS_URL": "sentinels://a,b/?master="}, f"REDIS_URL: {MASTER}"),
    (
        {"REDIS_URL": f"sentinel://:{SECRET}@a:26379/0;sentinel://b:26379/0"},
        "REDIS_URL: hosts stand in one URL, such as sentinel://a:26379,b:26379/0?master=mymaster",
    ),
    ({"REDIS_URL": "redis://a/0?master=m"}, "REDIS_URL: a master is named after sentinel:// or sentinels:// alone"),
    ({"REDIS_URL": "redis://a,b/1?cluster=true"}, "REDIS_URL: a cluster has the database 0 alone"),
    (
        {"REDIS_URL": "redis://a,b/0?cluster=maybe"},
        "REDIS_URL: cluster must be true, and stands after redis:// or rediss:// alone",
    ),
    (
        {"REDIS_URL": "redis://a:7000,b:7000/0?cluster=true"},
        "CELERY_BROKER_URL: is not set, and Celery cannot use the Redis Cluster of REDIS_URL: "
        "name RabbitMQ (amqp://…), Sentinels or one Redis",
    ),
    ({"CELERY_BROKER_URL": f"redis://:{SECRET}@a,b/0?cluster=true"}, f"CELERY_BROKER_URL: {NO_CLUSTER}"),
    ({"CELERY_RESULT_BACKEND": "redis://a,b/0?cluster=true"}, f"CELERY_RESULT_BACKEND: {NO_CLUSTER}"),
    ({"CELERY_BROKER_URL": f"sentinel://:{SECRET}@a,b/0"}, f"CELERY_BROKER_URL: {MASTER}"),
    (
        {"CELERY_QUEUE_TYPE": "quorum", "CELERY_BROKER_URL": "redis://a/0"},
        "CELERY_QUEUE_TYPE: quorum is for RabbitMQ alone, "
        "and CELERY_BROKER_URL does not begin with amqp:// or amqps://",
    ),
    ({"CELERY_QUEUE_TYPE": "stream"}, "CELERY_QUEUE_TYPE: must be one of classic, quorum, not 'stream'"),
    ({"CELERY_BROKER_URL": "kafka://k"}, f"CELERY_BROKER_URL: kafka:// is not one of {BROKERS}"),
    ({"CELERY_BROKER_URL": f"amqp://u:{SECRET}@r:x//"}, f"CELERY_BROKER_URL: {PORT}"),
    ({"CELERY_RESULT_BACKEND": "mongodb://m"}, f"CELERY_RESULT_BACKEND: mongodb:// is not one of {BACKENDS}"),
    ({"CACHE_MEMCACHED_SERVERS": "a:11211,b:no"}, f"CACHE_MEMCACHED_SERVERS: {PORT}"),
    (
        {"HOST": "http://localhost"},
        "HOST: must be the name or address of a machine, without http:// and without a port",
    ),
    ({"CORS_ORIGINS": "https://a.example,app.example"}, f"CORS_ORIGINS: entry 2 {ORIGIN}"),
    ({"CORS_ORIGINS": "https://a.example/app"}, f"CORS_ORIGINS: entry 1 {ORIGIN}"),
    ({"CORS_ORIGINS": "*"}, f"CORS_ORIGINS: entry 1 {ORIGIN}"),
    ({"CORS_ORIGINS": "https://a.example:70000"}, f"CORS_ORIGINS: {PORT}"),
    ({"S3_ENDPOINT_URL": "minio:9000"}, "S3_ENDPOINT_URL: must begin with one of https://, http://"),
    ({"RONGLIAN_BASE_URL": "https://"}, "RONGLIAN_BASE_URL: must have a host"),
    (
        {"SECURITY_CONTACT": "call us"},
        "SECURITY_CONTACT: must be a mail address, or begin with mailto:, https:// or tel:",
    ),
    ({"SECURITY_CANONICAL_URL": "http://a.example"}, "SECURITY_CANONICAL_URL: must begin with https://"),
    # Secrets and credentials.
    ({"SECRET_KEY": "   "}, "SECRET_KEY: is blank"),
    (CASHIER, "PAYMENT_SECRET: is not set, and cashier needs it"),
    (
        {"SMS_PROVIDERS": "ronglian", "RONGLIAN_ACCOUNT_SID": "a", "RONGLIAN_APP_ID": "a", "RONGLIAN_TEMPLATE_ID": "1"},
        "RONGLIAN_AUTH_TOKEN: is not set, and ronglian needs it",
    ),
    (
        {"STORAGE": "s3", "S3_BUCKET": "b", "S3_BASE_URL": "https://b.example", "S3_ACCESS_KEY_ID": "a"},
        "S3_SECRET_ACCESS_KEY: is not set, and s3 needs it",
    ),
    (PRODUCTION | {"SECRET_KEY": SECRET}, "SECRET_KEY: production needs 32 characters or more of your own"),
    (
        PRODUCTION | CASHIER | {"PAYMENT_SECRET": SECRET},
        "PAYMENT_SECRET: production needs 32 characters or more of your own",
    ),
    # Pairs.
    (
        {"CACHE_TYPE": "simple", "WEB_CONCURRENCY": "4"},
        "CACHE_TYPE: simple is for one process, and WEB_CONCURRENCY is 4: set it to 1, or choose redis, memcached"
        " or file",
    ),
    (
        {"CODE_TTL_SECONDS": "60", "CODE_RESEND_SECONDS": "90"},
        "CODE_RESEND_SECONDS: must not be longer than a code is valid (CODE_TTL_SECONDS=60)",
    ),
    (
        {"DATABASE_REPLICA_URLS": "mariadb://r/swiper", "DATABASE_URL": POSTGRES},
        "DATABASE_REPLICA_URLS: a replica must be of the same kind as DATABASE_URL (postgresql)",
    ),
    (
        {"DATABASE_LAYOUT": "distributed"},
        "DATABASE_LAYOUT: distributed is for PostgreSQL alone, and DATABASE_URL is sqlite",
    ),
    (
        {"DATABASE_BEHIND_PGBOUNCER": "true", "DATABASE_URL": "mysql://db/swiper"},
        "DATABASE_BEHIND_PGBOUNCER: is for PostgreSQL alone, and DATABASE_URL is mysql",
    ),
    # Several machines.
    (
        MACHINES | {"STORAGE": "local"},
        "STORAGE: local keeps pictures on one machine, and SEVERAL_MACHINES is set: choose s3 or qiniu",
    ),
    (
        MACHINES | {"CACHE_TYPE": "file"},
        "CACHE_TYPE: file is for one machine, and SEVERAL_MACHINES is set: choose redis or memcached",
    ),
    (
        MACHINES | {"SECRET_KEY": ""},
        "SECRET_KEY: is not set, and SEVERAL_MACHINES is set: each machine would make one of its own",
    ),
    (MACHINES | {"DATABASE_URL": ""}, "DATABASE_URL: is not set, and SEVERAL_MACHINES is set"),
    (
        MACHINES | {"DATABASE_URL": "sqlite:///swiper.db"},
        "DATABASE_URL: is a file of one machine, and SEVERAL_MACHINES is set",
    ),
    (MACHINES | {"REDIS_URL": ""}, "REDIS_URL: is not set, and SEVERAL_MACHINES is set"),
    (
        MACHINES | {"CELERY_BROKER_URL": "memory://"},
        "CELERY_BROKER_URL: memory:// is for one process, and SEVERAL_MACHINES is set",
    ),
    (
        MACHINES | {"CELERY_RESULT_BACKEND": "file:///srv/results"},
        "CELERY_RESULT_BACKEND: file:// is for one machine, and SEVERAL_MACHINES is set",
    ),
    # Folders.
    ({"SWIPER_INSTANCE": "{file}"}, "SWIPER_INSTANCE: {file} is a file, not a folder"),
    ({"LOG_DIR": "{file}"}, "LOG_DIR: {file} is a file, not a folder"),
    ({"DELETION_LIST_DIR": "{file}"}, "DELETION_LIST_DIR: {file} is a file, not a folder"),
    ({"LOG_DIR": "{file}/logs"}, "LOG_DIR: cannot make the folder {file}/logs: Not a directory"),
    ({"CACHE_TYPE": "file", "CACHE_DIR": "{file}"}, "CACHE_DIR: {file} is a file, not a folder"),
    ({"SWIPER_INSTANCE": "~nobody-here/x"}, "SWIPER_INSTANCE: begins with ~ and the name of nobody here"),
    # Names.
    ({"REDIS_ULR": "redis://r"}, "REDIS_ULR: is no setting; did you mean REDIS_URL?"),
    ({"SMS_PROVIDER": "aliyun"}, "SMS_PROVIDER: is no setting; did you mean SMS_PROVIDERS?"),
    ({"WEB_CONCURENCY": "4"}, "WEB_CONCURENCY: is no setting; did you mean WEB_CONCURRENCY?"),
]
# Other programs' names in an environment.
FOREIGN = [
    *("HOSTNAME", "LOGNAME", "LANG", "PATH", "REDIS_PORT", "REDIS_SERVICE_HOST", "SWIPER_PORT", "SWIPER_SERVICE_HOST"),
    *("POSTGRES_PASSWORD", "AWS_REGION", "S3_BUCKET_NAME", "TEST_REDIS_URL", "FLASK_DEBUG", "DEBUGINFOD_URLS", "SPORT"),
    *("GHOST", "SECRET_KEY_FILE", "DATABASE_URL_FILE", "COURIER_TOKEN", "UV_CACHE_DIR"),
]


@pytest.mark.parametrize(("variables", "line"), WRONG, ids=[line[:50] for _, line in WRONG])
def test_a_wrong_setting_is_told_in_one_line(told: Told, tmp_path: Path, variables: dict[str, str], line: str) -> None:
    file = tmp_path / "file"
    file.touch()
    given = {name: value.replace("{file}", str(file)) for name, value in variables.items()}
    assert told(**given) == [line.replace("{file}", str(file))]


def test_each_of_them_is_told_of_the_file_as_well(told: Told, tmp_path: Path) -> None:
    for variables, line in WRONG:
        # The folder of the test is a variable, which wins.
        if "{file}" not in line and "SWIPER_INSTANCE" not in variables:
            assert told("".join(f"{name}='{value}'\n" for name, value in variables.items())) == [line]


def test_no_line_shows_a_secret() -> None:
    with_secret = [line for variables, line in WRONG if any(SECRET in value for value in variables.values())]
    assert len(with_secret) > 10
    assert [line for line in with_secret if SECRET in line] == []


def test_no_setting_shows_a_text_that_may_be_a_secret(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is no secret anywhere, and helps when it is shown.
    shown = {"timezone", "default_region", "sms_countries", "sms_providers", "cache_type"}
    texts = [name for name, field in Settings.model_fields.items() if field.annotation in (str, list[str])]
    wrong = 0
    for variable, field in FIELDS.items():
        if field in set(texts) - shown:
            lines = told(**{variable: f"x y:{SECRET}@h"})
            monkeypatch.delenv(variable)
            wrong += bool(lines)
            assert SECRET not in "".join(lines)
    assert wrong > 10


QINIU = {"STORAGE": "qiniu", **{f"QINIU_{name}": "x" for name in ("ACCESS_KEY", "SECRET_KEY", "BUCKET")}}
QINIU["QINIU_BASE_URL"] = "https://q.example"
ALIYUN = {
    f"ALIYUN_{name}": "x" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SMS_SIGN_NAME", "SMS_TEMPLATE_CODE")
}
RONGLIAN = {f"RONGLIAN_{name}": "x" for name in ("ACCOUNT_SID", "AUTH_TOKEN", "APP_ID", "TEMPLATE_ID")}


@pytest.mark.parametrize(
    ("group", "variable", "settings"),
    [
        ("s3", "STORAGE", S3),
        ("qiniu", "STORAGE", QINIU),
        ("aliyun", "SMS_PROVIDERS", {"SMS_PROVIDERS": "console,aliyun", **ALIYUN}),
        ("aliyun", "SMS_PROVIDERS", {"SMS_PROVIDERS": SMS_PROVIDERS["aliyun"], **ALIYUN}),
        ("ronglian", "SMS_PROVIDERS", {"SMS_PROVIDERS": "ronglian", **RONGLIAN}),
        ("tracing", "TRACING_URL", {"TRACING_URL": "http://127.0.0.1:4318/v1/traces"}),
        ("memcached", "CACHE_TYPE", {"CACHE_TYPE": "memcached"}),
        ("memcached", "CELERY_RESULT_BACKEND", {"CELERY_RESULT_BACKEND": "cache+memcached://127.0.0.1:11211"}),
    ],
)
def test_a_setting_without_its_packages_is_told_with_the_command_that_installs_them(
    told: Told, monkeypatch: pytest.MonkeyPatch, group: str, variable: str, settings: dict[str, str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    assert told(**settings) == []
    for module in extras.MODULES[group]:
        monkeypatch.setattr(extras, "find_spec", lambda name, module=module: None if name == module else name)
        line = f"{variable}: {group} needs packages that are not installed: make install EXTRAS={group}"
        assert told(**settings) == [line]


def test_settings_that_need_no_more_packages_start_without_any(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert told() == []


@pytest.mark.parametrize("name", ["LOG_DIR", "SWIPER_INSTANCE"])
def test_a_folder_that_the_system_does_not_give_is_told(told: Told, name: str) -> None:
    [line] = told(**{name: "/proc/swiper"})
    assert line.startswith(f"{name}: cannot ")
    assert "/proc/swiper" in line


@pytest.mark.parametrize(("number", "is_refused"), [(errno.EACCES, True), (errno.ENOSPC, False), (errno.EROFS, False)])
def test_a_folder_without_permission_stops_the_start_and_a_full_disk_does_not(
    told: Told, monkeypatch: pytest.MonkeyPatch, number: int, is_refused: bool
) -> None:
    settings = load_settings(Path("/nonexistent/.env"))

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("config.folders.TemporaryFile", refuse)
    checked = [
        Fault("SWIPER_INSTANCE", f"cannot write to the folder {settings.instance}: {os.strerror(number)}"),
        Fault("LOG_DIR", f"cannot write to the folder {settings.log_dir}: {os.strerror(number)}"),
        Fault("DATABASE_URL", f"cannot write to the folder {settings.instance}: {os.strerror(number)}"),
    ]
    assert folder_faults(settings) == checked
    assert told() == ([str(fault) for fault in checked] if is_refused else [])


def test_all_faults_are_told_at_once(told: Told, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    lines = told(
        "REDIS_ULR=redis://r\nLIKES_PER_DAY=many\n",
        PORT="0",
        TIMEZONE="Asia/Nowhere",
        SMS_PROVIDERS="aliyun",
        DATABASE_LAYOUT="distributed",
        LOG_DIR=str(file),
    )
    assert [line.partition(":")[0] for line in sorted(lines)] == sorted(
        [
            *("REDIS_ULR", "LIKES_PER_DAY", "PORT", "TIMEZONE", "DATABASE_LAYOUT", "LOG_DIR"),
            *("ALIYUN_ACCESS_KEY_ID", "ALIYUN_ACCESS_KEY_SECRET", "ALIYUN_SMS_SIGN_NAME", "ALIYUN_SMS_TEMPLATE_CODE"),
        ]
    )


def test_a_wrong_setting_hides_no_rule_of_production_and_makes_up_none(told: Told) -> None:
    wrong = PRODUCTION | {"DATABASE_URL": "oracle://db/x", "TRUSTED_PROXIES": "many", "PORT": "0", "DEBUG": "1"}
    assert sorted(line.partition(":")[0] for line in told(**wrong)) == [
        "DATABASE_URL",
        "DEBUG",
        "PORT",
        "TRUSTED_PROXIES",
    ]


def test_several_machines_with_servers_of_their_own_start(told: Told) -> None:
    assert told(**MACHINES) == []


def test_nothing_is_told_where_everything_is_right(told: Told) -> None:
    assert told("# a comment\nPORT=8200\nexport LIKES_PER_DAY=9\nSMS_COUNTRIES=hk, mo\n", LOG_LEVEL="info") == []


@pytest.mark.parametrize("name", FOREIGN)
def test_names_of_other_programs_in_the_environment_are_left_alone(told: Told, name: str) -> None:
    assert told(**{name: "x"}) == []


def test_a_name_near_to_one_that_is_set_is_left_alone(told: Told) -> None:
    assert told(DATABASE_URI=POSTGRES) == ["DATABASE_URI: is no setting; did you mean DATABASE_URL?"]
    assert told(DATABASE_URI=POSTGRES, DATABASE_URL=POSTGRES) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("PORTT=1\n", ["PORTT: is no setting; did you mean PORT?"]),
        ("COLOUR=red\n", ["COLOUR: is no setting of Swiper, and stands in .env"]),
        ("port=8100\n", []),
        ("POSTGRES_PASSWORD=x\nFLASK_DEBUG=1\nCOMPOSE_PROJECT_NAME=x\n", []),
        ("PORT\n", ["PORT: has no value in .env; write PORT=value"]),
        ("# first\nSECRET_KEY hunter2\n", [".env: line 2 is not NAME=value"]),
        ("名字=x\n".encode("gbk"), [".env: must be text in UTF-8"]),
    ],
)
def test_the_file_is_read_strictly(told: Told, text: str | bytes, lines: list[str]) -> None:
    assert told(text) == lines


def test_a_file_that_cannot_be_read_is_told(told: Told, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=r"^\.env: cannot be read: Is a directory$"):
        load_settings(tmp_path / "folder")


def test_every_number_has_two_bounds() -> None:
    """One without an upper bound takes a year for a time limit, and one without a lower bound takes -1."""
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            assert any(isinstance(bound, Ge | Gt) for bound in field.metadata), name
            assert any(isinstance(bound, Le) for bound in field.metadata), name


# Programs.

TWO = {"PORT": "0", "TIMEZONE": "Asia/Nowhere"}
TWO_LINES = [
    "swiper: PORT: must be a whole number from 1 up to 65535, not '0'",
    "swiper: TIMEZONE: there is no time zone 'Asia/Nowhere'; write it as Asia/Shanghai",
]


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "deploy.run"),
        ("-m", "deploy.prepare"),
        (BIN / "flask", "check"),
        (BIN / "flask", "seed-vip"),
        (BIN / "celery", "-A", "celery_worker", "worker"),
    ],
    ids=lambda command: " ".join(os.path.basename(part) for part in command),
)
def test_a_program_ends_with_these_lines_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    env = environment(tmp_path / "instance", **TWO)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert sorted((done.stdout + done.stderr).splitlines()) == TWO_LINES


def test_gunicorn_ends_with_these_lines_alone(tmp_path: Path) -> None:
    env = environment(tmp_path / "instance", TIMEZONE="Asia/Nowhere", SMS_PROVIDERS="pigeon")
    with gunicorn(env, free_port(), tmp_path / "log") as program:
        assert program.wait() == 1
    lines = sorted(program.output.splitlines())
    assert [line.partition(": must")[0] for line in lines] == ["swiper: SMS_PROVIDERS", TWO_LINES[1]]
