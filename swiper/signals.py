"""Signals from lower layers to higher ones. Each is sent after the commit, unless its text says otherwise."""

from blinker import Namespace

_signals = Namespace()

cache_failed = _signals.signal("cache-failed", "A call of the cache has failed: reason (away, refused, fault).")
code_issued = _signals.signal("code-issued", "A login code waits to be sent: outbox_id.")
sms_sent = _signals.signal("sms-sent", "A provider has taken a message: provider.")
sms_refused = _signals.signal("sms-refused", "A provider has not taken a message; the next may: provider.")
sms_failed = _signals.signal("sms-failed", "No provider has taken a message.")
swiped = _signals.signal("swiped", "A swipe was stored: uid, target_id, kind.")
deck_shown = _signals.signal("deck-shown", "A route has shown somebody people of the deck: uid, shown (ids).")
like_given = _signals.signal("like-given", "A route has taken a like that made no match: uid, target_id.")
city_chosen = _signals.signal("city-chosen", "A route has stored somebody's first or another own city: uid.")
rewound = _signals.signal("rewound", "A swipe was taken back: uid, target_id.")
matched = _signals.signal("matched", "Two people became friends: uid, target_id.")
vip_changed = _signals.signal("vip-changed", "Sent in the transaction that grants, extends or ends a membership: uid.")
status_changed = _signals.signal(
    "status-changed", "Sent in the transaction that suspends, admits or deletes somebody: uid."
)
account_deleting = _signals.signal(
    "account-deleting",
    "Sent in the transaction of a deletion; free the number, keep what it is not to lose: uid, phone, digests, "
    "deleted_at.",
)
account_returning = _signals.signal(
    "account-returning", "Sent in the transaction that makes an account; give it what its number has kept: uid, digest."
)
account_deleted = _signals.signal("account-deleted", "An account is gone; remove what belongs to it: uid.")
account_exporting = _signals.signal(
    "account-exporting", "Sent while an export is built: uid. Receivers return a dict of pages of rows."
)
