"""Disks that take nothing more: of the uploads and logs, and of the SQLite database."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import func, select, text

from chaos.burst import Answer, RequestSpec
from chaos.consistency import half_written, lost_swipes
from chaos.disks import Disk, make_disk
from chaos.lab import Lab
from chaos.members import Member
from chaos.phones import new_phones, request_code
from chaos.report import Finding
from chaos.requests import upload_photo
from chaos.site import Site
from chaos.traffic import Swiped
from swiper.extensions import db
from swiper.profiles.models import FileRemoval, Upload
from tests.processes import answers_at

OK, UNAVAILABLE = 0, 1011
BACK_SECONDS = 10.0
READS = ("/api/user/profile", "/api/social/users", "/api/social/friends", "/api/vip/levels", "/readyz")
TARGET = "writes 503 (1011), reads served or 503, nothing half-written or left; all well within 10 s, no restart"


@dataclass
class Seen:
    """What was answered by kind of request: how many well, how many 1011, and all else."""

    good: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def note(self, kind: str, answers: Sequence[Answer], *, may: tuple[int, ...] = (OK, UNAVAILABLE)) -> None:
        """Count `answers`, of which each may have one of the codes `may`."""
        self.good[kind] = self.good.get(kind, 0) + sum(answer.code == OK for answer in answers)
        self.refused[kind] = self.refused.get(kind, 0) + sum(answer.code == UNAVAILABLE for answer in answers)
        self.wrong += [f"{kind}: {each.status} {each.body[:100]!r}" for each in answers if each.code not in may]


def disks_fail_and_return(lab: Lab) -> Iterator[Finding]:
    """The disk of the uploads and logs is full; that of SQLite is full, and is read-only."""
    with ExitStack() as stack:
        ours, sqlite = (stack.enter_context(make_disk(lab.folder / f"disk-of-{name}")) for name in ("files", "sqlite"))
        url, folder = f"sqlite:///{sqlite.folder / 'swiper.db'}", lab.folder / "site-on-small-disks"
        site = Site(folder, url, has_celery=False, log_dir=ours.folder / "logs")
        (ours.folder / "media").mkdir()
        site.settings.media_dir.rmdir()
        site.settings.media_dir.symlink_to(ours.folder / "media")
        stack.enter_context(site)
        yield _uploads(site, ours, lab.count(40, 10))
        yield _sqlite(site, sqlite, "SQLite's disk full", partial(sqlite.full, site), lab.count(60, 10))
        yield _sqlite(site, sqlite, "SQLite read-only", partial(_read_only, site, sqlite), lab.count(60, 10))


def _uploads(site: Site, disk: Disk, count: int) -> Finding:
    members, targets = site.add_members(count, vip=2), site.add_members(count)
    seen, uploads = Seen(), [upload_photo(member) for member in members]
    site.prepare(*uploads)
    files, workers = _files(site), _workers(site)
    with disk.full(site):
        swipes = [one.swipe("like", other) for one, other in zip(members, targets, strict=True)]
        answers = site.fire(*uploads, *swipes, *[member.get(READS[0]) for member in members])
        seen.note("upload", answers[:count], may=(UNAVAILABLE,))
        seen.note("other", answers[count:], may=(OK,) if disk.is_real else (OK, UNAVAILABLE))
    left = len(_files(site) ^ files)
    seconds = _seconds_until(lambda: site.ask(uploads[0]).code == OK)
    site.prepare(*uploads[1:])
    with site.looking() as session:
        rows, notes = (session.scalar(select(func.count()).select_from(model)) for model in (Upload, FileRemoval))
    lost = abs(rows - 2 * count) + abs(len(_files(site)) - 2 * count)
    # Where the database is told the same as the disk, the note that a file must go stays for the sweep.
    notes *= disk.is_real
    return _finding(
        site,
        "disk full for uploads and logs",
        f"{count} uploads, and as many swipes and reads, at the same moment; {disk.how}",
        seen,
        seconds,
        [f"{left} files left", f"{lost} files or rows amiss", f"{notes} notes left"] if left or lost or notes else [],
        _workers(site) == workers,
    )


def _files(site: Site) -> set[str]:
    return {str(path) for path in site.settings.media_dir.rglob("*") if path.is_file()}


def _workers(site: Site) -> set[int]:
    return {worker.pid for program in site.instances.values() for worker in program.children()}


def _sqlite(
    site: Site, disk: Disk, experiment: str, trouble: Callable[[], AbstractContextManager[None]], count: int
) -> Finding:
    members = site.add_members(2 * count, vip=2)
    likes = list(zip(members[:count], members[count:], strict=True)) + list(
        zip(members[count:], members[:count], strict=True)
    )
    seen, told = Seen(), []
    with trouble():
        workers = _workers(site)
        for _ in range(5):
            told += _like(site, likes, seen)
            seen.note("code", site.fire(*[request_code(phone) for phone in new_phones(count)]))
            seen.note("read", site.fire(*[each.get(READS[n % len(READS)]) for n, each in enumerate(members)]))
            if seen.refused["like"] and seen.refused["code"]:
                break
    seconds = _seconds_until(lambda: {answer.code for answer in site.fire(*_some_of_all(members))} == {OK})
    again = Seen()
    told += _like(site, likes, again)
    lost = lost_swipes(site, told)
    torn = half_written(site, [member.id for member in members])
    with site.looking() as session:
        state = session.scalar(text("PRAGMA integrity_check"))
    amiss = [*lost, *torn, *again.wrong, *([] if state == "ok" else [str(state)])]
    amiss += [f"{again.refused['like']} swipes could not be repeated"] if again.refused["like"] else []
    return _finding(
        site,
        experiment,
        f"{2 * count} swipes, {count} codes and {2 * count} reads, until both are refused; {disk.how}",
        seen,
        seconds,
        amiss,
        _workers(site) == workers and seen.refused["like"] > 0,
    )


def _like(site: Site, likes: Sequence[tuple[Member, Member]], seen: Seen) -> list[Swiped]:
    answers = site.fire(*[one.swipe("like", other) for one, other in likes], at_once=20)
    seen.note("like", answers)
    return [
        Swiped(one.id, other.id, "like", answer.data["is_matched"])
        for (one, other), answer in zip(likes, answers, strict=True)
        if answer.code == OK
    ]


def _some_of_all(members: Sequence[Member]) -> list[RequestSpec]:
    (phone,) = new_phones(1)
    return [
        members[0].post("/api/user/profile/modify", bio=str(time.monotonic())),
        upload_photo(members[1]),
        request_code(phone),
        *[members[2].get(path) for path in READS],
    ]


@contextmanager
def _read_only(site: Site, disk: Disk) -> Iterator[None]:
    """The instances find the database so when they start; it is made writable under their hands."""
    for port in site.ports:
        site.instances[port].kill()
    with site.app.app_context():
        db.engine.dispose()
    disk.close()
    for port in site.ports:
        site.start_instance(port)
    for port in site.ports:
        base = f"http://127.0.0.1:{port}"
        site.instances[port].wait_for(partial(answers_at, base, "/healthz"), "the instance does not live")
    yield
    disk.open()


def _seconds_until(is_good: Callable[[], bool]) -> float:
    started = time.monotonic()
    while not is_good() and time.monotonic() - started < 3 * BACK_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - started


def _finding(
    site: Site, experiment: str, done: str, seen: Seen, seconds: float, amiss: Sequence[str], is_alive: bool
) -> Finding:
    for line in (*seen.wrong, *amiss)[:10]:
        print(f"     {line}")
    counts = ", ".join(
        f"{kind}: {seen.good[kind]} served, {refused} times 1011" for kind, refused in seen.refused.items()
    )
    return Finding(
        experiment,
        done,
        TARGET,
        f"{counts}; {len(seen.wrong)} other answers; {len(amiss)} things amiss; all well after {seconds:.1f} s",
        not (seen.wrong or amiss) and seconds <= BACK_SECONDS and is_alive,
    )
