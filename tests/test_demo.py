"""What a newcomer meets who has started `make run` a minute ago: people who answer."""

import signal
from pathlib import Path

from config.settings import Settings
from deploy.processes import wait_until
from tests.copies import Copy
from tests.processes import Visitor

WITHIN_SECONDS = 60
PROFILE = {"nickname": "新来的", "sex": "female", "birthday": "1994-02-03", "location": "北京"}
# The share that a bare `make run` has.
SHARE = Settings.model_fields["robots_answer_percent"].default


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
