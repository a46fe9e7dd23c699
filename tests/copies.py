"""A running copy of the whole service, started as `make run` starts it, on an instance folder and a port of its own."""

import json
import stat
import sys
from pathlib import Path

import psutil

from tests.processes import Program, Visitor, answers_at, environment, free_port, is_running

PHONE = "13912345678"


class Copy:
    """One running copy of the service."""

    def __init__(self, instance: Path, log: Path, port: int | None = None, **changes: object) -> None:
        self.instance = instance
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        # All who log in here come from one address, which would soon have to solve proofs of work.
        env = environment(instance, **{"PORT": self.port, "PROOF_OF_WORK_PERCENT": 100} | changes)
        self.program = Program((sys.executable, "-m", "deploy.run"), env, log)

    def wait_until_serving(self) -> None:
        self.program.wait_for_line("Swiper serves on ")
        self.family = self.program.children()

    def visit(self) -> Visitor:
        return Visitor(self.base)

    def log_in(self, visitor: Visitor, phone: str = PHONE) -> str:
        """The whole way of a person: ask for a code, read it where the console provider puts it, log in."""
        before = len(self.codes())
        assert visitor.post("/api/user/verify", data={"phonenum": phone}).status_code == 200
        self.program.wait_for(lambda: len(self.codes()) > before, "no code went out")
        answer = visitor.post("/api/user/login", data={"phonenum": phone, "vcode": self.codes()[-1]["code"]})
        assert answer.status_code == 200, answer.text
        uid: str = answer.json()["data"]["id"]
        return uid

    def codes(self) -> list[dict[str, str]]:
        outbox = self.instance / "sms-outbox.jsonl"
        return [json.loads(line) for line in outbox.read_text().splitlines()] if outbox.exists() else []

    def sockets(self) -> list[Path]:
        return [path for path in self.instance.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]

    def leftovers(self) -> list[psutil.Process]:
        """Members of the family that outlived the supervisor."""
        return [member for member in self.family if is_running(member.pid)]

    def is_gone(self) -> bool:
        return not self.leftovers() and not answers_at(self.base, "/healthz")
