"""What a newcomer meets who has started `make run` a minute ago: people who answer, and enough of them in any city."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from config.settings import Settings
from deploy.processes import wait_until
from swiper.robots.seeding import CITIES
from tests.copies import Copy
from tests.processes import Visitor

WITHIN_SECONDS = 60
PROFILE = {"nickname": "新来的", "sex": "female", "birthday": "1994-02-03", "location": "北京"}
# What a bare `make run` has.
SHARE = Settings.model_fields["robots_answer_percent"].default
PER_CITY = Settings.model_fields["robots_per_city"].default


def test_a_newcomer_who_likes_the_first_five_has_a_match_within_a_minute(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "instance", tmp_path / "log", ROBOTS_ANSWER_PERCENT=SHARE)
    with copy.program, copy.visit() as newcomer:
        copy.wait_until_serving()
        copy.log_in(newcomer)
        assert newcomer.post("/api/user/profile/modify", json=PROFILE).status_code == 200
        shown = newcomer.get("/api/social/users").json()["data"]["users"]
        assert len(shown) == 5
        # As quick as a finger can be: nobody waits until the robots have made up their minds.
        for card in shown:
            assert newcomer.post("/api/social/like", json={"sid": card["id"]}).status_code == 200
        wait_until(lambda: count_friends(newcomer) >= 1, WITHIN_SECONDS, "nobody answered")
        assert copy.program.stop(signal.SIGINT) == 0
    assert "Traceback" not in copy.program.output


def count_friends(visitor: Visitor) -> int:
    total: int = visitor.get("/api/social/friends").json()["data"]["total"]
    return total


def test_every_city_has_a_hundred_robots_of_each_sex_also_one_that_only_the_newcomer_knows(tmp_path: Path) -> None:
    assert PER_CITY == 100
    copy = Copy(tmp_path / "instance", tmp_path / "log", ROBOTS_PER_CITY=PER_CITY)
    with copy.program, copy.visit() as newcomer:
        copy.wait_until_serving()
        assert robots_by_place(copy) == {(city, sex): PER_CITY for city in CITIES for sex in ("male", "female")}
        copy.log_in(newcomer)
        profile = PROFILE | {"location": "哈尔滨"}
        assert newcomer.post("/api/user/profile/modify", json=profile).status_code == 200
        wait_until(lambda: robots_by_place(copy).get(("哈尔滨", "male")) == PER_CITY, WITHIN_SECONDS, "no robot came")
        assert robots_by_place(copy)["哈尔滨", "female"] == PER_CITY
        assert len(newcomer.get("/api/social/users").json()["data"]["users"]) == 5
        assert copy.program.stop(signal.SIGINT) == 0
    assert "Traceback" not in copy.program.output


def robots_by_place(copy: Copy) -> dict[tuple[str, str], int]:
    """The number of robots by city and sex, read beside the running service."""
    with closing(sqlite3.connect(f"file:{copy.instance}/swiper.db?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT location, sex, count(*) FROM users WHERE is_robot GROUP BY location, sex")
        return {(city, sex): count for city, sex, count in rows}
