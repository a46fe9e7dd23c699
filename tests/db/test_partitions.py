"""The statements of `flask partition`; what they do is in `single_node/test_partitions.py`."""

import os

import pytest
from flask import Flask
from sqlalchemy.schema import CreateTable

from swiper.db.partitions import PARTITIONED, PartitionError, all_statements, is_part, statements_for
from swiper.extensions import db


def test_only_the_parts_are_taken_for_parts() -> None:
    assert [
        name for name in ("swipes", "swipes_part0", "pairs_part17", "users_part1", "swipes_part") if is_part(name)
    ] == [
        "swipes_part0",
        "pairs_part17",
    ]


def test_each_table_is_locked_copied_and_keeps_the_names_of_its_indexes() -> None:
    statements = statements_for(db.metadata.tables["swipes"], 2)
    assert statements[0] == "LOCK TABLE swipes IN ACCESS EXCLUSIVE MODE"
    assert "CREATE TABLE swipes_part1 PARTITION OF swipes FOR VALUES WITH (MODULUS 2, REMAINDER 1)" in statements
    assert any("PARTITION BY HASH (uid)" in statement for statement in statements)
    assert "CREATE INDEX ix_swipes_uid_swiped_at ON swipes (uid, swiped_at)" in statements


def test_the_models_still_make_whole_tables_afterwards() -> None:
    statements_for(db.metadata.tables["swipes"], 2)
    assert "PRIMARY KEY (uid, sid)" in str(CreateTable(db.metadata.tables["swipes"]))


@pytest.mark.parametrize("parts", [-1, 0, 1, 257])
def test_a_number_of_parts_out_of_range_is_refused(parts: int) -> None:
    with pytest.raises(PartitionError, match="from 2 to 256"):
        all_statements(db.metadata, parts)


def test_a_dry_run_prints_the_statements_and_runs_none(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["partition", "--parts", "2", "--dry-run"])
    assert result.exit_code == 0
    assert result.output.count("BEGIN;") == result.output.count("COMMIT;") == len(PARTITIONED)


def test_another_database_is_refused(app: Flask) -> None:
    if os.environ.get("TEST_DATABASE") == "postgres":
        return
    result = app.test_cli_runner().invoke(args=["partition"])
    assert (result.exit_code, result.output) == (
        1,
        "Error: Only PostgreSQL partitions tables; this database is another one.\n",
    )
