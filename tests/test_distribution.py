"""The distribution rule finds what could not run on a cluster; the page lists what looks everywhere."""

import re

import pytest

from config.settings import ROOT
from tests.bound_columns import Rule
from tests.distribution import broken_rules
from tests.recorded_statements import reasons_in, sweeps

EMPTY_LIST = "SELECT 1 FROM (SELECT 1) WHERE 1!=1"

GOOD = [
    # One machine, or those of the values that are named.
    "SELECT users.id FROM users WHERE users.id = ?",
    "SELECT users.id FROM users WHERE ? = users.id AND users.status = ?",
    "SELECT swipes.sid FROM swipes WHERE swipes.uid = ? AND swipes.sid > ?",
    "SELECT id FROM users WHERE id = ?",
    "SELECT likes_in.uid FROM likes_in WHERE likes_in.sid IN (?, ?)",
    f"SELECT users.id FROM users WHERE users.id IN ({EMPTY_LIST})",
    "SELECT users.id FROM users WHERE users.id IN (SELECT value FROM json_each(?))",
    "SELECT uploads.id FROM uploads WHERE (uploads.uid, uploads.id) IN (VALUES (?, ?), (?, ?))",
    "SELECT pairs.mask FROM pairs WHERE (pairs.uid1 = ? AND pairs.uid2 = ?) OR (pairs.uid1 = ? AND pairs.uid2 = ?)",
    "SELECT sid FROM swipes WHERE uid = :uid AND sid IN (:sids_0, :sids_1)",
    # Joins within a group, along its column.
    "SELECT 1 FROM users JOIN preferences ON preferences.uid = users.id WHERE users.id = ?",
    "SELECT 1 FROM users AS u LEFT OUTER JOIN memberships AS m ON m.uid = u.id AND m.level > ? WHERE u.id IN (?, ?)",
    "SELECT 1 FROM users, quotas WHERE users.id = quotas.uid AND quotas.uid = ?",
    # Subqueries are bound by themselves, or by what is around them.
    "SELECT count(*) FROM (SELECT friends.uid2 FROM friends WHERE friends.uid1 = ? LIMIT ?) AS anon_1",
    "SELECT users.id FROM users WHERE users.id = ? AND EXISTS (SELECT 1 FROM uploads WHERE uploads.uid = users.id)",
    "SELECT uid2 FROM friends WHERE uid1 = ? UNION ALL SELECT uid FROM memberships WHERE uid = ?",
    "WITH mine AS (SELECT uid FROM quotas WHERE uid = ?) SELECT uid FROM mine",
    # Reference tables need no column, and may be joined to anything.
    "SELECT vip_levels.name FROM vip_levels",
    "SELECT 1 FROM users LEFT OUTER JOIN operators ON operators.uid = users.id WHERE users.id = ?",
    # Writes.
    "INSERT INTO users (id, phone) VALUES (?, ?)",
    "INSERT INTO pairs (uid1, uid2, mask) VALUES (?, ?, ?) ON CONFLICT (uid1, uid2) DO UPDATE SET mask = pairs.mask",
    "INSERT INTO tombstones (uid) SELECT users.id FROM users WHERE users.id = ?",
    "UPDATE users SET status=? WHERE users.id = ?",
    "UPDATE users SET status=? WHERE 0 = 1",
    "DELETE FROM discovery WHERE discovery.location = ? AND discovery.uid = ?",
    # Neither tables of ours nor statements that read or write any.
    "SELECT 1",
    "SELECT name FROM sqlite_master",
    "BEGIN IMMEDIATE",
    "CREATE TABLE users (id INTEGER)",
]
BAD = [
    ("SELECT 1 FROM users", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id > ?", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id != ?", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE NOT users.id = ?", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.phone = ?", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id = ? OR users.phone = ?", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id = users.deck_from", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id IN (SELECT uid FROM operators)", Rule.COLUMN),
    ("SELECT 1 FROM users WHERE users.id IN (?, users.deck_from)", Rule.COLUMN),
    ("SELECT 1 FROM likes_in WHERE likes_in.uid = ?", Rule.COLUMN),
    ("SELECT uid1 FROM friends WHERE uid1 = ? UNION ALL SELECT uid1 FROM friends WHERE uid2 = ?", Rule.COLUMN),
    # Only the table that an outer join brings is bound by what the join says.
    ("SELECT 1 FROM users LEFT OUTER JOIN quotas ON quotas.uid = users.id AND users.id = ?", Rule.COLUMN),
    ("SELECT 1 FROM users LEFT OUTER JOIN quotas ON quotas.uid = users.id WHERE quotas.uid = ?", Rule.COLUMN),
    ("DELETE FROM discovery WHERE discovery.uid = ?", Rule.COLUMN),
    ("UPDATE users SET status=? WHERE users.phone = ?", Rule.COLUMN),
    ("UPDATE users SET status=? WHERE 1 = 1", Rule.COLUMN),
    ("INSERT INTO pairs (uid2, mask) VALUES (?, ?)", Rule.COLUMN),
    ("INSERT INTO pairs DEFAULT VALUES", Rule.COLUMN),
    ("INSERT INTO tombstones (uid) SELECT users.id FROM users", Rule.COLUMN),
    ("SELECT 1 FROM users JOIN phones ON phones.uid = users.id WHERE users.id = ? AND phones.phone = ?", Rule.GROUPS),
    ("SELECT 1 FROM users WHERE users.id = ? AND EXISTS (SELECT 1 FROM orders WHERE orders.id = ?)", Rule.GROUPS),
    ("INSERT INTO phones (phone, uid) SELECT phone, id FROM users WHERE users.id = ?", Rule.GROUPS),
    ("SELECT 1 FROM users, quotas WHERE users.id IN (?, ?) AND quotas.uid IN (?, ?)", Rule.JOIN),
    (
        "SELECT 1 FROM friends JOIN users ON users.id = friends.uid2 AND users.id IN (?, ?) WHERE friends.uid1 = ?",
        Rule.JOIN,
    ),
    ("SELECT 1 FROM users WHERE id IN (?, ?) AND EXISTS (SELECT 1 FROM swipes WHERE swipes.uid = ?)", Rule.JOIN),
    ("UPDATE discovery SET location=? WHERE location = ?", Rule.MOVE),
    ("INSERT INTO users (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id", Rule.MOVE),
    ("SELECT FROM WHERE", Rule.UNREADABLE),
]


def rules(statement: str, **kwargs: bool) -> set[Rule]:
    return {breach.rule for breach in broken_rules(statement, **kwargs)}


JOINED = [
    "SELECT 1 FROM users JOIN swipes ON swipes.sid = users.id WHERE users.id = ?",
    "SELECT 1 FROM users WHERE users.id IN (SELECT swipes.sid FROM swipes WHERE swipes.uid = ?)",
    # What a subquery says of the table around it binds nothing there.
    "SELECT 1 FROM users WHERE EXISTS (SELECT 1 FROM quotas WHERE quotas.uid = ? AND users.id = ?)",
]


@pytest.mark.parametrize("statement", JOINED)
def test_a_join_along_another_column_breaks_two_rules(statement: str) -> None:
    assert rules(statement) == {Rule.COLUMN, Rule.JOIN}
    assert rules(statement, is_everywhere=True) == {Rule.JOIN}


@pytest.mark.parametrize("statement", GOOD)
def test_a_statement_within_one_group_that_names_its_column_passes(statement: str) -> None:
    assert rules(statement) == set()


@pytest.mark.parametrize(("statement", "rule"), BAD)
def test_a_statement_that_breaks_a_rule_is_found(statement: str, rule: Rule) -> None:
    assert rules(statement) == {rule}


def test_a_lock_needs_one_machine() -> None:
    assert rules("SELECT 1 FROM users WHERE users.id = ?", is_locking=True) == set()
    assert rules("SELECT 1 FROM users WHERE users.id IN (?, ?)", is_locking=True) == {Rule.LOCK}
    assert rules("SELECT 1 FROM vip_levels", is_locking=True) == set()


def test_whoever_looks_everywhere_keeps_to_the_other_rules() -> None:
    sweep = "SELECT 1 FROM users WHERE users.status = ?"
    assert rules(sweep, is_everywhere=True) == set()
    assert rules(sweep, is_everywhere=True, is_locking=True) == {Rule.LOCK}
    assert rules("SELECT 1 FROM users JOIN quotas ON quotas.uid = users.id", is_everywhere=True) == set()
    joined = "SELECT 1 FROM users JOIN phones ON phones.uid = users.id"
    assert rules(joined, is_everywhere=True) == {Rule.GROUPS, Rule.JOIN}


def test_everywhere_is_for_those_alone_who_need_it() -> None:
    assert rules("SELECT 1 FROM users WHERE users.id = ?", is_everywhere=True) == {Rule.NEEDLESS}


# Who looks everywhere.


def test_the_page_lists_exactly_those_who_look_everywhere() -> None:
    page = (
        (ROOT / "docs" / "distribution.md").read_text().partition("## What looks everywhere")[2].partition("\n## ")[0]
    )
    listed = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", page, re.MULTILINE)
    assert listed == sweeps()


def test_a_reason_is_found_in_a_function_and_in_a_statement_of_a_module() -> None:
    code = """
PENDING = Statement("SELECT 1", everywhere="One.")
class Sweep:
    def run(self):
        return select(User).execution_options(everywhere="Two.")
"""
    assert sorted(reasons_in(code)) == [("PENDING", "One."), ("run", "Two.")]
    with pytest.raises(TypeError, match="PENDING"):
        list(reasons_in('PENDING = Statement("SELECT 1", everywhere=REASON)'))
