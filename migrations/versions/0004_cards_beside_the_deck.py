"""Cards beside the deck: what is shown of somebody, kept with what they are looked for by

The workers of the release before know of no cards: they can add nobody, and a photo that they delete would stay on a card.
So no worker of theirs, web or Celery, should run any more. A million people take about a minute; those who read and
write the table meanwhile wait for nothing.
"""

import sqlalchemy as sa
from alembic import op

from swiper.db.online_ddl import add_column, in_batches, set_not_null

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
DISCOVERY = sa.table("discovery", sa.column("location"), sa.column("uid"), sa.column("card"))
TEXTS = ("nickname", "sex", "users.location", "bio", "avatar")


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    add_column("discovery", sa.Column("card", sa.Text(), nullable=True))
    key = (DISCOVERY.c.location, DISCOVERY.c.uid)
    # Nothing of ours leaves such a row, and nobody could be shown by it.
    in_batches(sa.delete(DISCOVERY).where(sa.text(f"NOT EXISTS (SELECT 1 {PERSON})")), *key)
    if dialect == "mysql":
        # MySQL's default is shorter than an album.
        op.execute("SET SESSION group_concat_max_len = 1000000")
    card = sa.literal_column(f"(SELECT {_card(dialect)} {PERSON})")
    in_batches(sa.update(DISCOVERY).values(card=card).where(DISCOVERY.c.card.is_(None)), *key)
    set_not_null("discovery", "card", sa.Text())


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
