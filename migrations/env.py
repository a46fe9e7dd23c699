"""Runs the migrations on the application's own engine; `flask db` brings the application context."""

from alembic import context
from flask import current_app

from swiper.db.partitions import is_part
from swiper.db.upgrades import LOCK_MILLISECONDS, repeat_while_locked, upgrade_connection, upgrade_lock

config = context.config
extension = current_app.extensions["migrate"]
metadata = extension.db.metadata


def skip_empty_revisions(_context, _revision, directives):
    """`flask db migrate` writes no file when the schema has not changed."""
    if getattr(config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()


def is_ours(name, kind, _parents):
    """The parts of a split table belong to it, so they are not compared with the models."""
    return kind != "table" or not is_part(name)


# What a migration has done is committed with its revision, so no lock outlives it.
options = {
    "target_metadata": metadata,
    "transaction_per_migration": True,
    "process_revision_directives": skip_empty_revisions,
    "include_name": is_ours,
} | extension.configure_args


def run_offline():
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    url = extension.db.engine.url
    context.configure(url=url.render_as_string(hide_password=False), literal_binds=True, **options)
    if url.get_backend_name() == "postgresql":
        context.execute(f"SET lock_timeout = {LOCK_MILLISECONDS}")
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Run the migrations on the primary database, or only look at it."""
    engine = extension.db.engine
    if not has_target():
        with engine.connect() as connection:
            context.configure(connection=connection, **options)
            run()
        return
    with upgrade_lock(engine), upgrade_connection(engine) as connection:
        context.configure(connection=connection, **options)
        repeat_while_locked(run)


def run():
    """Do what is left to do."""
    with context.begin_transaction():
        context.run_migrations()


def has_target():
    """Return True for the commands that bring the database to a revision: upgrade, downgrade and stamp."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


if context.is_offline_mode():
    run_offline()
else:
    run_online()
