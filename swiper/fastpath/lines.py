"""Connections that a worker's greenlets use without a timer and a watcher of its own for each call.

One may be shared by all: what they ask at the same moment leaves together. A server answers in the order in which it
was asked, so each answer belongs to whoever has waited longest. A busy worker then sends and receives once for many
requests, where a connection for each would cost system calls and wake-ups for each, here and in the server.

What would keep others waiting has a connection of its own while it lasts: a `Crew` has several of them.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent import get_hub
from gevent.event import AsyncResult
from gevent.hub import Waiter
from gevent.monkey import is_module_patched

log = logging.getLogger(__name__)

READABLE, WRITABLE = 1, 2
CHECK_SECONDS = 0.1


class Call:
    """What one greenlet has asked, and the answers that have come so far."""

    __slots__ = ("answers", "checks_left", "line", "question", "waiter")

    def __init__(self, question: Any, checks_left: int = 0) -> None:
        self.question = question
        self.checks_left = checks_left
        self.line: Line | None = None
        self.answers: list[Any] = []
        # None once nobody waits any more; the answers come all the same, and are given to nobody.
        self.waiter: Waiter | None = Waiter()

    def wait(self) -> Any:
        """What the greenlet is given that has asked. Raises what it is told instead."""
        waiter: Any = self.waiter
        try:
            return waiter.get()
        finally:
            self.waiter = None


class Line:
    """The base of such connections; `is_open` is False when one takes no more questions.

    Its methods with an underscore run in the hub, or as if they did: nothing in them may wait.
    """

    def __init__(self, handle: int, seconds: float) -> None:
        """`handle` is the socket's number, `seconds` how long an answer may take."""
        self.hub = get_hub()
        self.is_open = True
        self.has_ended = False
        self.checks = max(1, round(seconds / CHECK_SECONDS))
        self.calls: deque[Call] = deque()
        self.is_sending = False
        loop = self.hub.loop
        self.when_readable, self.when_writable = loop.io(handle, READABLE), loop.io(handle, WRITABLE)
        self.timer = loop.timer(CHECK_SECONDS, CHECK_SECONDS)
        self.when_readable.start(self._receive)

    def call(self, question: Any) -> list[Any]:
        """The answers to a question. Raises what `lost` makes where the connection is, what `late` makes in time."""
        if not self.is_open:
            raise self.lost("it has ended")
        call = Call(question)
        self._note(call)
        if not self.is_sending:
            # Runs when no greenlet can go on: by then they all have said what they ask.
            self.is_sending = True
            self.hub.loop.run_callback(self._begin)
        answers: list[Any] = call.wait()
        return answers

    def start(self, call: Call) -> None:
        """Ask at once; somebody waits for the answers, or is about to."""
        self._note(call)
        self._send()

    def close(self) -> None:
        """End it soon; who still waits is told that the connection is lost."""
        self.is_open = False
        self.hub.loop.run_callback(self._end, "it was closed")

    def put(self, call: Call) -> None:
        """Note what is to be sent."""
        raise NotImplementedError

    def lost(self, why: str) -> Exception:
        """What those are told who wait when the connection ends."""
        raise NotImplementedError

    def late(self) -> Exception:
        """What those are told who have waited for too long."""
        raise NotImplementedError

    def hang_up(self) -> None:
        """Close the connection itself."""
        raise NotImplementedError

    def _flush(self) -> bool:
        """Send what was put; False where the kernel's buffer is full."""
        raise NotImplementedError

    def _read(self) -> None:
        """Take in what has arrived and `_answer`."""
        raise NotImplementedError

    def _note(self, call: Call) -> None:
        call.line = self
        call.checks_left = self.checks
        self.calls.append(call)
        self.put(call)
        if not self.timer.active:
            self.timer.start(self._check, update=True)

    def _begin(self) -> None:
        self.is_sending = False
        self._send()

    def _send(self) -> None:
        if self.has_ended:
            return
        try:
            is_done = self._flush()
        except Exception as error:
            log.warning("a connection could not be written to: %s", type(error).__name__)
            self._end("it could not be written to")
            return
        if is_done and self.when_writable.active:
            self.when_writable.stop()
        elif not is_done and not self.when_writable.active:
            self.when_writable.start(self._send)

    def _receive(self) -> None:
        try:
            self._read()
        except Exception as error:
            if self.calls:
                log.warning("a connection could not be read from: %s", type(error).__name__)
            self._end("it could not be read from")
            return
        self._end_if_left()

    def _answer(self, call: Call) -> None:
        """Let whoever asked go on, at once, until they wait for something else; they may even end this."""
        if call.waiter is not None:
            call.waiter.switch(call.answers)

    def _check(self) -> None:
        """Tell those who have waited for too long.

        Counted are moments at which this worker was free to read an answer, so that a busy one does not take its own
        lateness for the server's. What comes later has nobody to go to, and others had better ask on a new connection.
        """
        if not self.calls:
            self.timer.stop()
        for call in list(self.calls):
            call.checks_left -= 1
            if call.checks_left < 0:
                self.is_open = False
                if call.waiter is not None:
                    call.waiter.throw(self.late())
        self._end_if_left()

    def _end_if_left(self) -> None:
        if not self.is_open and not any(call.waiter for call in self.calls):
            self._end("nobody waits any more")

    def _end(self, why: str) -> None:
        if self.has_ended:
            return
        self.has_ended, self.is_open = True, False
        for watcher in (self.when_readable, self.when_writable, self.timer):
            watcher.stop()
            watcher.close()
        self.hang_up()
        calls, self.calls = self.calls, deque()
        for call in calls:
            if call.waiter is not None:
                call.waiter.throw(self.lost(why))


class CrewLine(Line):
    """One of a crew's: it is asked one thing at a time, and says when it is free and when it is gone."""

    def is_usable(self) -> bool:
        """False where the server has ended this idle line; asks the kernel."""
        raise NotImplementedError


L = TypeVar("L", bound=Line)
C = TypeVar("C", bound=CrewLine)


class Keeper(Generic[L]):
    """Has the line of a worker, and makes another when it has ended: one greenlet does, the others wait for it."""

    def __init__(self, make: Callable[[], L]) -> None:
        """`make` connects; what it raises is told to all who wait."""
        self.make = make
        self.is_patched = is_module_patched("socket")
        self.line: L | None = None
        self.making: AsyncResult | None = None

    def is_for_us(self) -> bool:
        """True in the greenlets of a gevent worker; threads have no hub in common."""
        return self.is_patched and (self.line is None or self.line.hub is get_hub())

    def get(self) -> L:
        """An open line. Raises what `make` does."""
        while True:
            if self.line is not None and self.line.is_open:
                return self.line
            if self.making is None:
                return self._make()
            found = self.making.get()
            if isinstance(found, Exception):
                raise found.with_traceback(None)

    def _make(self) -> L:
        made = self.making = AsyncResult()
        failed: Exception | None = None
        try:
            self.line = self.make()
            return self.line
        except Exception as error:
            failed = error
            raise
        finally:
            # Also where this greenlet is ended meanwhile: then somebody else has to.
            self.making = None
            made.set(failed)

    def close(self) -> None:
        """End the line, should there be one."""
        if self.line is not None:
            self.line.close()


class Crew(Generic[C]):
    """Several lines of a worker that answer one call at a time; whoever finds none free is served in their turn."""

    def __init__(self, make: Callable[[], C], size: int, seconds: float, late: Callable[[], Exception]) -> None:
        """`make` connects; there are at most `size` lines. `late` is told to who has waited `seconds` for one.

        A line says when it can take another call (`free`), and when it has ended (`gone`).
        """
        self.make, self.size, self.late = make, size, late
        self.checks = max(1, round(seconds / CHECK_SECONDS))
        # Those that are there or are being made. While somebody waits, nothing is idle: so nobody overtakes.
        self.count = 0
        self.idle: list[C] = []
        # The others that are there end with their next answer.
        self.current: set[C] = set()
        self.waiting: deque[Call] = deque()
        self.loop = get_hub().loop
        self.timer = self.loop.timer(CHECK_SECONDS, CHECK_SECONDS)

    def call(self, question: Any) -> Call:
        """A call with its answers. Raises what `make` and the line do, and what `late` makes.

        Whoever is ended while they wait for an answer takes their line with them.
        """
        line, call = self._idle_one(), Call(question, self.checks)
        try:
            if line is None:
                if (self.waiting or self.count >= self.size) and self._is_answered_in_turn(call):
                    return call
                line, call = self._make(), Call(question)
            line.start(call)
            call.wait()
        except BaseException:
            if call.line is not None:
                call.line.close()
            raise
        return call

    def free(self, line: C) -> None:
        """`line` has answered; runs in the hub."""
        if line not in self.current:
            line.close()
        elif self.waiting:
            line.start(self.waiting.popleft())
        else:
            self.idle.append(line)

    def gone(self, line: C) -> None:
        """`line` has ended, and there may be another."""
        self.current.discard(line)
        if line in self.idle:
            self.idle.remove(line)
        self._give_up_place()

    def renew(self) -> None:
        """End those that nobody uses, and the others once they have answered."""
        self.current.clear()
        unused, self.idle = self.idle, []
        for line in unused:
            line.close()

    def _idle_one(self) -> C | None:
        while self.idle:
            line = self.idle.pop()
            if line.is_usable():
                return line
            line.close()
        return None

    def _make(self) -> C:
        self.count += 1
        try:
            line = self.make()
        except BaseException:
            self._give_up_place()
            raise
        self.current.add(line)
        return line

    def _give_up_place(self) -> None:
        self.count -= 1
        self.loop.run_callback(self._invite)

    def _invite(self) -> None:
        """Let those go on who waited while there were as many lines as may be; each makes one at once."""
        while self.waiting and self.count < self.size:
            waiter: Any = self.waiting.popleft().waiter
            waiter.switch(False)

    def _is_answered_in_turn(self, call: Call) -> bool:
        """Wait for a line that becomes free, and for its answers; False where the caller is to make one instead."""
        self.waiting.append(call)
        if not self.timer.active:
            self.timer.start(self._check, update=True)
        try:
            return call.wait() is not False
        except BaseException:
            if call.line is None:
                self.waiting.remove(call)
            raise

    def _check(self) -> None:
        """Tell those who have waited for a line for too long; see `Line._check`."""
        if not self.waiting:
            self.timer.stop()
        for call in list(self.waiting):
            call.checks_left -= 1
            if call.checks_left < 0 and call.waiter is not None:
                call.waiter.throw(self.late())
