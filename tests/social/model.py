"""What the service should do, told in dictionaries: no database, no locks, nothing kept that can be derived.

A member is named by id. An answer is predicted as `(code, data)`.
"""

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
OK, LOGIN, PERMISSION, PARAMETER, LIMITED, NOTHING, SWIPED, NOT_FOUND, BANNED = (
    0, 1001, 1004, 1005, 1006, 1007, 1008, 1009, 1010,
)  # fmt: skip
POINTS = {"like": 5, "superlike": 7, "dislike": -5}
LIMITS = {"like": 2, "superlike": 1, "rewind": 2}
MAY_SUPERLIKE, MAY_REWIND, UNLIMITED, SEES_LIKERS = {1, 2, 3}, {2, 3}, {2, 3}, {3}
WINDOW = timedelta(minutes=5)

Answer = tuple[int, Any]


@dataclass
class Member:
    """An account: how it stands with the operator, and what it has bought."""

    is_suspended: bool = False
    bought: int = 0
    until: datetime | None = None


@dataclass
class World:
    """Everyone there is and what they did to each other, up to `now`."""

    now: datetime
    members: dict[int, Member] = field(default_factory=dict)
    # Who swiped whom: what, and when.
    swipes: dict[tuple[int, int], tuple[str, datetime]] = field(default_factory=dict)
    # Those of them that came back with a number. They stand in nobody's list of likers.
    brought_back: set[tuple[int, int]] = field(default_factory=set)
    # Two people, the lower id first: since when they are friends; when their match was ended; who ever swiped whom.
    friends: dict[tuple[int, int], datetime] = field(default_factory=dict)
    ended: dict[tuple[int, int], datetime] = field(default_factory=dict)
    met: set[tuple[int, int]] = field(default_factory=set)
    used: Counter[tuple[int, str, date]] = field(default_factory=Counter)
    # By the number of a deleted account: when its match with whom was ended; what was used up; if it was suspended.
    kept: dict[str, dict[int, datetime]] = field(default_factory=dict)
    spent: dict[str, dict[tuple[str, date], int]] = field(default_factory=dict)
    suspended: dict[str, bool] = field(default_factory=dict)

    # What people do.

    def join(self, uid: int, phone: str) -> None:
        """A match that was ended stays so, also if one of the two comes back as a new account of the same number."""
        self.members[uid] = Member(is_suspended=self.suspended.get(phone, False))
        self.used.update({(uid, *key): count for key, count in self.spent.get(phone, {}).items()})
        for other, when in self.kept.get(phone, {}).items():
            if other in self.members:
                self.ended[pair(uid, other)] = when
                self.met.add(pair(uid, other))
                for key in ((uid, other), (other, uid)):
                    self.swipes[key] = "like", when - WINDOW - timedelta(seconds=1)
                    self.brought_back.add(key)

    def swipe(self, uid: int, kind: str, sid: int) -> Answer:
        if refused := self.refusal(uid, MAY_SUPERLIKE if kind == "superlike" else None):
            return refused, None
        if uid == sid:
            return PARAMETER, None
        if former := self.swipes.get((uid, sid)):
            return (OK, self.told(uid, sid)) if former[0] == kind else (SWIPED, None)
        if not self.is_active(sid):
            return NOT_FOUND, None
        if kind in LIMITS and self.is_used_up(uid, kind):
            return LIMITED, {"reset_at": self.midnight().isoformat()}
        if kind in LIMITS:
            self.used[uid, kind, self.day()] += 1
        self.swipes[uid, sid] = (kind, self.now)
        self.met.add(pair(uid, sid))
        if self.likes(uid, sid) and self.likes(sid, uid):
            self.friends[pair(uid, sid)] = self.now
        return OK, self.told(uid, sid)

    def rewind(self, uid: int, sid: int | None) -> Answer:
        if refused := self.refusal(uid, MAY_REWIND):
            return refused, None
        last = max(((when, other) for (who, other), (_, when) in self.swipes.items() if who == uid), default=None)
        if last is None or self.now - last[0] > WINDOW:
            return NOTHING, None
        when, target = last
        if sid not in (None, target):
            return PARAMETER, None
        if pair(uid, target) in self.ended:
            return NOTHING, None
        if self.is_used_up(uid, "rewind"):
            return LIMITED, {"reset_at": self.midnight().isoformat()}
        self.used[uid, "rewind", self.day()] += 1
        kind, _ = self.swipes.pop((uid, target))
        if kind in LIMITS:
            self.used[uid, kind, self.day(when)] -= 1
        self.friends.pop(pair(uid, target), None)
        return OK, {"sid": str(target)}

    def unfriend(self, uid: int, sid: int) -> Answer:
        if refused := self.refusal(uid):
            return refused, None
        if pair(uid, sid) not in self.friends and pair(uid, sid) not in self.ended:
            return NOT_FOUND, None
        if self.friends.pop(pair(uid, sid), None):
            self.ended[pair(uid, sid)] = self.now
        return OK, {}

    def buy(self, uid: int, level: int, months: int) -> None:
        """The held level goes on; a higher one takes over at once, a lower one lengthens it, at the ratio of prices."""
        member, held = self.members[uid], self.level(uid)
        end = after_months(self.now, months)
        if not held or member.until is None:
            member.bought, member.until = level, end
        elif level == held:
            member.until = after_months(member.until, months)
        elif level > held:
            member.bought, member.until = level, end + (member.until - self.now) * held / level
        else:
            member.until += (end - self.now) * level / held

    def delete(self, uid: int, phone: str) -> Answer:
        if uid not in self.members:
            return LOGIN, None
        self.suspended[phone] = self.members.pop(uid).is_suspended
        self.kept[phone] = {key[key[0] == uid]: when for key, when in self.ended.items() if uid in key}
        self.spent[phone] = {key[1:]: count for key, count in self.used.items() if key[0] == uid}
        for others in self.kept.values():
            others.pop(uid, None)
        # The points of a swipe go with it: the ranking is what the swipes in the database make.
        self.swipes = {key: value for key, value in self.swipes.items() if uid not in key}
        self.friends = {key: value for key, value in self.friends.items() if uid not in key}
        self.brought_back &= self.swipes.keys()
        self.ended = {key: value for key, value in self.ended.items() if uid not in key}
        self.met = {key for key in self.met if uid not in key}
        return OK, {}

    # What follows from it.

    def refusal(self, uid: int, levels: set[int] | None = None) -> int:
        """Why the caller may not even try, or 0."""
        if uid not in self.members:
            return LOGIN
        if self.members[uid].is_suspended:
            return BANNED
        return PERMISSION if levels is not None and self.level(uid) not in levels else OK

    def is_active(self, uid: int) -> bool:
        return uid in self.members and not self.members[uid].is_suspended

    def level(self, uid: int) -> int:
        member = self.members[uid]
        return member.bought if member.until and member.until > self.now else 0

    def is_used_up(self, uid: int, kind: str) -> bool:
        is_limited = not (kind == "like" and self.level(uid) in UNLIMITED)
        return is_limited and self.used[uid, kind, self.day()] >= LIMITS[kind]

    def day(self, moment: datetime | None = None) -> date:
        return (moment or self.now).astimezone(SHANGHAI).date()

    def midnight(self) -> datetime:
        """The coming one, in UTC."""
        start = datetime.combine(self.day() + timedelta(days=1), datetime.min.time(), SHANGHAI)
        return start.astimezone(UTC)

    def likes(self, uid: int, sid: int) -> bool:
        return self.swipes.get((uid, sid), ("dislike",))[0] != "dislike"

    def told(self, uid: int, sid: int) -> dict[str, bool]:
        return {"is_matched": pair(uid, sid) in self.friends}

    def mask(self, key: tuple[int, int]) -> int:
        back = (key[1], key[0])
        swiped = 8 * (key in self.swipes) + 16 * (back in self.swipes)
        return 1 * self.likes(*key) + 2 * self.likes(*back) + 4 * (key in self.ended) + swiped

    def scores(self) -> dict[int, int]:
        """By person, without those who have no points; the suspended keep theirs."""
        total: Counter[int] = Counter()
        for (_, sid), (kind, _) in self.swipes.items():
            total[sid] += POINTS[kind]
        return {uid: score for uid, score in total.items() if score}

    def friends_of(self, uid: int) -> list[int]:
        """Newest first."""
        since = [(since, key[key[0] == uid]) for key, since in self.friends.items() if uid in key]
        return [other for _, other in sorted(since, reverse=True) if self.is_active(other)]

    def likers_of(self, uid: int) -> list[tuple[int, bool, str | None]]:
        """Newest first: id, whether it was a superlike, the own answer. Nobody whose match with `uid` was ended."""
        likes = [
            (when, other, kind == "superlike", self.swipes.get((uid, other), (None,))[0])
            for (other, sid), (kind, when) in self.swipes.items()
            if sid == uid and kind != "dislike" and self.is_active(other) and pair(uid, other) not in self.ended
        ]
        return [like[1:] for like in sorted(likes, reverse=True)]

    def deck_of(self, uid: int) -> tuple[list[int], set[int]]:
        """Who stands at the head, superlikers first and the longest waiting first, and who comes in any order."""
        unseen = {other for other in self.members if self.is_active(other) and (uid, other) not in self.swipes} - {uid}
        waiting = [(self.swipes[other, uid][1], other) for other in unseen if self.likes(other, uid)]
        head = [other for _, other in sorted(waiting)]
        head.sort(key=lambda other: self.swipes[other, uid][0] != "superlike")
        return head, unseen - set(head)


def pair(uid: int, sid: int) -> tuple[int, int]:
    return min(uid, sid), max(uid, sid)


def after_months(start: datetime, months: int) -> datetime:
    """The same day so many months later, or the last one of a shorter month."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, calendar.monthrange(year, month + 1)[1]))
