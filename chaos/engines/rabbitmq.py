"""Quorum queues of three RabbitMQ nodes, one of which dies while tasks are queued."""

import time

from kombu.exceptions import OperationalError

from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.lab import POSTGRES
from chaos.rabbit import PROGRAM, RabbitGroup
from chaos.site import Site
from deploy.processes import wait_until

TASKS, SHORT_TASKS = 600, 150
# The node comes back after so many seconds.
AWAY_SECONDS = 5.0
ARRIVAL_SECONDS = 60.0


# In some runs tasks were held back, so this fails at times.
@engine("RabbitMQ, quorum queues", {PROGRAM: "rabbitmq-server"}, in_short=False)
def rabbitmq(trial: Trial) -> None:
    """Celery's queues on three nodes."""
    with RabbitGroup(trial.folder("rabbit")) as group:
        url = trial.lab.server(POSTGRES).create_database(f"engine_{trial.name}")
        changes = {"celery_broker_url": group.url, "celery_queue_type": "quorum"}
        with trial.new_site(url, **changes) as site:
            trial.travel(site)
            _lose_a_node(trial, site, group)


def _lose_a_node(trial: Trial, site: Site, group: RabbitGroup) -> None:
    count = trial.lab.count(TASKS, SHORT_TASKS)
    at_once, delayed, refused = _queue(site, group, count)
    time.sleep(AWAY_SECONDS)
    group.nodes[0].start()
    try:
        wait_until(lambda: not _missing(site, at_once), ARRIVAL_SECONDS, "tasks are missing")
    except TimeoutError as error:
        print(f"     {trial.name}: {error}")
    lost, held = len(_missing(site, at_once)), len(_missing(site, delayed))
    trial.check(
        "kill -9 of a node",
        f"{count} tasks are queued, a third of them with a delay of a second; the node comes back after "
        f"{AWAY_SECONDS:g} s",
        "each task that was queued without a delay is done; what is delayed a sweep finds as well",
        f"{lost} of {len(at_once)} lost; {refused} were refused and left to the sweeps; of those with a delay "
        f"{held} of {len(delayed)} were still held",
        lost == 0,
    )


def _queue(site: Site, group: RabbitGroup, count: int) -> tuple[list[str], list[str], int]:
    """Return the ids of the tasks that the broker has taken, without and with a delay, and how many it has refused."""
    at_once: list[str] = []
    delayed: list[str] = []
    refused = 0
    with site.app.app_context():
        task = site.app.extensions["celery"].tasks["tasks.heartbeat"]
        for number in range(count):
            if number == count // 3:
                group.nodes[0].kill()
            is_delayed = number % 3 == 0
            try:
                found = task.apply_async(countdown=1 if is_delayed else None)
                (delayed if is_delayed else at_once).append(found.id)
            except (OperationalError, OSError):
                refused += 1
            time.sleep(0.01)
    return at_once, delayed, refused


def _missing(site: Site, queued: list[str]) -> set[str]:
    assert site.worker is not None, "this site has a worker"
    told = site.worker.output
    return {task_id for task_id in queued if f"[{task_id}] succeeded" not in told}
