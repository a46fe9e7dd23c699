"""HAProxy as `deploy/ha/haproxy.cfg` has it, on ports of its own."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.servers import ENV, Server
from config.settings import ROOT
from tests.processes import Program, free_port

CONFIGURATION = ROOT / "deploy/ha/haproxy.cfg"
# The parts of the file, by the variable of the address that each listens on.
PARTS = ("GALERA", "POSTGRES", "REPLICAS", "REDIS")
# Nothing listens there.
NOWHERE = "127.0.0.1:9"


class HAProxy(Server):
    """`addresses` are variables of the file, such as GALERA_1; where a server has none, nothing listens."""

    def __init__(self, folder: Path, part: str, addresses: Mapping[str, str]) -> None:
        super().__init__(folder)
        binds = {f"{name}_BIND": f"127.0.0.1:{self.port if name == part else free_port()}" for name in PARTS}
        nowhere = {f"{name}_{number}": NOWHERE for name in ("GALERA", "POSTGRES", "REDIS") for number in (1, 2, 3)}
        self.variables = nowhere | binds | dict(addresses)

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return ("haproxy", "-db", "-f", CONFIGURATION)

    def start(self) -> None:
        """See `Server`."""
        self.program = Program(self.command(), ENV | self.variables, self.folder / "log")
        self.program.wait_for(self.answers, "HAProxy does not serve")

    def answers(self) -> bool:
        """See `Server`: it listens, whether a server behind it answers or not."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
