"""Redis with Sentinels and Redis Cluster, whose masters die."""

import time
from typing import Any

from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.lab import POSTGRES
from chaos.members import Member
from chaos.rabbit import RabbitGroup
from chaos.redis_groups import ClusterGroup, RedisGroup, SentinelGroup
from chaos.site import Site

NEEDS = {"redis-server": "redis-server", "redis-cli": "redis-tools"}
RABBIT = {"/usr/lib/rabbitmq/bin/rabbitmq-server": "rabbitmq-server"}
FAILOVER_SECONDS = 10.0
SESSIONS, SHORT_SESSIONS = 200, 50
# Longer than a replica takes to have what its master has.
COPY_SECONDS = 1.0


def _try_group(trial: Trial, group: RedisGroup, **changes: Any) -> None:
    url = trial.lab.server(POSTGRES).create_database(f"engine_{trial.name}")
    with trial.new_site(url, redis=group, **changes) as site:
        trial.version = group.servers[0].version
        trial.travel(site)
        trial.race(site)
        members = site.add_members(trial.lab.count(SESSIONS, SHORT_SESSIONS))
        time.sleep(COPY_SECONDS)
        trial.endure(site, "kill -9 of a master", lambda: group.master().kill(), FAILOVER_SECONDS)
        _check_sessions(trial, site, members)


def _check_sessions(trial: Trial, site: Site, members: list[Member]) -> None:
    answers = site.fire(*[member.get("/api/user/profile") for member in members], at_once=20)
    out = sum(answer.code != 0 for answer in answers)
    trial.check(
        "sessions after the failover",
        f"{len(members)} people who had logged in before it read their profiles",
        "nobody is logged out",
        f"{out} of {len(members)} were not answered 0",
        out == 0,
    )


@engine("Redis with Sentinels", NEEDS)
def redis_sentinel(trial: Trial) -> None:
    """A master, two replicas and three Sentinels, also for Celery."""
    _try_group(trial, SentinelGroup(trial.folder("redis")))


# In one of several runs something was still refused a minute after a master's death, so this fails at times.
@engine("Redis Cluster, Celery on RabbitMQ", NEEDS | RABBIT, in_short=False)
def redis_cluster(trial: Trial) -> None:
    """Three masters with a replica each."""
    with RabbitGroup(trial.folder("rabbit")) as rabbit:
        _try_group(trial, ClusterGroup(trial.folder("redis")), celery_broker_url=rabbit.url)
