"""The periodic work that `celery beat` starts; every entry names a registered task."""

from celery.schedules import crontab

BEAT_SCHEDULE = {
    "send the codes that no worker has sent": {"task": "auth.sweep_codes", "schedule": 10.0},
    "hand out flash sale places that no worker has handed out": {"task": "vip.sweep_tickets", "schedule": 15.0},
    "release orders that nobody paid": {"task": "vip.release_orders", "schedule": 60.0},
    "push uploads that are still local, remove files that nobody needs": {
        "task": "auth.sweep_files",
        "schedule": 60.0,
    },
    "finish half-made matches": {"task": "social.repair_matches", "schedule": 60.0},
    "finish deletions": {"task": "social.sweep_deleted", "schedule": 60.0},
    "end VIP levels that have run out": {"task": "vip.expire_levels", "schedule": 300.0},
    "rebuild the ranking": {"task": "social.rebuild_ranking", "schedule": 600.0},
    "drop bans that have run out": {"task": "bans.purge", "schedule": crontab(minute=17)},
    "drop codes that have run out": {"task": "auth.purge_codes", "schedule": crontab(minute=27)},
}
