"""The tables can be distributed as `swiper.db.distribution` says."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint

from swiper.db.distribution import (
    COLUMNS,
    PLACES,
    REFERENCE_TABLES,
    Group,
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
