"""That the audit finds what it is there to find, wherever it is hidden, and says so when it cannot look."""

import json
import random
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.version import Version

from tests.audit import history, packages

PICK = random.Random(20_261_121)


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(PICK.choices(alphabet, k=count))


# Made by the test: what looks like a secret must not stand in a file of ours.
SECRETS: dict[str, Callable[[], str]] = {
    "a cloud's key": lambda: "AKIA" + letters(16, string.ascii_uppercase + string.digits),
    "an Aliyun key": lambda: "LTAI" + letters(20),
    "a private key": lambda: "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a password": lambda: f'password = "{letters(12)}"',
    "a random token": lambda: f'value = "{letters(44)}"',
    "a password in an address": lambda: f"postgresql://swiper:{letters(14)}@db.internal/swiper",
    "a signed token": lambda: ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", letters(43)]),
    "an excused password": lambda: f'password = "{letters(12)}"  # pragma: allowlist secret',
}


class Repository:
    """A scratch repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("swiper.py", 'NAME = "swiper"\n')

    def git(self, *command: str) -> None:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *command], cwd=self.folder, check=True, capture_output=True)

    def commit(self, path: str, text: str | None, message: str = "A change") -> None:
        """Commit this content of a file, or that it is gone."""
        file = self.folder / path
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def paths_of_secrets(repository: Repository) -> list[str]:
    return sorted({finding.path for finding in history.find_secrets(repository.folder)})


@pytest.mark.parametrize("make", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found_though_the_next_commit_takes_it_away(
    repository: Repository, make: Callable[[], str]
) -> None:
    assert paths_of_secrets(repository) == []
    repository.commit("settings.py", f"# A comment\n{make()}\n")
    repository.commit("settings.py", "# A comment\n")
    assert paths_of_secrets(repository) == ["settings.py"]


def in_a_deleted_file(repository: Repository, secret: str) -> None:
    repository.commit("gone.py", secret)
    repository.commit("gone.py", None)


def on_another_branch(repository: Repository, secret: str) -> None:
    repository.git("checkout", "--quiet", "-b", "other")
    repository.commit("other.py", secret)
    repository.git("checkout", "--quiet", "main")


def in_a_merge(repository: Repository, secret: str) -> None:
    """Which `git log -p` shows nothing of."""
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side.py", "SIDE = 1\n")
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--no-ff", "--no-commit", "side")
    repository.commit("merged.py", secret)


def in_a_message(repository: Repository, secret: str) -> None:
    repository.commit("swiper.py", "NAME = 1\n", f"Log in with {secret}")


def put_aside(repository: Repository, secret: str) -> None:
    (repository.folder / "swiper.py").write_text(secret)
    repository.git("stash")


def not_committed(repository: Repository, secret: str) -> None:
    (repository.folder / "new.py").write_text(secret)


@pytest.mark.parametrize(
    ("hide", "path"),
    [
        (in_a_deleted_file, "gone.py"),
        (on_another_branch, "other.py"),
        (in_a_merge, "merged.py"),
        (in_a_message, history.MESSAGES),
        (put_aside, "swiper.py"),
        (not_committed, "new.py"),
    ],
)
def test_a_secret_is_found_wherever_git_keeps_it(
    repository: Repository, hide: Callable[[Repository, str], None], path: str
) -> None:
    hide(repository, SECRETS["a cloud's key"]())
    assert paths_of_secrets(repository) == [path]


def test_what_git_ignores_is_left_out(repository: Repository) -> None:
    repository.commit(".gitignore", ".env\n")
    (repository.folder / ".env").write_text(SECRETS["a password"]())
    assert paths_of_secrets(repository) == []


def test_a_secret_stops_the_audit_and_is_not_told(
    repository: Repository, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert history.main(repository.folder) == 0
    secret = letters(12)
    repository.commit("settings.py", f'password = "{secret}"\n')
    capsys.readouterr()
    assert history.main(repository.folder) == 1
    told = capsys.readouterr()
    assert secret not in told.out + told.err
    assert "settings.py: Secret Keyword, since " in told.err
    [finding] = history.find_secrets(repository.folder)
    assert f"{finding.fingerprint} settings.py REASON" in told.err
    (tmp_path / "allowed.txt").write_text(f"{finding.fingerprint} settings.py a value of a test\n")
    monkeypatch.setattr(history, "ALLOWED", tmp_path / "allowed.txt")
    assert history.main(repository.folder) == 0
    # What is allowed in one place is not allowed in another.
    repository.commit("other.py", f'password = "{secret}"\n')
    assert history.main(repository.folder) == 1


def test_every_allowed_value_has_a_reason() -> None:
    assert history.allowed(history.ALLOWED.read_text())
    with pytest.raises(ValueError, match="not enough values"):
        history.allowed("0123456789abcdef settings.py")


def test_the_pinned_packages_have_their_known_holes_closed() -> None:
    assert packages.below_minimum(packages.pinned_to_run()) == []


def test_an_old_package_is_told() -> None:
    versions = {name: Version(minimum) for name, (minimum, _) in packages.FIXED_IN.items()}
    assert packages.below_minimum(versions) == []
    [fault] = packages.below_minimum(versions | {"pillow": Version("12.3.0")})
    assert fault.startswith("pillow 12.3.0 is older than 13.0.0: ")
    del versions["flask"]
    assert packages.below_minimum(versions) == ["flask is not pinned, and this table is out of date"]


def answer(text: str, seconds: float = 30) -> list[dict[str, object]]:
    """What `run_audit` makes of a program that prints `text`."""
    return packages.run_audit([sys.executable, "-c", f"print({text!r})"], seconds)


def test_a_hole_in_the_advisories_is_told() -> None:
    hole = {"id": "CVE-1", "fix_versions": ["1.1", "2.0"], "aliases": [], "description": ""}
    found = [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "broken", "version": "1.0", "vulns": [hole, {**hole, "id": "CVE-2", "fix_versions": []}]},
        {"name": "unknown", "skip_reason": "not found"},
    ]
    assert packages.holes(answer(json.dumps({"dependencies": found}))) == [
        "broken 1.0: CVE-1, fixed in 1.1, 2.0",
        "broken 1.0: CVE-2, fixed in no version",
    ]


@pytest.mark.parametrize(
    "text", ["", "no JSON", json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]})]
)
def test_a_database_that_tells_nothing_is_out_of_reach(text: str) -> None:
    with pytest.raises(packages.OutOfReachError):
        answer(text)


def test_a_database_that_hangs_is_given_up() -> None:
    with pytest.raises(packages.OutOfReachError, match=r"no answer within 0\.3 s"):
        packages.run_audit([sys.executable, "-c", "import time; time.sleep(60)"], 0.3)


def test_the_audit_says_what_it_could_not_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise packages.OutOfReachError("no route")

    monkeypatch.setattr(packages, "ask_advisories", fail)
    assert packages.main() == 0
    assert "THE ADVISORY DATABASE IS OUT OF REACH (no route)" in capsys.readouterr().err
    monkeypatch.setitem(packages.FIXED_IN, "flask", ("99", "a hole"))
    assert packages.main() == 1
