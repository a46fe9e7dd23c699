"""PostgreSQL and MariaDB with a replica that answers what may lag."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.burst import RequestSpec
from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.members import Member
from chaos.replication import LoggedMariaDB, MariaDBReplica, Standby
from chaos.servers import DatabaseServer, Postgres
from chaos.site import Site
from swiper.profiles.suspensions import suspend

DATABASE = "swiper"
# Time for a replica that is away: half of DATABASE_STATEMENT_SECONDS, in which nobody is refused.
LIMIT_SECONDS = 5.0
LAG_SECONDS = 2.0
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Replicated:
    """A replica, what stops it from following, what lets it follow again, and what counts its reads so far."""

    server: DatabaseServer
    pause: str
    resume: str
    reads: str


@engine("PostgreSQL with a streaming replica", {"/usr/lib/postgresql/*/bin/pg_basebackup": "postgresql"})
def postgres_replicas(trial: Trial) -> None:
    """A standby that follows as fast as it can; then it stops following, freezes, and is killed."""
    with Postgres(trial.folder("primary")) as primary, Standby(trial.folder("standby"), primary) as standby:
        pause, resume = "SELECT pg_wal_replay_pause()", "SELECT pg_wal_replay_resume()"
        replicated = Replicated(standby, pause, resume, "SELECT sum(tup_fetched) FROM pg_stat_database")
        _try_out(trial, primary, replicated)


@engine("MariaDB with a replica")
def mariadb_replicas(trial: Trial) -> None:
    """The same."""
    with (
        LoggedMariaDB(trial.folder("primary")) as primary,
        MariaDBReplica(trial.folder("replica"), primary) as replica,
    ):
        replica.follow()
        reads = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'HANDLER_READ_KEY'"
        _try_out(trial, primary, Replicated(replica, "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD", reads))


def _try_out(trial: Trial, primary: DatabaseServer, replicated: Replicated) -> None:
    trial.version = primary.version
    replica = replicated.server
    url = primary.create_database(DATABASE)
    urls = [replica.url(DATABASE)]
    with trial.new_site(url, database_replica_urls=urls, database_replica_lag_seconds=LAG_SECONDS) as site:
        time.sleep(LAG_SECONDS)
        before = float(replica.ask(replicated.reads))
        trial.travel(site)
        trial.race(site)
        read = float(replica.ask(replicated.reads)) - before
        trial.check("reads", "the same", "the replica answers a part", f"it has read {read:,.0f} rows", read > 100)
        _lag(trial, site, replicated)
        _fail(trial, site, "replica frozen", replica.freeze, replica.thaw)
        _fail(trial, site, "replica killed", replica.kill, replica.start)


def _lag(trial: Trial, site: Site, replicated: Replicated) -> None:
    """The replica stands still: own writes are seen at once, and who is gone disappears within the limit."""
    viewer, leaver, other = _people(site)
    replicated.server.execute(replicated.pause)
    faults = []
    site.ask(leaver.post("/api/user/profile/modify", bio="new"))
    if site.ask(leaver.get("/api/user/profile")).data["bio"] != "new":
        faults.append("an own change is not seen")
    site.ask(viewer.swipe("dislike", other))
    if other.id in _deck(site, viewer):
        faults.append("somebody swiped is shown again")
    with site.app.app_context():
        suspend(leaver.id, "an experiment", None)
    began = time.monotonic()
    while leaver.id in _deck(site, viewer):
        assert time.monotonic() < began + PATIENCE_SECONDS, "somebody who is suspended stays in a deck"
        time.sleep(0.05)
    seconds = time.monotonic() - began
    replicated.server.execute(replicated.resume)
    trial.check(
        "the replica stands still",
        "somebody changes the own profile; swipes; another one is suspended",
        f"own writes are seen at once; who is suspended leaves decks within {LAG_SECONDS:g} s",
        "; ".join([*faults, f"gone after {seconds:.1f} s"]),
        not faults and seconds < LAG_SECONDS + 0.5,
    )


def _people(site: Site) -> tuple[Member, Member, Member]:
    """Return somebody and two people whom the deck shows."""
    members = {member.id: member for member in site.add_members(64)}
    time.sleep(LAG_SECONDS)
    for member in members.values():
        shown = [members[uid] for uid in _deck(site, member) if uid in members]
        if len(shown) >= 2:
            return member, shown[0], shown[1]
    raise AssertionError("every deck is empty")


def _deck(site: Site, member: Member) -> list[int]:
    answer = site.ask(RequestSpec("GET", "/api/social/users", session_id=member.session_id))
    assert answer.code == 0, answer.body
    return [int(card["id"]) for card in answer.data["users"]]


def _fail(trial: Trial, site: Site, what: str, blow: Callable[[], None], end: Callable[[], None]) -> None:
    failover = trial.endure(site, what, blow, LIMIT_SECONDS)
    trial.check(f"{what}: refused", "the same", "nobody is refused", f"{failover.refused:,}", not failover.refused)
    end()
