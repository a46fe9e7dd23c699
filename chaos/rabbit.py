"""A cluster of three RabbitMQ nodes on loopback, with a name server (epmd) of its own."""

from collections.abc import Sequence
from pathlib import Path

from kombu.connection import Connection

from chaos.server_group import ServerGroup
from chaos.servers import ENV, Server
from tests.processes import Program, free_port

NODES = ("a", "b", "c")
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class RabbitNode(Server):
    """One node. It joins the others that `file` names, and listens when it has joined them."""

    def __init__(self, folder: Path, name: str, epmd_port: int) -> None:
        super().__init__(folder)
        self.name, self.epmd_port = name, epmd_port
        self.distribution_port = free_port()

    def command(self) -> Sequence[object]:
        """See `Server`."""
        shared = self.folder.parent
        variables = {
            "HOME": shared,
            "ERL_EPMD_PORT": self.epmd_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self.distribution_port,
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOGS": self.folder / "rabbit.log",
            "RABBITMQ_PID_FILE": self.folder / "pid",
            "RABBITMQ_CONFIG_FILE": shared / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": shared / "plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
        }
        return ("env", *(f"{name}={value}" for name, value in variables.items()), PROGRAM)

    @property
    def url(self) -> str:
        """The node's address for Celery."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def answers(self) -> bool:
        """See `Server`."""
        with Connection(self.url, connect_timeout=2) as connection:
            try:
                return bool(connection.connect())
            except OSError:
                return False


class RabbitGroup(ServerGroup):
    """Three nodes, of which each two keep all that quorum queues hold."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.epmd_port = free_port()
        (folder / "plugins").write_text("[].\n")
        cookie = folder / ".erlang.cookie"
        cookie.write_text("loopback")
        cookie.chmod(0o400)
        names = [f"{name}{self.epmd_port}" for name in NODES]
        lines = [f"classic_config.nodes.{place} = {name}@localhost" for place, name in enumerate(names, 1)]
        settings = ["peer_discovery_backend = classic_config", *lines]
        (folder / "rabbitmq.conf").write_text("".join(f"cluster_formation.{line}\n" for line in settings))
        self.nodes = [RabbitNode(folder / name, name, self.epmd_port) for name in names]

    @property
    def url(self) -> str:
        """What CELERY_BROKER_URL is set to."""
        return ";".join(node.url for node in self.nodes)

    def start(self) -> None:
        """See `ServerGroup`."""
        epmd = ("epmd", "-address", "127.0.0.1", "-port", self.epmd_port)
        self.stack.enter_context(Program(epmd, ENV, self.folder / "epmd.log"))
        for node in self.nodes:
            self.stack.enter_context(node)
