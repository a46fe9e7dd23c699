"""The backfill of folded nicknames: rows that are keyed as names were compared before revision 0005.

The code runs with such rows: their owners keep their names. Until a row is done, a name that looks the same can be
taken by somebody else, as it could be before.
"""

from swiper.backfills import Backfill, Batch
from swiper.profiles.nicknames import fold_nickname, former_fold
from swiper.profiles.queries import people
from swiper.profiles.queries.folded_names import count_names_after, names_after
from swiper.profiles.queries.profile_changes import claim_nickname, delete_nickname

# Each name that changes takes some statements, and its owner's row is locked until the commit.
BATCH_NAMES = 200


def fold_names(last_key: str) -> Batch:
    """Key the names that follow `last_key` by how names are compared now, in the running transaction."""
    rows = names_after(last_key, BATCH_NAMES)
    changed = sum(_fold(former, uid) for former, uid in rows)
    return Batch(rows[-1][0] if len(rows) == BATCH_NAMES else None, len(rows), changed)


def _fold(former: str, uid: int) -> bool:
    """Change the key of one name if it must change; False where it stays, such as where somebody has the new one."""
    refolded = fold_nickname(former)
    if refolded == former:
        return False
    # Whoever changes or deletes a name locks this row first.
    user = people.lock_user(uid)
    if user is not None:
        folded = fold_nickname(user.nickname)
        is_own = folded == refolded or former == former_fold(user.nickname)
        if is_own and (folded in ("", former) or not claim_nickname(uid, folded)):
            # Two people have it: both keep what they are called, and nobody new can take it.
            return False
    # Otherwise it is left over from a name that nobody has any more.
    delete_nickname(uid, former)
    return True


FOLD_NICKNAMES = Backfill("profiles.fold_nicknames", fold_names, count_names_after)
