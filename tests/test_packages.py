"""The environment is made with any Python that fits, and its packages come from where pip is told to take them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT
from deploy import packages
from deploy.packages import PipOnlyError, install, install_optional, read_pip_settings, translate, uv_environment

LIST = str(ROOT / "deploy/requirements-uv.txt")
FIND_PYTHON = ROOT / "deploy/find_python.sh"


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pythons(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the search where these Pythons are on the PATH, each with its version; None stands for one without venv."""

    def search(found: dict[str, tuple[int, int] | None], python: str = "") -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "bin"
        for name, version in found.items():
            # The real interpreter, told to be another version or to lack the modules.
            lie = f"import sys; sys.version_info = {(*(version or (3, 12)), 0)}; "
            lie += "" if version else "sys.modules['venv'] = None; "
            write_program(folder / name, f'exec "{sys.executable}" -c "{lie}exec(sys.argv[1])" "$2"')
        for name in ("head", "sh"):
            write_program(folder / name, f'exec /usr/bin/env PATH=/usr/bin:/bin {name} "$@"')
        env = {"PATH": str(folder), "PYTHON": python}
        command = ["/bin/sh", str(FIND_PYTHON)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return search


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"python3.11": (3, 11), "python3": (3, 9)}, "python3.11"),
        ({"python3.13": (3, 13), "python3.12": (3, 12), "python3.11": (3, 11)}, "python3.13"),
        ({"python3.14": None, "python3.12": (3, 12)}, "python3.12"),
        ({"python3.15": (3, 15), "python3": (3, 12)}, "python3"),
        ({"python": (3, 14)}, "python"),
    ],
)
def test_the_newest_python_that_fits_is_taken(found: dict[str, Any], expected: str, pythons: Any) -> None:
    done = pythons(found)
    assert (done.returncode, Path(done.stdout.strip()).name, done.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        ({}, []),
        ({"python3": (3, 10)}, ["python3 is Python 3.10"]),
        ({"python3": (3, 15), "python3.12": None}, ["python3 is Python 3.15", "Debian has them in python3.12-venv"]),
    ],
)
def test_a_search_without_success_says_why(found: dict[str, Any], reasons: list[str], pythons: Any) -> None:
    done = pythons(found)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python from 3.11 to 3.14" in done.stderr
    assert len(done.stderr.splitlines()) == 1 + len(reasons)
    assert all(reason in done.stderr for reason in reasons)


def test_the_python_that_is_named_is_taken_or_refused(pythons: Any, tmp_path: Path) -> None:
    found = {"python3.14": (3, 14), "python3.11": (3, 11), "old": (3, 9)}
    named = tmp_path / "bin" / "python3.11"
    assert pythons(found, str(named)).stdout.strip() == str(named)
    assert pythons(found, "python3.11").stdout.strip() == str(named)
    for name, reason in {"old": "old is Python 3.9", "nope": "nope is not there"}.items():
        done = pythons(found, name)
        assert done.returncode == 1
        assert done.stderr.splitlines()[1:] == [f"  {reason}"]


def test_a_program_that_is_no_python_is_refused(pythons: Any) -> None:
    done = pythons({}, "/bin/true")
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, ["  /bin/true is no Python"])


# What `pip config list` prints.
LISTED = """\
:env:.default-timeout='15.5'
:env:.find-links='/wheels'
download.index-url='https://download.example/simple'
global.cert='/etc/ca.pem'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.find-links='/other'
global.index-url='https://global.example/simple'
global.no-cache-dir='false'
global.trusted-host=''
install.index-url='https://me:secret@install.example/simple'
"""


def test_pips_settings_are_those_of_an_install() -> None:
    assert read_pip_settings(LISTED) == {
        "cert": "/etc/ca.pem",
        "default-timeout": "15.5",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/wheels",
        "index-url": "https://me:secret@install.example/simple",
        "no-cache-dir": "false",
    }


def test_uv_is_told_what_pip_is_told() -> None:
    variables, options = translate(read_pip_settings(LISTED))
    assert variables == {
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_HTTP_TIMEOUT": "16",
        "UV_EXTRA_INDEX_URL": "https://one.example/simple https://two.example/simple",
        "UV_FIND_LINKS": "/wheels",
        "UV_INDEX_URL": "https://me:secret@install.example/simple",
    }
    assert options == []
    others = {"no-index": "yes", "no-cache-dir": "1", "trusted-host": "a b", "proxy": "http://p", "client-cert": "/c"}
    variables, options = translate(others)
    assert variables == {
        "UV_NO_CACHE": "1",
        "UV_INSECURE_HOST": "a b",
        "ALL_PROXY": "http://p",
        "SSL_CLIENT_CERT": "/c",
    }
    assert options == ["--no-index"]


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ("global.keyring-provider='secret'\n", "keyring-provider"),
        ("global.find-links='https://me:secret@a,b.example'\n", "find-links"),
        ("global.index-url='https://secret.example'\nglobal.index-url='https://b.example'\n", "index-url"),
    ],
)
def test_what_uv_cannot_be_told_is_left_to_pip_without_telling_its_value(listed: str, reason: str) -> None:
    with pytest.raises(PipOnlyError, match=reason) as caught:
        translate(read_pip_settings(listed))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        ("# why\ntorch<=2.14\nother-one\n", None),
        ("Flask_Caching<3\n", "concern"),
        ("other @ https://secret.example/a.whl\n", "more than versions"),
        (None, "no file"),
    ],
)
def test_constraints_are_left_out_only_if_they_concern_no_package(
    constraints: str | None, reason: str | None, tmp_path: Path
) -> None:
    # uv refuses constraints that are no pins where it checks hashes.
    path, listed = tmp_path / "constraints.txt", tmp_path / "list.txt"
    listed.write_text("flask-caching[x]==2 \\\n    --hash=sha256:aa\n    # via torch\none==1 ; python_version < '4'\n")
    if constraints is not None:
        path.write_text(constraints)
    settings = {"constraint": str(path), "cert": "/c"}
    if reason is None:
        assert packages.without_idle_constraints(settings, [str(listed)]) == {"cert": "/c"}
        return
    with pytest.raises(PipOnlyError, match=reason):
        packages.without_idle_constraints(settings, [str(listed)])


def test_what_somebody_has_told_uv_stays() -> None:
    variables = {"UV_INDEX_URL": "pip's", "UV_EXTRA_INDEX_URL": "pip's", "SSL_CERT_FILE": "pip's"}
    own = {"UV_DEFAULT_INDEX": "own", "UV_EXTRA_INDEX_URL": "own", "SSL_CERT_FILE": "own", "HOME": "/"}
    assert uv_environment(variables, own) == own | {"SSL_CERT_FILE": "pip's"}
    assert uv_environment(variables, {}) == variables


class Programs:
    """A pip and a uv that note how they are called, and end with these codes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.log = folder, folder / "calls"
        self.set("pip", 0, settings="")
        # No uv of this environment or of the machine.
        python = write_program(folder / "environment/python", f'exec "{folder}/pip" "$@"')
        monkeypatch.setattr(packages, "PYTHON", str(python))
        monkeypatch.setattr(packages, "PIP", (str(folder / "pip"),))
        monkeypatch.setenv("PATH", f"{folder}/path:/usr/bin:/bin")
        for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
            monkeypatch.delenv(name)

    def set(self, name: str, code: int, settings: str = "", place: str = ".") -> None:
        text = f'[ "$1" = config ] && {{ printf "%s" "{settings}"; exit 0; }}\n'
        text += f'echo "{name} index=$UV_INDEX_URL $*" >> "{self.log}"\nexit {code}'
        write_program(self.folder / place / name, text)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path, monkeypatch)


def test_uv_of_the_machine_installs_with_hashes_from_pips_index(programs: Programs) -> None:
    programs.set("uv", 0, place="path")
    programs.set("pip", 0, settings="global.index-url='https://mirror.example'")
    assert install(LIST, "uv") == 0
    (call,) = programs.calls
    assert call.startswith("uv index=https://mirror.example pip install ")
    assert "--require-hashes" in call
    # pip does by itself.
    assert "--compile-bytecode" in call
    assert call.endswith(f"-r {LIST}")
    assert "mirror" not in call.partition(" pip ")[2]


def test_without_uv_it_is_installed_first(programs: Programs) -> None:
    assert install(LIST, "uv") == 0
    # This pip brings no uv: what it has installed is not there, so the last word is pip's.
    programs.set("uv", 0, place="environment")
    assert install(LIST, "uv") == 0
    assert [call.split()[0] for call in programs.calls] == ["pip", "pip", "uv"]
    assert "--only-binary :all: --require-hashes -r " in programs.calls[0]
    assert programs.calls[0].endswith("requirements-uv.txt")
    assert programs.calls[1].endswith(f"--require-hashes -r {LIST}")


@pytest.mark.parametrize("uv", [None, 1])
def test_where_uv_cannot_be_had_or_fails_pip_installs(
    uv: int | None, programs: Programs, capfd: pytest.CaptureFixture[str]
) -> None:
    programs.set("pip", 3)
    if uv is not None:
        programs.set("uv", uv, place="path")
    assert install(LIST, "uv") == 3
    assert [call.split()[0] for call in programs.calls] == ["uv" if uv else "pip", "pip"]
    assert "pip installs" in capfd.readouterr().err


def test_a_setting_that_uv_lacks_leaves_all_to_pip(programs: Programs, capfd: pytest.CaptureFixture[str]) -> None:
    programs.set("uv", 0, place="path")
    programs.set("pip", 0, settings="global.keyring-provider='secret'")
    assert install(LIST, "uv") == 0
    assert [call.split()[0] for call in programs.calls] == ["pip"]
    told = capfd.readouterr().err
    assert "keyring-provider" in told
    assert "secret" not in told


def test_pip_alone_installs_where_that_is_wanted(programs: Programs) -> None:
    programs.set("uv", 0, place="path")
    assert install(LIST, "pip") == 0
    assert [call.split()[0] for call in programs.calls] == ["pip"]


def test_what_a_system_may_lack_is_installed_from_wheels_alone(programs: Programs) -> None:
    programs.set("uv", 0, place="path")
    install_optional(LIST, "uv")
    (call,) = programs.calls
    assert " --only-binary :all: " in call


def test_an_installation_goes_on_without_what_has_no_wheel_and_says_so(
    programs: Programs, capfd: pytest.CaptureFixture[str]
) -> None:
    programs.set("uv", 1, place="path")
    programs.set("pip", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["packages", "--optional", "config/requirements/embedded.txt"])
        assert packages.main() == 0
        assert "goes on without the packages of embedded: this system has no wheels" in capfd.readouterr().err
        assert [" --only-binary :all: " in call for call in programs.calls] == [True, True]
        patch.setattr(sys, "argv", ["packages", LIST])
        assert packages.main() == 1


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs make in a folder whose Python only notes which list it is to install."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "config/requirements", tmp_path / "config/requirements")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    write_program(tmp_path / ".venv/bin/python", f'for last in "$@"; do :; done\necho "$last" >> "{tmp_path}/calls"')

    def make(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "-s", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    return make


def test_make_installs_the_groups_that_are_asked_for_and_keeps_them_up_to_date(tmp_path: Path, checkout: Any) -> None:
    calls = tmp_path / "calls"
    assert checkout("install", "EXTRAS=s3 aliyun").returncode == 0
    groups = [f"config/requirements/{name}.txt" for name in ("embedded", "s3", "aliyun")]
    assert calls.read_text().splitlines() == ["requirements.txt", *groups]
    assert checkout("install").returncode == 0
    assert len(calls.read_text().splitlines()) == 4
    calls.unlink()
    changed = time.time() + 5
    os.utime(tmp_path / groups[1], (changed, changed))
    assert checkout("run").returncode == 0
    assert calls.read_text().splitlines() == [groups[1], "deploy.run"]


def test_make_names_the_groups_where_one_is_unknown(checkout: Any) -> None:
    done = checkout("install", "EXTRAS=s4")
    assert done.returncode == 2
    assert "EXTRAS knows aliyun embedded memcached qiniu ronglian s3 tracing, not s4" in done.stderr
