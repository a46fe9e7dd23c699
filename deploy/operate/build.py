"""Builds `releases/VERSION`: the code of a git tag or of a folder, with an environment of its own."""

import os
import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from deploy.operate.errors import OperateError
from deploy.operate.site import Release, Site
from deploy.operate.steps import Steps, run_quietly

CHECKOUT = Path(__file__).resolve().parents[2]
# Made last. A folder without it was not built to its end, and is built anew.
MARK = ".complete"
# What a folder that is no checkout of git may have beside the code.
NO_CODE = (".git", ".venv", ".env", "instance", "__pycache__", MARK)
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class Source:
    """Where the code of a release comes from: a folder, or a commit of the checkout that this script stands in."""

    version: str
    folder: Path
    commit: str | None = None


def find_source(wanted: str, name: str | None) -> Source:
    """Return the source of a git tag, a commit or a folder, called `name` or by what it is.

    Raises OperateError for what is none of them.
    """
    folder = Path(wanted).expanduser()
    if os.sep in wanted or wanted in (".", ".."):
        if not (folder / "wsgi.py").is_file():
            raise OperateError(f"{folder} has no wsgi.py, so it is no release of Swiper")
        return Source(_checked(name or _version_of(folder)), folder.resolve())
    for place in (f"refs/tags/{wanted}", wanted if re.fullmatch(r"[0-9a-f]{7,40}", wanted) else None):
        commit = _git(CHECKOUT, "rev-parse", "--verify", "--quiet", f"{place}^{{commit}}") if place else None
        if commit:
            return Source(_checked(name or wanted), CHECKOUT, commit)
    raise OperateError(f"{wanted} is no tag or commit of {CHECKOUT}; write ./{wanted} for a folder")


def find_built(site: Site, version: str) -> Release | None:
    """Return the release of this name if it is built already."""
    release = Release(site.releases / version)
    return release if (release.folder / MARK).exists() else None


def build(site: Site, steps: Steps, source: Source, environment: Path | None) -> Release:
    """Build a release in its folder. `environment` is one that is there, in place of a new one.

    If it fails, nothing of it stays. It is not built elsewhere and renamed, since the programs of an environment have
    its path in them: the mark tells that it is complete.
    """
    release = Release(site.releases / source.version)
    try:
        _build(site, steps, source, environment, release)
    except BaseException:
        if not steps.is_dry_run:
            steps.say(f"remove what was built of release {release.version}")
            shutil.rmtree(release.folder, ignore_errors=True)
        raise
    return release


def remove_half_built(site: Site, steps: Steps) -> None:
    """Remove what a `release` that was killed has left: folders without the mark that no link leads to."""
    linked = {link.resolve() for link in (site.current_link, site.previous_link)}
    for folder in sorted(site.releases.glob("*")):
        if folder.is_dir() and not (folder / MARK).exists() and folder.resolve() not in linked:
            steps.do(f"remove {folder}, which was not built to its end", lambda folder=folder: shutil.rmtree(folder))  # type: ignore[misc]


def _build(site: Site, steps: Steps, source: Source, environment: Path | None, release: Release) -> None:
    where = source.commit or source.folder
    steps.do(f"copy the code of {where} to {release.folder}", lambda: _copy(source, release))
    # The code of an operator may be readable for that person alone.
    steps.run("let the site read it", ("chmod", "-R", "u=rwX,go=rX", release.folder))
    for name in (".env", "instance"):
        link = release.folder / name
        steps.do(f"link {name} of the site", lambda link=link, name=name: link.symlink_to(Path("../..") / name))  # type: ignore[misc]
    if environment:
        steps.do(f"link the environment {environment}", lambda: (release.folder / ".venv").symlink_to(environment))
    else:
        _make_environment(site, steps, release)
    # The processes cannot write into this folder, so Python could not keep what it compiles.
    python = release.bin / "python"
    compiled = (python, "-m", "compileall", "-q", "config", "migrations", "swiper")
    steps.run("compile the code", compiled, cwd=release.folder)
    steps.do("note that the release is complete", (release.folder / MARK).touch)


def _make_environment(site: Site, steps: Steps, release: Release) -> None:
    def make() -> None:
        # As the owner: a Python below /root would be one that the site's processes cannot run.
        finder = ["sh", str(release.folder / "deploy/find_python.sh")]
        found = run_quietly(finder, env=site.environment() | _chosen_python(), account=site.as_owner()).strip()
        run_quietly([found, "-m", "venv", release.folder / ".venv"])

    steps.do("make an environment", make)
    _install(steps, release, "the packages", "requirements.txt")
    install_groups(steps, release)


def install_groups(steps: Steps, release: Release) -> None:
    """Install the groups of packages that the settings need and the release lacks, unless its environment is a link."""

    def install() -> None:
        for group in run_quietly([release.bin / "python", "-m", "config.missing_groups"], cwd=release.folder).split():
            _install(steps, release, f"the packages of {group}", f"config/requirements/{group}.txt")

    if not (release.folder / ".venv").is_symlink():
        steps.do("install the packages that the settings need", install)


def _install(steps: Steps, release: Release, what: str, path: str) -> None:
    steps.run(f"install {what}", (release.bin / "python", "-m", "deploy.packages", path), cwd=release.folder)


def _chosen_python() -> dict[str, str]:
    return {"PYTHON": os.environ["PYTHON"]} if os.environ.get("PYTHON") else {}


def _copy(source: Source, release: Release) -> None:
    shutil.rmtree(release.folder, ignore_errors=True)
    release.folder.mkdir(parents=True)
    if source.commit:
        archive = ["git", "-C", str(source.folder), "archive", "--format=tar", source.commit]
        with subprocess.Popen(archive, stdout=subprocess.PIPE) as git:
            subprocess.run(["tar", "-x", "-C", str(release.folder)], stdin=git.stdout, check=True)  # noqa: S607
        if git.returncode:
            raise OperateError(f"git archive ended with code {git.returncode}")
        return
    listed = _git(source.folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        shutil.copytree(
            source.folder, release.folder, ignore=shutil.ignore_patterns(*NO_CODE), symlinks=True, dirs_exist_ok=True
        )
        return
    for name in filter(None, listed.split("\0")):
        origin, place = source.folder / name, release.folder / name
        # A file that was deleted and not committed is still listed; `.venv` may be a link, which git takes for a file.
        if origin.is_file() and Path(name).parts[0] not in NO_CODE:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, place)


def _version_of(folder: Path) -> str:
    described = _git(folder, "describe", "--tags", "--always", "--dirty")
    if described and not described.endswith("-dirty"):
        return described
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    return f"{described or project}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"


def _checked(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise OperateError(f"{version!r} cannot be the name of a release: letters, digits and . _ + - (see --name)")
    return version


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints, or None if it fails, is not installed or `folder` is not the top of a checkout."""
    if not (folder / ".git").exists():
        return None
    try:
        # Root may read a checkout that belongs to somebody else.
        command = ["git", "-c", f"safe.directory={folder.resolve()}", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
