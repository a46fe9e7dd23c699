"""Where the code of a release comes from, what it is called, and what is not copied."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.operate import build
from deploy.operate.build import MARK, Source, find_built, find_source
from deploy.operate.errors import OperateError
from deploy.operate.main import main
from deploy.operate.registry import COMMANDS
from deploy.operate.release import KEPT_RELEASES, _prune
from deploy.operate.site import Site
from deploy.operate.steps import Steps

GIT = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the tag v1.0, changed since, with a secret and data beside the code."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "wsgi.py").write_text("first\n")
    (folder / ".gitignore").write_text(".env\ninstance/\n")
    (folder / "pyproject.toml").write_text('[project]\nversion = "7.8"\n')
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", "v1.0"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    (folder / "wsgi.py").write_text("second\n")
    (folder / "new.py").write_text("new\n")
    (folder / ".env").write_text("SECRET_KEY=x\n")
    (folder / "instance").mkdir()
    (folder / "instance/swiper.db").write_text("")
    monkeypatch.setattr(build, "CHECKOUT", folder)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "site")
    site.releases.mkdir(parents=True)
    return site


def copied(site: Site, source: Source) -> dict[str, str]:
    steps = Steps()
    steps.run = lambda *_, **__: None  # type: ignore[method-assign]
    release = build.build(site, steps, source, Path("/environment"))
    assert find_built(site, source.version) == release
    return {path.name: path.read_text() for path in release.folder.iterdir() if path.is_file() and path.name != MARK}


def test_a_tag_is_the_code_of_its_commit(site: Site, checkout: Path) -> None:
    source = find_source("v1.0", None)
    assert source.version == "v1.0"
    files = copied(site, source)
    assert files["wsgi.py"] == "first\n"
    assert set(files) == {"wsgi.py", ".gitignore", "pyproject.toml"}


def test_a_checkout_is_what_lies_in_it_without_what_git_ignores(site: Site, checkout: Path) -> None:
    source = find_source(f"{checkout}/", None)
    assert source.version.startswith("v1.0-dirty-")
    assert set(files := copied(site, source)) == {"wsgi.py", ".gitignore", "pyproject.toml", "new.py"}
    assert files["wsgi.py"] == "second\n"


def test_a_folder_without_git_is_called_by_its_version(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "instance").mkdir(parents=True)
    for name, text in (("wsgi.py", ""), (".env", "SECRET_KEY=x"), ("pyproject.toml", '[project]\nversion = "7.8"\n')):
        (folder / name).write_text(text)
    source = find_source(f"{folder}/", None)
    assert source.version.startswith("7.8-20")
    assert set(copied(site, source)) == {"wsgi.py", "pyproject.toml"}


def test_what_was_not_built_to_its_end_is_built_anew(site: Site, checkout: Path) -> None:
    half = site.releases / "v1.0"
    half.mkdir()
    (half / "left.py").write_text("")
    assert find_built(site, "v1.0") is None
    assert "left.py" not in copied(site, find_source("v1.0", None))


def test_a_release_that_is_built_gets_the_packages_that_the_settings_need_since(site: Site) -> None:
    folder = site.releases / "1"
    programs, config = folder / ".venv/bin", folder / "config"
    for each in (programs, config, folder / "deploy"):
        each.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (config / "missing_groups.py").write_text("print('s3')\nprint('aliyun')\n")
    (folder / "deploy/packages.py").write_text("import sys\nopen('installed', 'a').write(sys.argv[1] + '\\n')\n")
    (folder / "wsgi.py").touch()
    (folder / MARK).touch()
    site.run.mkdir()
    site.instance.mkdir()
    # It has no more code than this, so the release ends there.
    assert main(["--site", str(site.root), "release", f"{folder}/", "--name", "1"]) == 1
    assert (folder / "installed").read_text() == "config/requirements/s3.txt\nconfig/requirements/aliyun.txt\n"


@pytest.mark.parametrize(
    ("wanted", "name", "told"),
    [
        ("v2.0", None, "no tag or commit"),
        ("--all", None, "no tag or commit"),
        ("v1.0", "../../etc", "cannot be the name"),
        ("v1.0", "-x", "cannot be the name"),
        ("./nowhere", None, "has no wsgi.py"),
    ],
)
def test_what_is_no_release_is_refused(checkout: Path, wanted: str, name: str | None, told: str) -> None:
    with pytest.raises(OperateError, match=told):
        find_source(wanted, name)


def test_the_oldest_releases_go_and_those_in_use_stay(site: Site) -> None:
    for number in range(KEPT_RELEASES + 3):
        folder = site.releases / f"{number}"
        folder.mkdir()
        (folder / MARK).touch()
        subprocess.run(["touch", "-d", f"@{number + 1}", folder / MARK], check=True)
    site.current_link.symlink_to("releases/7")
    site.previous_link.symlink_to("releases/0")
    _prune(site, Steps())
    assert {path.name for path in site.releases.iterdir()} == {"0", "3", "4", "5", "6", "7"}
    assert "release" in COMMANDS
