"""Statements of accounts and cards."""

from datetime import date, datetime

from swiper.db.statements import Statement
from swiper.profiles.models import DatingSex, Sex, Status

# The fields of `profiles.Account` in their order, but for the photos.
ACCOUNT_SELECT = """SELECT users.id, users.phone, nickname, sex, birthday, location, bio, avatar, status, is_robot,
    deck_from, dating_sex, dating_location, min_distance, max_distance, min_dating_age, max_dating_age, vibration,
    only_match, auto_play, coalesce(memberships.level, 0), memberships.expires_at
  FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id"""
ACCOUNT_COLUMNS = (
    *(int, str, str, Sex, date, str, str, str, Status, bool, int, DatingSex),
    *(str, int, int, int, int, bool, bool, bool),
    *(int, datetime),
)
ACCOUNT = Statement(f"{ACCOUNT_SELECT} WHERE users.id = :uid", *ACCOUNT_COLUMNS)
# The fields of a card as in `public_cards.CardSource`, whether the album is for friends only, and the VIP state.
CARDS = Statement(
    """SELECT users.id, nickname, sex, birthday, location, bio, avatar, only_match, coalesce(memberships.level, 0),
      memberships.expires_at
    FROM users JOIN preferences ON preferences.uid = users.id LEFT JOIN memberships ON memberships.uid = users.id
    WHERE users.id IN :uids AND status = 'active'""",
    *(int, str, Sex, date, str, str, str, bool, int, datetime),
)
ALBUMS = Statement("SELECT uid, id, url FROM uploads WHERE uid IN :uids AND kind = 'photo' ORDER BY id", int, int, str)
