"""A disk that is full or may only be read, and no files left to open: told as 1011, nothing left, all well afterwards.

Where this machine permits it, the disk is a real one of few megabytes, which only the processes of the test see.
"""

import errno
import itertools
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select

from config.settings import ROOT, Settings
from swiper.errors import UnavailableError
from swiper.extensions import db
from swiper.profiles.models import FileRemoval, Upload
from swiper.storage.files import save_file
from swiper.vip.levels import seed_levels
from tests.factories import People, Person, session_id_of
from tests.processes import BIN, Program, Visitor, answers_at, environment, free_port
from tests.storage.samples import encode, gradient

# The first is for root, the second for others where the kernel lets them.
WAYS = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
# It stays mounted for as long as somebody reads from it.
MOUNT = 'mount -t tmpfs -o "$1" small "$2" && echo mounted && exec cat'


def first_way() -> Sequence[str]:
    """How this machine lets a process have a disk of its own; nothing where it does not."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return ()
    for way in WAYS:
        probe = subprocess.run([*way, "mount", "-t", "tmpfs", "small", "/tmp"], capture_output=True, timeout=20)
        if probe.returncode == 0:
            return way
    return ()


WAY = first_way()


class SmallDisk:
    """A disk that only programs started inside see under its own path; everybody else under `outside`."""

    def __init__(self, folder: Path, options: str) -> None:
        """Mount it at `folder` with these options of tmpfs."""
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.holder = subprocess.Popen(
            [*WAY, "sh", "-c", MOUNT, "sh", options, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.holder.stdout
        assert self.holder.stdout.readline() == b"mounted\n"
        self.outside = Path(f"/proc/{self.holder.pid}/root{folder}")

    def inside(self, *command: object) -> list[str]:
        """`command` in the words that start it where the disk is."""
        user = ["--user", "--preserve-credentials"] if "--map-root-user" in WAY else []
        target = ["--target", str(self.holder.pid), f"--wd={ROOT}"]
        return ["nsenter", "--mount", *user, *target, "--", *(str(part) for part in command)]

    def remount(self, options: str) -> None:
        subprocess.run(self.inside("mount", "-o", f"remount,bind,{options}", self.folder), check=True, timeout=20)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Without a free byte."""
        filler = self.outside / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                until_full(lambda block=bytes(size): file.write(block))
        yield
        filler.unlink()

    @contextmanager
    def without_names(self) -> Iterator[None]:
        """With bytes, but without room for one more file or folder."""
        names = self.outside / "names"
        names.mkdir()
        numbers = itertools.count()
        until_full(lambda: (names / str(next(numbers))).touch())
        yield
        shutil.rmtree(names)

    @contextmanager
    def for_reading(self) -> Iterator[None]:
        """Not to be written to."""
        self.remount("ro")
        yield
        self.remount("rw")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closes its input, at which it ends, and waits for it.
        with self.holder:
            pass


def until_full(write: Callable[[], object]) -> None:
    """Call `write` until the disk takes no more."""
    for _ in range(100_000):
        try:
            write()
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return
    raise AssertionError("the disk never fills")


@contextmanager
def limited(kind: int, limit: int, pid: int = 0) -> Iterator[None]:
    """This process, or another, with a limit of `resource`."""
    soft, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (limit, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, (soft, hard))


@pytest.fixture
def disk(app: Flask, tmp_path: Path) -> Iterator[SmallDisk | None]:
    """A disk that has the media folder on it, where this machine permits one."""
    former: Path = app.config["MEDIA_DIR"]
    app.config["MEDIA_DIR"] = tmp_path / "media"
    if WAY:
        with SmallDisk(tmp_path / "disk", "size=2m,nr_inodes=1000") as made:
            app.config["MEDIA_DIR"] = made.outside / "media"
            yield made
    else:
        yield None
    app.config["MEDIA_DIR"] = former


Trouble = Callable[[Any], AbstractContextManager[None]]
TROUBLES: dict[str, Trouble] = {
    "no bytes": lambda disk: limited(resource.RLIMIT_FSIZE, 0),
    "too few bytes": lambda disk: limited(resource.RLIMIT_FSIZE, 500),
    "no open files": lambda disk: limited(resource.RLIMIT_NOFILE, 3),
}
if WAY:
    TROUBLES |= {"full": SmallDisk.full, "no names": SmallDisk.without_names, "for reading": SmallDisk.for_reading}


def files_in(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and path.name != "filler" and path.parent.name != "names"
    ]


def notes_and_rows(app: Flask) -> list[Any]:
    with app.app_context():
        return [db.session.scalar(select(func.count()).select_from(model)) for model in (FileRemoval, Upload)]


def send_photo(person: Person) -> Any:
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n%s\r\n--x--\r\n'
    picture = encode(gradient(), "JPEG")
    return person.client.post("/api/user/photos", data=body % picture, content_type="multipart/form-data; boundary=x")


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_disk_that_takes_no_file_is_told_as_unavailable(app: Flask, disk: SmallDisk | None, trouble: Trouble) -> None:
    media: Path = app.config["MEDIA_DIR"]
    with trouble(disk), pytest.raises(UnavailableError):
        save_file(media, bytes(1000))
    key = save_file(media, bytes(1000))
    # The folder is there now, and nothing but the file is missing.
    with trouble(disk), pytest.raises(UnavailableError):
        save_file(media, bytes(1000), key.replace(".jpg", "0.jpg"))
    assert files_in(media) == [media / key]


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_an_upload_that_the_disk_does_not_take_is_told_and_leaves_nothing(
    app: Flask, people: People, disk: SmallDisk | None, trouble: Trouble
) -> None:
    person, media = people.add(), app.config["MEDIA_DIR"]
    assert send_photo(person).status_code == 201
    files = files_in(media)
    with trouble(disk):
        answer = send_photo(person)
    # Just after a change the profile is read from the database, which may lie on the same disk.
    shown = person.get("/api/user/profile")
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert len(shown.json["data"]["photos"]) == 1
    assert files_in(media) == files
    assert send_photo(person).status_code == 201
    assert len(files_in(media)) == 2
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Upload)) == 2
        # A note that could not be taken back, as where SQLite has no bytes either, goes with the sweep.
        assert db.session.scalar(select(func.count()).select_from(FileRemoval)) in (0, 1)


class Service:
    """The whole service on an instance folder of its own with SQLite, and one person who uses it."""

    READS = ("/api/user/profile", "/api/social/users", "/api/vip/levels", "/healthz")

    def __init__(self, base: str, sid: str) -> None:
        self.visitor = Visitor(base, sid)
        self.numbers = itertools.count()

    def writes(self) -> set[tuple[int, int]]:
        """Status and code of each kind of write: database, file, and a file so large that it has a temporary one."""
        large = encode(gradient("RGB", (700, 700)), "PNG", compress_level=0)
        answers = [
            # Different ones, until SQLite asks the disk for a new page.
            *(self.post("profile/modify", json={"bio": f"{next(self.numbers):0500}"}) for _ in range(4)),
            self.post("photos", files={"photo": ("a.jpg", encode(gradient(), "JPEG"))}),
            self.post("photos", files={"photo": ("a.png", large)}),
        ]
        return {(answer.status_code, answer.json()["code"]) for answer in answers}

    def reads(self) -> set[tuple[int, int]]:
        answers = [self.visitor.get(path) for path in self.READS]
        return {(answer.status_code, answer.json()["code"]) for answer in answers}

    def post(self, path: str, **body: Any) -> Any:
        return self.visitor.post(f"/api/user/{path}", **body)


def seed(make_app: Callable[..., Flask], folder: Path) -> tuple[Flask, str]:
    """An application with a migrated SQLite database in `folder`, and the session of somebody in it."""
    app = make_app(instance=folder, database_url=f"sqlite:///{folder / 'swiper.db'}")
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        seed_levels()
    return app, session_id_of(People(app).add().client)


FINE, REFUSED = {(200, 0), (201, 0)}, {(503, 1011)}


def test_the_service_outlives_a_disk_that_takes_nothing(
    make_app: Callable[..., Flask], app: Flask, settings: Settings, tmp_path: Path
) -> None:
    folder, small = tmp_path / "instance", tmp_path / "small"
    folder.mkdir()
    _, sid = seed(make_app, folder)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(small, "size=12m")) if WAY else None
        seen = disk.outside if disk else small
        small.mkdir(exist_ok=True)
        # With the files beside it, which SQLite needs to read, and could not make where it may only read.
        for file in folder.glob("swiper.db*"):
            shutil.copy(file, seen)
        (seen / "tmp").mkdir()
        env = environment(small, REDIS_URL=settings.redis_url, TMPDIR=small / "tmp", HOST="127.0.0.1", PORT=port)
        env |= {"SECRET_KEY": "x" * 40, "LOG_DIR": str(tmp_path / "logs"), "SQLITE_TMPDIR": str(small / "tmp")}
        command = (BIN / "gunicorn", "-c", ROOT / "config/gunicorn.py", "wsgi:app")
        reading = stack.enter_context(ExitStack())
        if disk:
            (seen / "media").mkdir()
            reading.enter_context(disk.for_reading())
        server = stack.enter_context(Program(disk.inside(*command) if disk else command, env, tmp_path / "log"))
        server.wait_for(lambda: answers_at(base, "/healthz"), "gunicorn serves")
        workers = server.children()
        service = Service(base, sid)
        stack.enter_context(service.visitor)
        if disk:
            assert (service.writes(), service.reads()) == (REFUSED, {(200, 0)})
        reading.close()
        assert service.writes() == FINE
        files = files_in(seen / "media")
        [worker] = workers
        no_bytes = disk.full() if disk else limited(resource.RLIMIT_FSIZE, 0, worker.pid)
        with no_bytes:
            assert (service.writes(), service.reads()) == (REFUSED, {(200, 0)})
            assert files_in(seen / "media") == files
        assert service.writes() == FINE
        assert len(files_in(seen / "media")) == len(files) + 2
        assert server.children() == workers
