"""Fake SMS gateways that speak as Aliyun and Ronglian do, and refuse, hang, answer late or die as they are told."""

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.fake_server import Answer, Received, make_handler
from tests.processes import free_port

MAINLAND = "+86"


class Mode(Enum):
    """What a gateway does with a message."""

    OK = auto()
    # Answers at once that it does not send this one.
    REFUSE = auto()
    # Keeps the connection open and says nothing; sends nothing.
    HANG = auto()
    # Sends it, and answers after the client has given up.
    LATE = auto()
    # Waits for `let_go`, which says what becomes of the message; only messages to the numbers that `hold` names.
    HOLD = auto()


@dataclass(frozen=True)
class Message:
    """One message as it arrived; `is_sent` tells whether the phone got it, `at` is in seconds of the wall clock."""

    provider: str
    phone: str
    code: str
    at: float
    is_sent: bool


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    # Handlers are joined at the end.
    daemon_threads = False

    def __init__(self, port: int, handler: Any) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.ended: list[Any] = []

    def shutdown_request(self, request: Any) -> None:
        """Called once an answer has left."""
        super().shutdown_request(request)
        self.ended.append(request)


class Gateway(ABC):
    """A context manager that serves on a port of its own; it may be killed and started again."""

    name: str
    ok: Any
    refusal: Any

    def __init__(self, late_seconds: float) -> None:
        """`late_seconds` is how long an answer takes in the mode LATE: longer than the client's patience."""
        self.late_seconds = late_seconds
        self.port = free_port()
        self.messages: list[Message] = []
        self.server: _Server | None = None
        self.thread = threading.Thread()
        # The event is set when the mode is over.
        self._mode = (Mode.OK, threading.Event())
        self._verdict = False
        self._to_hold: frozenset[str] = frozenset()
        self._holding: list[Received] = []

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def held(self) -> int:
        """How many messages wait in the mode HOLD."""
        return len(self._holding)

    @abstractmethod
    def read(self, request: Received) -> tuple[str, str]:
        """The bare number and the code in a request."""

    def change(self, mode: Mode) -> None:
        """From now on do this; a gateway that was dead is started. What hung or was late is cut off."""
        (_, over), self._mode = self._mode, (mode, threading.Event())
        over.set()
        if self.server is None:
            self.server = _Server(self.port, make_handler(self))  # type: ignore[arg-type]
            self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
            self.thread.start()

    def hold(self, phones: Sequence[str]) -> None:
        """Keep messages to `phones` waiting, send all others."""
        self._to_hold = frozenset(phones)
        self.change(Mode.HOLD)

    def let_go(self, are_sent: bool) -> None:
        """Answer all messages that are held, sent or refused, and return when the answers have left; hold no more."""
        assert self.server is not None, f"{self.name} is dead"
        goal = len(self.server.ended) + len(self._holding)
        self._verdict = are_sent
        self.change(Mode.OK)
        deadline = time.monotonic() + 10
        while len(self.server.ended) < goal:
            assert time.monotonic() < deadline, f"{self.name} does not answer"
            time.sleep(0.005)
        self._holding.clear()

    def die(self) -> None:
        """Close the port and all connections."""
        if self.server is None:
            return
        self._mode[1].set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.server = None

    def answer(self, request: Received) -> Answer:
        """What is sent for one request; the handler's thread waits here."""
        (mode, over), arrived = self._mode, time.time()
        number, code = self.read(request)
        phone = MAINLAND + number
        if mode is Mode.HOLD and phone not in self._to_hold:
            mode = Mode.OK
        is_sent = mode in (Mode.OK, Mode.LATE)
        if mode is Mode.HOLD:
            self._holding.append(request)
            over.wait()
            is_sent = self._verdict
        self.messages.append(Message(self.name, phone, code, arrived, is_sent))
        if mode is Mode.HANG:
            over.wait()
        elif mode is Mode.LATE:
            over.wait(self.late_seconds)
        return Answer(body=self.ok if is_sent else self.refusal)

    def __enter__(self) -> Self:
        self.change(Mode.OK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()


class AliyunGateway(Gateway):
    """https://help.aliyun.com/document_detail/419273.html"""

    name = "aliyun"
    ok = {"Code": "OK", "Message": "OK", "BizId": "9006197469364984400", "RequestId": "F655A8D5"}
    refusal = {"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "limit", "RequestId": "F655A8D5"}

    def read(self, request: Received) -> tuple[str, str]:
        """See `Gateway`."""
        return request.query["PhoneNumbers"], json.loads(request.query["TemplateParam"])["code"]


class RonglianGateway(Gateway):
    """The docstring of `SmsSDK.sendMessage`."""

    name = "ronglian"
    ok = {"statusCode": "000000", "templateSMS": {"dateCreated": "20130201155306", "smsMessageSid": "ff80"}}
    refusal = {"statusCode": "160038", "statusMsg": "limit"}

    def read(self, request: Received) -> tuple[str, str]:
        """See `Gateway`."""
        fields = json.loads(request.body)
        return fields["to"], fields["datas"][0]
