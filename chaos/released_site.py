"""A site that `deploy/swiper` runs, by pid files, behind nginx that reaches the instances on their unix sockets."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import flask_migrate

from chaos.site import Site
from config.settings import ROOT
from swiper.extensions import db
from swiper.vip.levels import seed_levels
from tests.front import render, start_nginx
from tests.operate.sites import SiteFolder, copy_code
from tests.processes import answers_at, free_port

FIRST, SECOND = "1", "2"
# Only expands, as every migration does: the release before runs on it.
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("of_the_second_release", sa.Integer(), nullable=True))
"""


class ReleasedSite(Site):
    """See `Site`; release 1 runs, and `release` and `roll_back` change that."""

    def __init__(self, folder: Path, database_url: str, **changes: Any) -> None:
        super().__init__(folder, database_url, has_celery=False, metrics_bind=f"127.0.0.1:{free_port()}", **changes)
        # Its instance folder is that of the application in this process.
        self.deployed = SiteFolder(folder, self.env)

    def _start(self) -> None:
        self.stack.callback(self._dispose)
        self.stack.enter_context(self.redis)
        with self.app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            seed_levels()
            db.session.remove()
        self.deployed.add_release(FIRST)
        self.deployed.link(FIRST)
        self.deployed.swiper("start")
        sockets = [f"unix:{self.deployed.site.web_socket(number)}" for number in (1, 2)]
        text = render(self.folder, self.settings.media_dir, self.port, sockets, connections=4096)
        self.nginx = self.stack.enter_context(start_nginx(self.folder, text))
        self.nginx.wait_for(lambda: answers_at(self.base), "nginx does not serve")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.deployed.site.current_link.is_symlink():
                self.deployed.swiper("stop")
        finally:
            self.deployed.kill_all()
            super().__exit__(kind, error, trace)

    def release(self) -> None:
        """Build and run release 2, which has one more migration."""
        code = self.folder / "code"
        copy_code(code)
        versions = code / "migrations/versions"
        head = max(path.name for path in versions.glob("*.py")).partition("_")[0]
        revision = f"{int(head) + 1:04}"
        (versions / f"{revision}_second_release.py").write_text(MIGRATION.format(revision=revision, head=head))
        self.deployed.swiper("release", code, "--name", SECOND, "--environment", sys.prefix)

    def roll_back(self) -> None:
        """Return to release 1 on the schema of release 2."""
        self.deployed.swiper("rollback")

    def versions(self) -> set[str]:
        """The releases that processes run."""
        return {Path(process.cwd()).name for process in self.deployed.processes()}
