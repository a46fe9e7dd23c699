"""`python -m deploy.packages LIST` installs a list of pinned packages into this environment, by uv or else by pip.

With `--optional` it goes on without the list where its packages have no wheels.

uv takes a fifth of the time that pip takes, but reads none of pip's settings, which may name another index. So uv gets
what pip's files and `PIP_…` variables say in variables of its own. Where it has none for a setting, where uv cannot be
had, and where it fails, pip installs. Only Python's own modules are imported here, since nothing is installed yet.
"""

import argparse
import ast
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PYTHON = sys.executable
PIP = (PYTHON, "-m", "pip", "--disable-pip-version-check")
UV_LIST = Path(__file__).with_name("requirements-uv.txt")
# Later sections win.
SECTIONS = ("global", "install", ":env:")
# Settings of pip with the variable of uv that means the same. Several values have a space between them.
VARIABLES = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
# Settings that do not change what is installed, or from where.
NEUTRAL = {
    *("cache-dir", "config-file", "debug", "disable-pip-version-check", "log", "no-color", "no-input", "prefer-binary"),
    *("no-python-version-warning", "no-warn-conflicts", "no-warn-script-location", "progress-bar", "quiet", "retries"),
    *("require-hashes", "require-virtualenv", "root-user-action", "verbose"),
}
TRUE = {"1", "true", "yes", "on", "y", "t"}


class PipOnlyError(Exception):
    """uv cannot be told what pip is told. The text is the reason; it has no values, which may hold passwords."""


def read_pip_settings(listed: str) -> dict[str, str]:
    """Return the settings that count for `pip install`, from the output of `pip config list`.

    Raises PipOnlyError if two files of pip differ, since the list does not say which of them wins.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        text = str(ast.literal_eval(value))
        if section in found and found[section].setdefault(option, text) != text:
            raise PipOnlyError(f"pip's files differ in {option}")
    return {option: text for section in SECTIONS for option, text in found[section].items() if text}


def translate(settings: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return variables and options that tell uv what `settings` tell pip. Raises PipOnlyError if there are none."""
    variables, options = {}, []
    for name, value in settings.items():
        if name in VARIABLES:
            variables[VARIABLES[name]] = " ".join(value.split())
        elif name == "find-links":
            if "," in value:
                raise PipOnlyError("uv takes no comma in find-links")
            variables["UV_FIND_LINKS"] = ",".join(value.split())
        elif name in ("timeout", "default-timeout"):
            variables["UV_HTTP_TIMEOUT"] = str(math.ceil(float(value)))
        elif name == "no-index":
            options += ["--no-index"] if value.lower() in TRUE else []
        elif name == "no-cache-dir":
            variables |= {"UV_NO_CACHE": "1"} if value.lower() in TRUE else {}
        elif name not in NEUTRAL:
            raise PipOnlyError(f"uv has nothing like pip's setting {name}")
    return variables, options


def named_packages(path: str) -> set[str]:
    """Return the names of the packages of a list or of pip's constraints, in their usual form.

    Raises PipOnlyError if the file cannot be read, or has a line that is more than a package and its version.
    """
    names = set()
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise PipOnlyError("pip's constraints are no file that can be read") from error
    for line in map(str.strip, lines):
        found = re.match(r"([A-Za-z0-9][\w.-]*) *(?:[\[<>=!~;].*)?$", line)
        if found:
            names.add(re.sub(r"[-_.]+", "-", found[1]).lower())
        elif line and not line.startswith(("#", "--hash=")):
            raise PipOnlyError("pip's constraints name more than versions")
    return names


def without_idle_constraints(settings: Mapping[str, str], lists: Sequence[str]) -> dict[str, str]:
    """Return `settings` without constraints that concern none of the packages of `lists`, which uv would refuse.

    Raises PipOnlyError if they concern any.
    """
    pinned = {name for path in lists for name in named_packages(path)}
    for path in settings.get("constraint", "").split():
        if named_packages(path) & pinned:
            raise PipOnlyError("pip's constraints concern these packages")
    return {name: value for name, value in settings.items() if name != "constraint"}


def uv_environment(variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of uv. What somebody has told uv itself stays, also by the newer name of a variable."""
    newer = {"UV_INDEX_URL": "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL": "UV_INDEX"}
    told = {name for name in variables if name.startswith("UV_") and {name, newer.get(name, name)} & set(environ)}
    return {**environ, **{name: value for name, value in variables.items() if name not in told}}


def find_uv() -> str | None:
    """Return the uv of this environment or of the PATH. Without one, install it here; return None if that fails."""
    here = Path(PYTHON).with_name("uv")
    found = str(here) if here.exists() else shutil.which("uv")
    if found is None:
        _tell("uv is installed, to install the packages sooner")
        command = [*PIP, "install", "--quiet", "--retries", "1", "--only-binary", ":all:", "--require-hashes"]
        done = subprocess.run([*command, "-r", str(UV_LIST)], capture_output=True, check=False)
        found = str(here) if done.returncode == 0 and here.exists() else None
    return found


def uv_settings(*lists: str) -> tuple[dict[str, str], list[str]]:
    """Return the environment and the options with which uv takes the packages of `lists` from where pip does.

    Raises PipOnlyError if pip has a setting that uv cannot be told.
    """
    listed = subprocess.run([*PIP, "config", "list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    variables, options = translate(without_idle_constraints(read_pip_settings(listed), lists))
    # pip takes the best match of all indexes. The hashes say what may be installed, whichever index has it.
    options += ["--require-hashes", "--index-strategy", "unsafe-best-match"]
    return uv_environment(variables, os.environ), options


def install_by_uv(path: str, more: Sequence[str] = ()) -> bool:
    """Install the list at `path` by uv, with `more` of its options. Return False if uv cannot be had, or fails.

    Raises PipOnlyError if pip has a setting that uv cannot be told.
    """
    environment, options = uv_settings(path)
    uv = find_uv()
    if uv is None:
        _tell("uv cannot be installed here; pip installs the packages")
        return False
    # It compiles, as pip does. Where Python keeps no bytecode (PYTHONDONTWRITEBYTECODE, a folder of another user), each
    # process would compile 1,400 modules at its start, which takes 2 s.
    command = [uv, "pip", "install", "--quiet", "--compile-bytecode", *options, *more, "--python", PYTHON, "-r", path]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        _tell("uv could not install the packages; pip installs them")
    return done.returncode == 0


def install(path: str, installer: str, more: Sequence[str] = ()) -> int:
    """Install the list at `path` by `installer`, uv or pip, and by pip where uv does not. Return the exit code.

    `more` are options that both take.
    """
    if importlib.util.find_spec("pip") is None:
        # For example, uv has made the environment.
        subprocess.run([PYTHON, "-m", "ensurepip"], stdout=subprocess.DEVNULL, check=True)
    try:
        if installer == "uv" and install_by_uv(path, more):
            return 0
    except PipOnlyError as reason:
        _tell(f"pip installs the packages: {reason}")
    return subprocess.run([*PIP, "install", "--quiet", "--require-hashes", *more, "-r", path], check=False).returncode


def install_optional(path: str, installer: str) -> None:
    """Install the list at `path` from wheels alone, or tell that it is left out."""
    if install(path, installer, ("--only-binary", ":all:")):
        name = Path(path).stem
        _tell(f"goes on without the packages of {name}: this system has no wheels for them, or cannot reach them")


def _tell(text: str) -> None:
    print(f"swiper: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Install the list that the command line names. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.packages", description="Install a list of pinned packages.")
    parser.add_argument("path", metavar="LIST")
    parser.add_argument("--optional", action="store_true", help="go on without what has no wheels for this system")
    parser.add_argument("--installer", choices=("uv", "pip"), default="uv")
    wanted = parser.parse_args()
    if wanted.optional:
        install_optional(wanted.path, wanted.installer)
        return 0
    return install(wanted.path, wanted.installer)


if __name__ == "__main__":
    sys.exit(main())
