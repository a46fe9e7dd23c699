"""Cards beside the deck: what is shown of somebody, kept with what they are looked for by

The workers of the release before know of no cards: they can add nobody, and a photo that they delete would stay on a card.
So no worker of theirs, web or Celery, should run any more. A million people take about a minute, in which nobody else
reads the table. On MariaDB, where a part of this may be done before it fails, it can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# JSON of a text, an album in its order, and texts behind each other.
QUOTED = {"postgresql": "CAST(to_json({0}) AS text)", "mysql": "JSON_QUOTE({0})", "sqlite": "json_quote({0})"}
ALBUM = {
    "postgresql": "string_agg({photo}, ',' ORDER BY id) FROM uploads",
    "mysql": "group_concat({photo} ORDER BY id SEPARATOR ',') FROM uploads",
    # Aggregates have no order of their own before SQLite 3.44.
    "sqlite": "group_concat({photo}, ',') FROM (SELECT * FROM uploads WHERE uid = users.id ORDER BY id) AS uploads",
}
JOINED = {"postgresql": ("", " || ", ""), "mysql": ("concat(", ", ", ")"), "sqlite": ("", " || ", "")}
PERSON = "FROM users JOIN preferences ON preferences.uid = users.id WHERE users.id = discovery.uid"
TEXTS = ("nickname", "sex", "users.location", "bio", "avatar")


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    if op.get_context().as_sql or not _has_cards():
        with op.batch_alter_table("discovery") as batch_op:
            batch_op.add_column(sa.Column("card", sa.Text(), nullable=True))
    # Nothing of ours leaves such a row, and nobody could be shown by it.
    op.execute(f"DELETE FROM discovery WHERE NOT EXISTS (SELECT 1 {PERSON})")
    if dialect == "mysql":
        # MySQL's default is shorter than an album.
        op.execute("SET SESSION group_concat_max_len = 1000000")
    op.execute(sa.text(f"UPDATE discovery SET card = (SELECT {_card(dialect)} {PERSON})"))
    with op.batch_alter_table("discovery") as batch_op:
        batch_op.alter_column("card", existing_type=sa.Text(), nullable=False)


def _has_cards() -> bool:
    return any(column["name"] == "card" for column in sa.inspect(op.get_bind()).get_columns("discovery"))


def _card(dialect: str) -> str:
    """Everything but age and badge; an album only where it is not for friends alone."""
    photo = _object(dialect, id=_quoted(dialect, "id", is_number=True), url=_quoted(dialect, "url"))
    album = f"(SELECT {ALBUM[dialect].format(photo=photo)} WHERE uploads.uid = users.id AND kind = 'photo')"
    shown = f"CASE WHEN only_match THEN '' ELSE coalesce({album}, '') END"
    texts = {column.rpartition(".")[2]: _quoted(dialect, column) for column in TEXTS}
    photos = _joined(dialect, "'['", shown, "']'")
    return _object(dialect, id=_quoted(dialect, "users.id", is_number=True), **texts, photos=photos)


def _quoted(dialect: str, column: str, *, is_number: bool = False) -> str:
    kind = "char" if dialect == "mysql" else "text"
    return QUOTED[dialect].format(f"CAST({column} AS {kind})" if is_number else column)


def _object(dialect: str, **members: str) -> str:
    """A JSON object of expressions that are JSON."""
    parts = []
    for name, value in members.items():
        parts += [f"""'{"," if parts else "{"}"{name}":'""", value]
    return _joined(dialect, *parts, "'}'")


def _joined(dialect: str, *parts: str) -> str:
    before, between, after = JOINED[dialect]
    return before + between.join(parts) + after


def downgrade() -> None:
    with op.batch_alter_table("discovery") as batch_op:
        batch_op.drop_column("card")
