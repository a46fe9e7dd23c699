"""Runs the migrations on the application's own engine; `flask db` brings the application context."""

from alembic import context
from flask import current_app

config = context.config
extension = current_app.extensions["migrate"]
metadata = extension.db.metadata


def skip_empty_revisions(_context, _revision, directives):
    """`flask db migrate` writes no file when the schema has not changed."""
    if getattr(config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()


def run_offline():
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    context.configure(
        url=extension.db.engine.url.render_as_string(hide_password=False),
        target_metadata=metadata,
        literal_binds=True,
        **extension.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Run the migrations on the primary database."""
    options = {"process_revision_directives": skip_empty_revisions} | extension.configure_args
    with extension.db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, **options)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
