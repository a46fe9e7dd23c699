"""Cards beside the deck: what is shown of somebody, kept with what they are looked for by

The workers of the release before write rows without a card, so they should not serve any more when this runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What makes an object, a sorted array of one's photos, and JSON of a text.
WORDS = {
    "postgresql": ("json_build_object", "json_agg({photo} ORDER BY uploads.id) FROM uploads", "CAST({text} AS json)"),
    "mysql": ("JSON_OBJECT", "JSON_ARRAYAGG({photo} ORDER BY uploads.id) FROM uploads", "JSON_COMPACT({text})"),
    # Aggregates have no order of their own before SQLite 3.44.
    "sqlite": ("json_object", "json_group_array({photo}) FROM (SELECT * FROM uploads WHERE uid = users.id ORDER BY id) AS uploads", "json({text})"),
}
# Everything but age and badge; an album only where it is not for friends alone.
CARDS = """UPDATE discovery SET card = (
  SELECT {object}('id', CAST(users.id AS {text}), 'nickname', nickname, 'sex', sex, 'location', users.location,
    'bio', bio, 'avatar', avatar, 'photos', {album})
  FROM users JOIN preferences ON preferences.uid = users.id WHERE users.id = discovery.uid
)"""
ALBUM = """CASE WHEN only_match THEN '[]' ELSE coalesce(
      CAST((SELECT {photos} WHERE uploads.uid = users.id AND kind = 'photo') AS {text}), '[]') END"""


def upgrade() -> None:
    with op.batch_alter_table("discovery") as batch_op:
        batch_op.add_column(sa.Column("card", sa.Text(), nullable=True))
    dialect = op.get_context().dialect.name
    maker, photos, as_json = WORDS[dialect]
    text = "char" if dialect == "mysql" else "text"
    photo = f"{maker}('id', CAST(uploads.id AS {text}), 'url', url)"
    album = ALBUM.format(photos=photos.format(photo=photo), text=text)
    op.execute(sa.text(CARDS.format(object=maker, text=text, album=as_json.format(text=album))))
    with op.batch_alter_table("discovery") as batch_op:
        batch_op.alter_column("card", existing_type=sa.Text(), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("discovery") as batch_op:
        batch_op.drop_column("card")
