"""`flask distribute` on PostgreSQL.

No test has a Citus cluster: a schema stands in for the extension; its functions note how they are called.
"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from swiper.db import distribution
from swiper.db.distribution import DistributionError, distribute, statements_for
from swiper.extensions import db

# Citus' part, played by functions of the same names.

STAND_INS = """
CREATE SCHEMA stand_in;
CREATE TABLE stand_in.pg_extension (extname text);
INSERT INTO stand_in.pg_extension VALUES ('citus');
CREATE TABLE stand_in.citus_tables (table_name regclass, citus_table_type text, distribution_column text, beside text);
CREATE FUNCTION stand_in.create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS
  $$ INSERT INTO stand_in.citus_tables VALUES (table_name, 'reference', '<none>', NULL) $$;
CREATE FUNCTION stand_in.create_distributed_table(table_name regclass, distribution_column text, colocate_with text)
  RETURNS void LANGUAGE sql AS
  $$ INSERT INTO stand_in.citus_tables VALUES (table_name, 'distributed', distribution_column, colocate_with) $$;
"""


@pytest.fixture
def cluster(migrated_app: Flask) -> Iterator[Engine]:
    with migrated_app.app_context():
        url = db.engine.url
    # The schema comes before PostgreSQL's own, so that its list of extensions is the one that is found.
    path = {"options": "-c search_path=stand_in,pg_catalog,public"}
    engine = create_engine(url, poolclass=NullPool, connect_args=path)
    with engine.begin() as connection:
        connection.execute(text(STAND_INS))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA stand_in CASCADE"))


def noted(engine: Engine) -> dict[str, tuple[str, str, str | None]]:
    rows = "SELECT CAST(table_name AS text), citus_table_type, distribution_column, beside FROM citus_tables"
    with engine.connect() as connection:
        return {name: (kind, column, beside) for name, kind, column, beside in connection.execute(text(rows))}


def test_each_table_is_distributed_once(cluster: Engine) -> None:
    assert distribute(cluster, db.metadata) == statements_for(db.metadata)
    tables = noted(cluster)
    assert set(tables) == set(db.metadata.tables)
    assert tables["users"] == ("distributed", "id", "none")
    assert tables["pairs"] == ("distributed", "uid1", "users")
    assert tables["operators"] == ("reference", "<none>", None)
    assert distribute(cluster, db.metadata) == []


def test_a_run_that_was_broken_off_is_completed(cluster: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = statements_for

    def broken(metadata: MetaData, done: dict[str, tuple[str, str]]) -> list[str]:
        return [*whole(metadata, done)[:5], "SELECT 1 / 0", *whole(metadata, done)[5:]]

    with monkeypatch.context() as patch:
        patch.setattr(distribution, "statements_for", broken)
        with pytest.raises(Exception, match="division by zero"):
            distribute(cluster, db.metadata)
    assert len(noted(cluster)) == 5
    assert distribute(cluster, db.metadata) == statements_for(db.metadata)[5:]


@pytest.mark.parametrize(
    "call",
    [
        "create_distributed_table('likes_in', 'uid', 'none')",
        "create_reference_table('users')",
        "create_distributed_table('vip_levels', 'level', 'none')",
    ],
)
def test_a_table_that_is_distributed_in_another_way_is_named(cluster: Engine, call: str) -> None:
    with cluster.begin() as connection:
        connection.execute(text(f"SELECT {call}"))
    with pytest.raises(DistributionError, match=call.split("'")[1]):
        distribute(cluster, db.metadata)
    assert len(noted(cluster)) == 1


def test_a_table_that_is_none_of_ours_stays(cluster: Engine) -> None:
    with cluster.begin() as connection:
        connection.execute(text("SELECT create_reference_table('alembic_version')"))
    assert distribute(cluster, db.metadata) == statements_for(db.metadata)


def test_the_command_tells_how_many_tables_it_distributed(cluster: Engine, make_app: Callable[..., Flask]) -> None:
    url = cluster.url.update_query_dict({"options": "-c search_path=stand_in,pg_catalog,public"})
    app = make_app(database_url=url.render_as_string(hide_password=False))
    runner, count = app.test_cli_runner(), len(db.metadata.tables)
    assert f"{count} tables are distributed, 0 were before." in runner.invoke(args=["distribute"]).output
    assert f"0 tables are distributed, {count} were before." in runner.invoke(args=["distribute"]).output
