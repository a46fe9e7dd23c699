"""What one person does with Swiper, step by step through HTTP, from the first code to the end of the account."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from chaos.burst import Answer, RequestSpec, burst
from chaos.cashier import notice, place_order
from chaos.consistency import POINTS_SECONDS
from chaos.experiments.sales import open_sale
from chaos.members import Member
from chaos.phones import CODE_WRONG, ask_codes, enter_code, new_phones, wrong_codes
from chaos.report import Finding
from chaos.requests import upload_avatar, upload_photo
from chaos.site import Site
from deploy.processes import wait_until
from swiper.profiles.models import Sex, User

NOT_LOGGED_IN, PROFILE, NO_PERMISSION, SWIPED, NOT_FOUND = 1001, 1002, 1004, 1008, 1009
CITY, NICKNAME = "北京", "旅人"
# So that each city has eight women; the journey swipes five.
ROBOTS = 128
TICKET_SECONDS = 20.0


class Journey:
    """`run` takes the steps, each once; a step that fails is noted, and the next one is tried all the same."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.faults: list[str] = []
        self.passed = 0
        self.phone = new_phones(1)[0]
        self.me = Member(0, "")
        self.women: dict[int, Member] = {}
        self.deck: list[Member] = []
        self.steps: tuple[Callable[[], None], ...] = (
            *(self.see_levels, self.guess_a_code, self.log_in, self.see_no_deck_yet, self.fill_in_profile),
            *(self.upload_avatar, self.upload_and_delete_photo, self.change_preferences, self.see_deck, self.see_card),
            *(self.like, self.dislike, self.be_refused_a_superlike, self.buy_a_level, self.superlike, self.rewind),
            *(self.match, self.see_friends, self.see_likers, self.see_ranking, self.unfriend, self.buy_in_a_sale),
            *(self.see_quotas, self.export, self.end_another_session, self.delete_account),
            *(self.begin_anew, self.log_out),
        )

    @property
    def total(self) -> int:
        """How many steps there are."""
        return len(self.steps)

    @property
    def measured(self) -> str:
        """In one sentence."""
        return "; ".join([f"{self.passed} of {self.total} steps", *self.faults])

    def finding(self, engine: str) -> Finding:
        """A line of the table."""
        done = f"{self.total} steps from the first code to the end of the account"
        return Finding(f"journey, {engine}", done, "each as it should be", self.measured, self.passed == self.total)

    def run(self) -> None:
        """Let there be people, and take all steps."""
        people, women = self.site.add_members(ROBOTS), self._ids_of_women()
        self.women = {member.id: member for member in people if member.id in women}
        self.take_steps()

    def take_steps(self) -> None:
        """Take the steps in their order."""
        for step in self.steps:
            try:
                step()
                self.passed += 1
            except (AssertionError, LookupError, TypeError, ValueError, OSError) as error:
                # Whatever an answer lacks is a fault of this step.
                fault = f"{step.__name__}: {type(error).__name__} {str(error)[:200]}"
                self.faults.append(" ".join(fault.split()))

    def _ids_of_women(self) -> set[int]:
        with self.site.looking() as session:
            return set(session.scalars(select(User.id).where(User.location == CITY, User.sex == Sex.FEMALE)))

    def _ask(self, spec: RequestSpec, wanted: int = 0) -> Any:
        answer = self.site.ask(spec)
        assert answer.code == wanted, f"{spec.method} {spec.path}: {answer.status} {answer.body[:120]!r}"
        return answer.data

    def _code(self) -> str:
        return ask_codes(self.site, [self.phone])[0]

    def _enter(self, code: str) -> Member:
        answer: Answer = self.site.ask(enter_code(self.phone, code))
        assert answer.code == 0, answer.body
        assert answer.cookie, "no cookie"
        return Member(int(answer.data["id"]), answer.cookie)

    def see_levels(self) -> None:
        """A page for everybody."""
        assert len(self._ask(RequestSpec("GET", "/api/vip/levels"))) == 4

    def guess_a_code(self) -> None:
        """A wrong code is refused; the right one stays."""
        self.code = self._code()
        self._ask(enter_code(self.phone, wrong_codes(self.code, 1)[0]), CODE_WRONG)

    def log_in(self) -> None:
        """The first login makes the account; the code is used up."""
        self.me = self._enter(self.code)
        self._ask(enter_code(self.phone, self.code), CODE_WRONG)

    def see_no_deck_yet(self) -> None:
        """Sex, birthday and city are missing."""
        self._ask(self.me.get("/api/social/users"), PROFILE)

    def fill_in_profile(self) -> None:
        """What was written is read at once, at each instance."""
        told = {"nickname": NICKNAME, "sex": "male", "birthday": "1992-02-29", "location": CITY, "bio": "你好 🐢"}
        self._ask(self.me.post("/api/user/profile/modify", **told))
        self._expect_profile(told)

    def _expect_profile(self, wanted: dict[str, Any]) -> None:
        for _ in range(4):
            own = self._ask(self.me.get("/api/user/profile"))
            found = {name: own[name] for name in wanted}
            assert found == wanted, found

    def upload_avatar(self) -> None:
        """Its address is in the profile, and serves a picture."""
        self._ask(upload_avatar(self.me))
        self._expect_picture(self._ask(self.me.get("/api/user/profile"))["avatar"])

    def _expect_picture(self, url: str) -> None:
        address = urlsplit(url)
        base = f"{address.scheme}://{address.netloc}" if address.netloc else self.site.base
        (answer,) = burst(base, [RequestSpec("GET", address.path)])
        assert answer.status == 200, f"{url}: {answer.status}"
        assert answer.headers["content-type"].startswith("image/"), answer.headers

    def upload_and_delete_photo(self) -> None:
        """The album has it, and then has it no longer."""
        photo = self._ask(upload_photo(self.me))
        (shown,) = self._ask(self.me.get("/api/user/profile"))["photos"]
        assert shown["id"] == photo["id"], shown
        self._expect_picture(shown["url"])
        self._ask(RequestSpec("DELETE", f"/api/user/photos/{photo['id']}", session_id=self.me.session_id))
        self._expect_profile({"photos": []})

    def change_preferences(self) -> None:
        """They are read at once, too."""
        self._ask(self.me.post("/api/user/profile/modify", min_dating_age=20, max_dating_age=60, vibration=False))
        self._expect_profile({"min_dating_age": 20, "max_dating_age": 60, "vibration": False})

    def see_deck(self) -> None:
        """Five women of the same city, and five others in the second group."""
        groups = [self._ask(self.me.get(f"/api/social/users?group_num={number}"))["users"] for number in (0, 1)]
        ids = [int(card["id"]) for group in groups for card in group]
        assert len(groups[0]) == 5, f"{len(groups[0])} people"
        assert len(set(ids)) == len(ids), "somebody is shown twice"
        self.deck = [self.women[uid] for uid in ids]

    def see_card(self) -> None:
        """It tells no number."""
        card = self._ask(self.me.get(f"/api/user/{self.deck[0].id}"))
        assert int(card["id"]) == self.deck[0].id, card
        assert not {"phone", "birthday"} & set(card), card

    def like(self) -> None:
        """The same once more is no second one."""
        for _ in range(2):
            assert self._ask(self.me.swipe("like", self.deck[0])) == {"is_matched": False}

    def dislike(self) -> None:
        """A different swipe afterwards is refused, and neither is shown again."""
        self._ask(self.me.swipe("dislike", self.deck[1]))
        self._ask(self.me.swipe("like", self.deck[1]), SWIPED)
        shown = {int(card["id"]) for card in self._ask(self.me.get("/api/social/users"))["users"]}
        assert not shown & {self.deck[0].id, self.deck[1].id}, "somebody swiped is shown"

    def be_refused_a_superlike(self) -> None:
        """It needs a level."""
        self._ask(self.me.swipe("superlike", self.deck[2]), NO_PERMISSION)

    def buy_a_level(self) -> None:
        """Ordered, paid by the cashier's notice, granted at once."""
        order = place_order(self.site, self.me, 1, level=3)
        assert self._ask(notice(order))["state"] == "paid"
        assert self._ask(self.me.get("/api/vip/me"))["level"] == 3

    def superlike(self) -> None:
        """Now it is allowed."""
        self._ask(self.me.swipe("superlike", self.deck[2]))

    def rewind(self) -> None:
        """The last swipe is taken back."""
        assert int(self._ask(self.me.post("/api/social/rewind"))["sid"]) == self.deck[2].id

    def match(self) -> None:
        """She likes first; whoever likes second is told."""
        assert self._ask(self.deck[3].swipe("like", self.me)) == {"is_matched": False}
        assert self._ask(self.me.swipe("like", self.deck[3])) == {"is_matched": True}

    def _friends(self, member: Member) -> list[int]:
        return [int(card["id"]) for card in self._ask(member.get("/api/social/friends"))["items"]]

    def see_friends(self) -> None:
        """Both see each other."""
        assert (self._friends(self.me), self._friends(self.deck[3])) == ([self.deck[3].id], [self.me.id])

    def see_likers(self) -> None:
        """Somebody likes and waits for an answer."""
        self._ask(self.deck[4].swipe("like", self.me))
        assert self.deck[4].id in [int(card["id"]) for card in self._ask(self.me.get("/api/social/liked_me"))["items"]]
        assert self._ask(self.me.get("/api/social/liked_me/count"))["waiting"] == 1

    def see_ranking(self) -> None:
        """Two likes are ten points."""
        time.sleep(POINTS_SECONDS)
        scores = {int(row["user"]["id"]): row["score"] for row in self._ask(self.me.get("/api/social/hot"))}
        assert scores.get(self.me.id) == 10, scores

    def unfriend(self) -> None:
        """It ends for both."""
        self._ask(self.me.post("/api/social/unfriend", sid=str(self.deck[3].id)))
        assert (self._friends(self.me), self._friends(self.deck[3])) == ([], [])

    def buy_in_a_sale(self) -> None:
        """The worker makes an order of the ticket."""
        ticket = self._ask(self.me.post("/api/vip/qbuy", sale_id=str(open_sale(self.site, 1))))["ticket"]

        def is_served() -> bool:
            return bool(self._ask(self.me.get(f"/api/vip/qbuy/{ticket}"))["state"] == "ordered")

        wait_until(is_served, TICKET_SECONDS, "the ticket was not served")

    def see_quotas(self) -> None:
        """Two likes and a rewind; the superlike came back with it."""
        quotas = self._ask(self.me.get("/api/vip/me"))["quotas"]
        used = {kind: quota["used"] for kind, quota in quotas.items()}
        assert used == {"like": 2, "superlike": 0, "rewind": 1}, used

    def export(self) -> None:
        """All swipes and both orders."""
        told = self._ask(self.me.post("/api/user/export", vcode=self._code()))
        assert {int(row["sid"]) for row in told["swipes"]} == {self.deck[n].id for n in (0, 1, 3)}, told["swipes"]
        assert sorted(row["state"] for row in told["orders"]) == ["paid", "pending"], told["orders"]

    def end_another_session(self) -> None:
        """A second login is listed, and ended from the first."""
        other = self._enter(self._code())
        items = self._ask(self.me.get("/api/user/sessions"))["items"]
        assert len(items) == 2, items
        self._ask(RequestSpec("DELETE", f"/api/user/sessions/{items[1]['id']}", session_id=self.me.session_id))
        self._ask(other.get("/api/user/profile"), NOT_LOGGED_IN)

    def delete_account(self) -> None:
        """Nobody sees the person any longer."""
        spec = RequestSpec("DELETE", "/api/user/account", {"vcode": self._code()}, self.me.session_id)
        self._ask(spec)
        self._ask(self.me.get("/api/user/profile"), NOT_LOGGED_IN)
        self._ask(self.deck[4].get(f"/api/user/{self.me.id}"), NOT_FOUND)

    def begin_anew(self) -> None:
        """The same number gets a new account."""
        former, self.me = self.me, self._enter(self._code())
        assert self.me.id != former.id

    def log_out(self) -> None:
        """The old session is dead."""
        self._ask(self.me.post("/api/user/logout"))
        self._ask(self.me.get("/api/user/profile"), NOT_LOGGED_IN)
