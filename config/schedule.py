"""The periodic work that `celery beat` starts. Each entry names a registered task."""

from typing import Any

from celery.schedules import crontab

SHORTEST_EXPIRY_SECONDS = 60.0
HEARTBEAT_SECONDS = 15.0


def every(seconds: float, task: str, **options: Any) -> dict[str, Any]:
    """Return an entry that starts `task` every `seconds`. A run that no worker takes in time is dropped.

    `options` are those of Celery's `apply_async`, such as another `queue`.
    """
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, SHORTEST_EXPIRY_SECONDS)} | options}


BEAT_SCHEDULE = {
    "send the codes that no worker has sent": every(5.0, "auth.sweep_codes"),
    "hand out flash sale places that no worker has handed out": every(10.0, "vip.sweep_tickets"),
    "release orders that nobody paid": every(60.0, "vip.release_orders"),
    "push uploads that are still local, remove files that nobody needs": every(60.0, "profiles.sweep_files"),
    "finish half-made matches": every(60.0, "social.repair_matches"),
    "finish deletions": every(60.0, "social.sweep_deleted"),
    "drop cached values that are out of date": every(5.0, "profiles.finish_invalidations"),
    "end VIP levels that have run out": every(300.0, "vip.expire_levels"),
    "count new swipes, and correct the ranking": every(60.0, "social.rebuild_ranking"),
    "correct the scores by all swipes": {"task": "social.recount_scores", "schedule": crontab(hour=4, minute=7)},
    "restore a ranking that Redis has lost": every(30.0, "social.restore_ranking"),
    "admit the people whose suspension is over": every(60.0, "profiles.lift_suspensions"),
    "store the metrics of the operator's desk": every(60.0, "admin.store_metrics"),
    "fill the rows that a release has made room for": every(30.0, "backfills.run"),
    "show that beat and a worker run": every(HEARTBEAT_SECONDS, "tasks.heartbeat"),
    "show that a worker takes codes": every(HEARTBEAT_SECONDS, "tasks.heartbeat", queue="celery-codes"),
    "drop orders that were released long ago": {"task": "vip.purge_orders", "schedule": crontab(minute=47)},
    "forget the numbers of accounts that were deleted long ago": {
        "task": "social.purge_deleted_numbers",
        "schedule": crontab(minute=37),
    },
    "drop bans that have run out": {"task": "bans.purge", "schedule": crontab(minute=17)},
    "drop codes that have run out": {"task": "auth.purge_codes", "schedule": crontab(minute=27)},
}
