"""The shell of the web client: small, complete, strict, and known by its contents."""

import gzip
import hashlib
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config.settings import ROOT, Environment
from swiper.web import shell
from swiper.web.assets import find_asset
from swiper.web.shell import STATIC, shell_files, shell_version

# A first visit may transfer 150,000 bytes without photos. The API's answers and the worker's own fetches come on top.
MOST_BYTES = 100_000
IMPORT = re.compile(r'(?:from|import)\s*\(?\s*"(\.[^"]+)"')


def links_of(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/[^"]+)"', page)


def size_of(answer: TestResponse) -> int:
    """Bytes of body and headers."""
    return len(answer.data) + len(str(answer.headers))


def statically_imported(name: str, seen: set[str] | None = None) -> set[str]:
    """A module and all that it imports at once."""
    seen = set() if seen is None else seen
    if name not in seen:
        seen.add(name)
        for target in re.findall(r'(?:from|^import) ?"(\.[^"]+)"', (STATIC / name).read_text(), re.MULTILINE):
            path = ((STATIC / name).parent / target).resolve()
            statically_imported(path.relative_to(STATIC).as_posix(), seen)
    return seen


def test_everything_that_the_page_names_is_there(client: FlaskClient) -> None:
    links = links_of(client.get("/").text)
    assert len(links) > 20
    for link in links:
        with client.get(link) as answer:
            assert answer.status_code == 200, link
    manifest = json.loads((STATIC / "manifest.json").read_text())
    assert all((STATIC / icon["src"]).is_file() for icon in manifest["icons"])


def test_every_import_leads_to_a_module() -> None:
    for path in (STATIC / "app").rglob("*.js"):
        for target in IMPORT.findall(path.read_text()):
            assert (path.parent / target).resolve().is_file(), f"{path.name} imports {target}"


@pytest.mark.parametrize("has_cookie", [False, True])
def test_what_the_first_screen_imports_is_fetched_at_once(has_cookie: bool, client: FlaskClient) -> None:
    screen = "app/screens/deck.js" if has_cookie else "app/screens/login.js"
    if has_cookie:
        client.set_cookie("swiper_session", "any")
    page = client.get("/").text
    preloaded = {link.removeprefix("/assets/") for link in re.findall(r'rel="modulepreload" href="([^"]+)"', page)}
    assert preloaded == (statically_imported("app/main.js") | statically_imported(screen)) - {"app/main.js"}
    assert {screen, "vendor/preact/preact.js", "app/parts/icon.js"} <= preloaded


@pytest.mark.parametrize("has_cookie", [False, True])
def test_a_first_visit_transfers_little(has_cookie: bool, client: FlaskClient) -> None:
    if has_cookie:
        client.set_cookie("swiper_session", "any")
    page = client.get("/")
    # The texts of one language, and on the login page the countries.
    links = {*links_of(page.text), "/assets/messages/zh.json", "/assets/regions.json"}
    total = size_of(page)
    for link in links:
        with client.get(link, headers={"Accept-Encoding": "gzip, deflate, br"}) as answer:
            total += size_of(answer)
    assert total < MOST_BYTES


def test_the_page_is_asked_for_each_time_and_tells_nothing_about_anybody(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Set-Cookie" not in answer.headers
    assert 'data-has-cookie="no"' in answer.text
    client.set_cookie("swiper_session", "any")
    assert 'data-has-cookie="yes"' in client.get("/").text


def test_the_page_knows_the_default_region(make_app: Callable[..., Flask]) -> None:
    assert 'data-region="HK"' in make_app(default_region="HK").test_client().get("/").text


def test_whoever_has_no_javascript_is_told_in_both_languages(client: FlaskClient) -> None:
    said = re.findall(r"<noscript>(.*)</noscript>", client.get("/").text)[0]
    assert said.count("<p>") == 2
    assert "JavaScript" in said


def test_assets_are_asked_for_each_time_and_mostly_unchanged(client: FlaskClient) -> None:
    with client.get("/assets/app/main.js") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.mimetype == "text/javascript"
        tag = answer.headers["ETag"]
    with client.get("/assets/app/main.js", headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")


def test_the_worker_keeps_the_shell_by_its_digests_and_no_answer_of_the_api(client: FlaskClient) -> None:
    answer = client.get("/sw.js")
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"
    files = json.loads(re.findall(r"const FILES = (\{.*\});", answer.text)[0])
    assert files == shell_files()
    for path, integrity in files.items():
        with client.get(path) as asset:
            digest = hashlib.sha256(asset.data).digest()
        assert integrity == "sha256-" + b64encode(digest).decode()
    assert not any(path.startswith("/api/") for path in files)
    needed = statically_imported("app/main.js") | {"messages/en.json", "messages/zh.json", "regions.json"}
    assert {f"/assets/{name}" for name in needed} | {"/shell.css"} <= set(files)


def test_a_changed_file_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shell_version()
    shell_version.cache_clear()
    changed = shell_files() | {"/assets/app/main.js": "sha256-other"}
    monkeypatch.setattr(shell, "shell_files", lambda: changed)
    try:
        assert shell_version() != before
    finally:
        shell_version.cache_clear()


def test_every_library_lies_beside_its_licence() -> None:
    folders = [path for path in (STATIC / "vendor").iterdir() if path.is_dir()]
    assert {folder.name for folder in folders} == {"preact", "htm", "lucide", "cropper"}
    assert all((folder / "LICENSE").read_text() for folder in folders)
    described = (STATIC / "vendor/README.md").read_text()
    assert all(f"| {folder.name} |" in described for folder in folders)


def test_the_page_needs_no_looser_policy_and_names_no_other_host(client: FlaskClient) -> None:
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    for path in STATIC.rglob("*"):
        if path.suffix in (".js", ".css", ".json", ".svg") and "vendor" not in path.parts:
            hosts = re.findall(r"https?://(?!www\.w3\.org/)[\w.]+", path.read_text())
            assert hosts == [], path


def test_development_alone_says_where_codes_lie_and_only_while_none_are_sent(
    client: FlaskClient, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    assert "data-outbox" not in client.get("/").text
    for instance, shown in ((ROOT / "instance", "instance"), (tmp_path, str(tmp_path))):
        page = make_app(environment=Environment.DEVELOPMENT, instance=instance).test_client().get("/").text
        assert f'data-outbox="{shown}/sms-outbox.jsonl"' in page
    sending = make_app(environment=Environment.DEVELOPMENT, sms_providers=["ronglian"])
    assert "data-outbox" not in sending.test_client().get("/").text


def test_text_is_packed_for_those_who_can_read_it(client: FlaskClient) -> None:
    for path in ("/shell.css", "/assets/vendor/preact/preact.js"):
        plain = client.get(path)
        packed = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 2
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        # One tag for both forms.
        assert packed.headers["ETag"] == plain.headers["ETag"]
        again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_a_changed_file_is_served_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = find_asset(tmp_path, "a.js")
    (tmp_path / "a.js").write_text("2")
    os.utime(tmp_path / "a.js", ns=(1, 1))
    after = find_asset(tmp_path, "a.js")
    assert before
    assert after
    assert (before.body, after.body) == (b"1", b"2")
    assert before.tag != after.tag


@pytest.mark.parametrize(
    "name", ["../secret.json", "/etc/os-release.json", "b/../../secret.json", "link.json", "a\0.js"]
)
def test_nothing_outside_the_folder_is_an_asset(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    assert find_asset(folder, name) is None
