"""`python -m deploy.backup`: makes, checks and restores backups of the site whose settings are in force."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.backup import create, restore
from deploy.backup.archive import read_archive
from deploy.backup.errors import BackupError
from deploy.backup.keys import make_key, read_identities
from deploy.operate.steps import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line names. Return the exit code: 0, or 1 for a refusal."""
    given = parser().parse_args(arguments)
    try:
        given.run(given)
    except (BackupError, OSError) as error:
        for line in str(error).splitlines():
            print(f"swiper: {line}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    top = argparse.ArgumentParser(prog="python -m deploy.backup", description="Backups of a site (docs/backup.md).")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    making = commands.add_parser("create", help="make a backup, then remove those that are too old")
    making.set_defaults(run=_create)
    making.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder of the backups")
    making.add_argument("--key", type=Path, metavar="FILE", help="encrypt with the keys of this file of age")
    making.add_argument("--keep", type=_positive, default=7, metavar="N", help="how many backups stay (7)")
    making.add_argument(
        "--keep-days", type=_positive, default=0, metavar="N", help="for how many days older ones stay as well (0)"
    )
    making.add_argument("--with-sessions", action="store_true", help="also the sessions, so that nobody logs in again")
    making.add_argument("--with-secrets", action="store_true", help="also the secret settings")
    making.add_argument("--dry-run", action="store_true", help="tell what would be done")
    restoring = commands.add_parser("restore", help="restore a backup into an empty site that does not run")
    restoring.set_defaults(run=_restore)
    restoring.add_argument("archive", type=Path)
    restoring.add_argument("--key", type=Path, metavar="FILE", help="decrypt with the secret keys of this file of age")
    restoring.add_argument(
        *("--deletions",),
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a list of deleted accounts, beside that of the site; may be given several times",
    )
    restoring.add_argument("--without-deletions", action="store_true", help="go on without any such list")
    restoring.add_argument("--replace", action="store_true", help="remove what the site has")
    restoring.add_argument("--dry-run", action="store_true", help="check everything and change nothing")
    restoring.add_argument("--work", type=Path, required=True, metavar="DIR", help="a folder for passing files")
    verifying = commands.add_parser("verify", help="read a backup and check every part of it")
    verifying.set_defaults(run=_verify)
    verifying.add_argument("archive", type=Path)
    verifying.add_argument("--key", type=Path, metavar="FILE")
    making_key = commands.add_parser("key", help="make a key")
    making_key.set_defaults(run=_make_key)
    making_key.add_argument("file", type=Path)
    return top


def _positive(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _create(given: argparse.Namespace) -> None:
    create.create(
        create.Options(
            folder=given.to,
            key=given.key,
            keep=given.keep,
            keep_days=given.keep_days,
            with_sessions=given.with_sessions,
            with_secrets=given.with_secrets,
            is_dry_run=given.dry_run,
        )
    )


def _restore(given: argparse.Namespace) -> None:
    options = restore.Options(
        archive=given.archive,
        key=given.key,
        deletions=tuple(given.deletions),
        without_deletions=given.without_deletions,
        is_replacing=given.replace,
        is_dry_run=given.dry_run,
    )
    restore.restore(options, given.work)


def _verify(given: argparse.Namespace) -> None:
    manifest = read_archive(given.archive, read_identities(given.key) if given.key else [])
    say(
        f"{given.archive} is whole: {manifest.made_at}, release {manifest.version}, {manifest.database}, "
        f"{manifest.media.count} pictures"
    )


def _make_key(given: argparse.Namespace) -> None:
    public = make_key(given.file)
    say(f"the public key is {public}. It is enough to make backups; keep {given.file} where no backup is")


if __name__ == "__main__":
    sys.exit(main())
