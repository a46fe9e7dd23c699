"""The tables can be distributed as `swiper.db.distribution` says, and `flask distribute` does it.

No test has a Citus cluster: on PostgreSQL a schema stands in for the extension; its functions note how they are called.
"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import MetaData, PrimaryKeyConstraint, Table, UniqueConstraint, create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from swiper.db import distribution
from swiper.db.distribution import (
    COLUMNS,
    PLACES,
    REFERENCE_TABLES,
    DistributionError,
    Group,
    distribute,
    statements_for,
)
from swiper.extensions import db

TABLES = list(db.metadata.sorted_tables)


def test_every_table_has_one_place() -> None:
    named = [*(table for tables in COLUMNS.values() for table in tables), *REFERENCE_TABLES]
    assert sorted(named) == sorted(db.metadata.tables)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_unique_key_contains_the_distribution_column(table: Table) -> None:
    column = PLACES[table.name].column
    keys = [
        {each.name for each in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    ]
    keys += [{each.name for each in index.columns} for index in table.indexes if index.unique]
    assert keys
    assert column is None or all(column in key for key in keys)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_foreign_key_stays_on_one_machine(table: Table) -> None:
    own = PLACES[table.name]
    for key in table.foreign_keys:
        other = PLACES[key.column.table.name]
        is_within_group = own.group is other.group and (key.parent.name, key.column.name) == (own.column, other.column)
        assert other.group is Group.REFERENCE or is_within_group


def test_the_columns_of_one_group_have_one_type() -> None:
    for tables in COLUMNS.values():
        types = {repr(db.metadata.tables[name].c[column].type) for name, column in tables.items()}
        assert len(types) == 1


# The statements.


def test_a_table_comes_after_those_that_it_needs() -> None:
    order = [statement.split("'")[1] for statement in statements_for(db.metadata)]
    assert sorted(order) == sorted(db.metadata.tables)
    for tables in COLUMNS.values():
        assert order.index(next(iter(tables))) == min(map(order.index, tables))
    for table in TABLES:
        for key in table.foreign_keys:
            assert order.index(key.column.table.name) < order.index(table.name)


def test_a_group_begins_by_itself_and_the_others_join_it() -> None:
    statements = statements_for(db.metadata)
    assert "SELECT create_distributed_table('users', 'id', colocate_with => 'none')" in statements
    assert "SELECT create_distributed_table('likes_in', 'sid', colocate_with => 'users')" in statements
    assert "SELECT create_distributed_table('discovery', 'location', colocate_with => 'none')" in statements
    assert "SELECT create_reference_table('vip_levels')" in statements


def test_a_dry_run_prints_the_statements_on_any_database(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["distribute", "--dry-run"])
    assert result.exit_code == 0
    assert result.output == "".join(f"{statement};\n" for statement in statements_for(db.metadata))


def test_without_citus_the_command_refuses(runner: FlaskCliRunner, app: Flask) -> None:
    with app.app_context():
        name = db.engine.dialect.name
    result = runner.invoke(args=["distribute"])
    assert result.exit_code == 1
    wanted = "lacks the extension citus" if name == "postgresql" else "Only PostgreSQL"
    assert wanted in result.output
    assert "Traceback" not in result.output


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
    if url.get_backend_name() != "postgresql":
        pytest.skip("Citus is an extension of PostgreSQL")
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
