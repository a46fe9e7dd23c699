"""Load by wrk, and what it costs the processes that serve it."""

import json
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chaos.servers import ENV

CONNECTIONS = 50
SCRIPT = Path(__file__).parent / "replay.lua"
FORM = "Content-Type: application/x-www-form-urlencoded"
# Of all requests; a round with more of them measures something else than it says.
REFUSED_AT_MOST = 0.01
WARM_UP_SECONDS = 1
LONGEST_SECONDS = 60

# Some lines of the file that wrk reads, at least as many as asked for, or fewer that may be repeated.
Source = Callable[[int], Iterable[str]]


class LoadError(Exception):
    """The load was not what it should have been."""


def get(path: str, session_id: str = "", *headers: str) -> str:
    """The line for a GET."""
    return _line("GET", path, "", session_id, headers)


def post(path: str, body: str, session_id: str = "", *headers: str) -> str:
    """The line for a POST of a form."""
    return _line("POST", path, body, session_id, (FORM, *headers))


def _line(method: str, path: str, body: str, session_id: str, headers: Iterable[str]) -> str:
    cookie = [f"Cookie: swiper_session={session_id}; __Host-swiper_session={session_id}"] if session_id else []
    return "\t".join([method, path, body, *cookie, *headers])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all that descend from it, and those of them that have ended."""
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True)
class Round:
    """What one round showed; `cpu_us` is by the name of the server, in microseconds a request."""

    requests: int
    sent: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Results:
    """Medians of all rounds of a contender."""

    rounds: tuple[Round, ...]

    def median(self, of: Callable[[Round], float]) -> float:
        """The median of what `of` tells of a round."""
        return statistics.median(of(each) for each in self.rounds)

    def cpu_us(self, server: str = "web") -> float:
        """Microseconds of `server` a request."""
        return self.median(lambda each: each.cpu_us.get(server, 0.0))

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.median(lambda each: each.rate)

    @property
    def p50_ms(self) -> float:
        """Half of the answers came within this time."""
        return self.median(lambda each: each.p50_ms)

    @property
    def p99_ms(self) -> float:
        """99 of 100 answers came within this time."""
        return self.median(lambda each: each.p99_ms)

    @property
    def refused(self) -> int:
        """How many were answered with an error, in all rounds."""
        return sum(each.refused for each in self.rounds)

    @property
    def max_ms(self) -> float:
        """The longest wait of all rounds."""
        return max(each.max_ms for each in self.rounds)


@dataclass
class Contender:
    """Something that answers requests at `base`, and the processes (by name, the root's id) whose CPU counts.

    `is_fresh` says that no request may be sent twice; what one round has not sent is left for the next. `rate` is a
    guess of how many a second it will take, until it is known.
    """

    base: str
    pids: Mapping[str, int]
    source: Source
    is_fresh: bool = False
    rate: float = 5_000.0
    left: list[str] = field(default_factory=list)

    def play(self, folder: Path, seconds: int) -> Round:
        """One round; it is repeated with more where the fresh requests or the time did not suffice."""
        margin = 2.0
        while seconds <= LONGEST_SECONDS:
            lines = self._lines(int(margin * self.rate * seconds) + 2 * CONNECTIONS)
            report, cpu = self._fire(folder, lines, seconds)
            sent = int(report["sent"])
            if self.is_fresh:
                self.left = lines[sent:]
            if report["requests"] < CONNECTIONS:
                seconds *= 2
            elif self.is_fresh and sent > len(lines):
                margin *= 2
            else:
                played = self._judge(report, cpu)
                self.rate = played.rate
                return played
        raise LoadError(f"{self.base} answers too slowly")

    def _lines(self, count: int) -> list[str]:
        lines = [*self.left, *self.source(max(0, count - len(self.left)))]
        if not lines:
            raise LoadError("there are no fresh requests left")
        return lines

    def _fire(self, folder: Path, lines: list[str], seconds: int) -> tuple[dict[str, float], dict[str, float]]:
        requests, report = folder / "requests", folder / "report"
        requests.write_text("\n".join(lines) + "\n")
        command = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT), self.base)
        env = ENV | {"BENCH_REQUESTS": str(requests), "BENCH_REPORT": str(report)}
        before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=seconds + 60)
        spent = {name: cpu_seconds(pid) - before[name] for name, pid in self.pids.items()}
        return json.loads(report.read_text()), spent

    def _judge(self, report: Mapping[str, float], cpu: Mapping[str, float]) -> Round:
        count = int(report["requests"])
        if report["broken"] or report["refused"] > REFUSED_AT_MOST * count:
            raise LoadError(f"{self.base}: {report}")
        return Round(
            count,
            int(report["sent"]),
            int(report["refused"]),
            report["seconds"],
            report["p50_us"] / 1000,
            report["p99_us"] / 1000,
            report["max_us"] / 1000,
            {name: 1e6 * seconds / count for name, seconds in cpu.items()},
        )


def repeated(lines: Iterable[str]) -> Source:
    """A source of the same lines in each round."""
    kept = list(lines)
    return lambda _: kept


def compare(folder: Path, rounds: int, seconds: int, *contenders: Contender) -> list[Results]:
    """The results of each contender, from rounds in turn: what else the machine does meets all of them alike."""
    played: list[list[Round]] = [[] for _ in contenders]
    for contender in contenders:
        contender.play(folder, WARM_UP_SECONDS)
    for _ in range(rounds):
        for kept, contender in zip(played, contenders, strict=True):
            kept.append(contender.play(folder, seconds))
    return [Results(tuple(kept)) for kept in played]
