"""Robots: invented people who fill the decks of a new installation."""

import itertools
import logging
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, insert, select

from swiper.auth.accounts import shuffle_of
from swiper.auth.models import DatingSex, Discovery, Nickname, Phone, Preferences, Sex, Status, User
from swiper.auth.profiles import fold_nickname
from swiper.dialect import now, transactional
from swiper.extensions import db
from swiper.ids import new_id

log = logging.getLogger(__name__)

SURNAMES = (
    "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史"
    "顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
MALE_NAMES = "伟强磊洋勇军杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林翔松"
FEMALE_NAMES = "芳娜敏静丽艳娟霞秀燕玲桂玉萍红梅莹雪琳晶倩婷颖佳慧悦欣怡璐瑶蕾薇"
CITIES = ("北京", "上海", "深圳", "广州", "西安", "成都", "沈阳", "武汉")
FIRST_PHONE = 21_000_000_000
LAST_PHONE = 21_900_000_000
OLDEST = date(1980, 1, 1)
YOUNGEST = date(2000, 12, 31)
BATCH = 2_000
BIOS = (
    "周末喜欢爬山和咖啡。",
    "养了两只猫，会做饭。",
    "爱看电影，也爱旅行。",
    "跑步十公里，正在学吉他。",
    "想找一个能一起吃火锅的人。",
    "喜欢摄影和安静的书店。",
    "",
)

Row = dict[str, Any]


def seed_robots(count: int, seed: int | None = None, progress: Callable[[int], None] = lambda _: None) -> None:
    """Add `count` robots in batches, each in one transaction; `progress` is told the size of each batch.

    The same seed and the same number of robots already there give the same people. Phones follow each other from the
    last one used, so running it again adds more. Raises ValueError when the range of phones would run out.
    """
    first = _robots_so_far()
    if FIRST_PHONE + first + count - 1 > LAST_PHONE:
        raise ValueError(f"there are phones for {LAST_PHONE - FIRST_PHONE + 1} robots in all")
    pick = random.Random(f"{seed}:{first}") if seed is not None else random.Random()
    people = _people(first, count, pick)
    while batch := list(itertools.islice(people, BATCH)):
        _insert(batch)
        progress(len(batch))


def is_robot_phone(phone: str) -> bool:
    """True for a number of the robots' range."""
    return phone.isascii() and phone.isdigit() and FIRST_PHONE <= int(phone[:12]) <= LAST_PHONE


def _robots_so_far() -> int:
    """How many phones of the robots' range are taken, counted from its start to the last one."""
    last = db.session.scalar(
        select(func.max(Phone.phone)).where(Phone.phone >= str(FIRST_PHONE), Phone.phone <= str(LAST_PHONE))
    )
    return int(last) - FIRST_PHONE + 1 if last else 0


def _people(first: int, count: int, pick: random.Random) -> Iterator[Row]:
    """One dictionary a robot, with everything that its rows are made of."""
    days = (YOUNGEST - OLDEST).days
    pools = {
        Sex.MALE: [a + b for a in SURNAMES for b in MALE_NAMES],
        Sex.FEMALE: [a + b for a in SURNAMES for b in FEMALE_NAMES],
    }
    for number in range(first, first + count):
        # Dealt out evenly, so that a newcomer finds somebody in every city, however few robots there are.
        place = number % (2 * len(CITIES))
        sex = (Sex.MALE, Sex.FEMALE)[place % 2]
        yield {
            "id": new_id(),
            "phone": str(FIRST_PHONE + number),
            "nickname": _nickname(pools[sex], number),
            "sex": sex,
            "birthday": OLDEST + timedelta(days=pick.randint(0, days)),
            "location": CITIES[place // 2],
            "bio": pick.choice(BIOS),
        }


def _nickname(pool: list[str], number: int) -> str:
    """The pool's names, each once, in a mixed order; from then on with a number that makes them new."""
    # 1223 shares no factor with the pool's 3,200 names, so the steps visit all of them.
    name = pool[number * 1223 % len(pool)]
    turn = number // len(pool)
    return f"{name}{turn}" if turn else name


@transactional
def _insert(people: list[Row]) -> None:
    """Insert one batch into all the tables that a person is in."""
    moment = now()
    taken = _taken([fold_nickname(person["nickname"]) for person in people])
    for person in people:
        if fold_nickname(person["nickname"]) in taken:
            # Somebody real has this name: the phone number makes it new.
            person["nickname"] += person["phone"][-9:]
    rows: dict[Any, list[Row]] = {
        User: [
            person
            | {
                "avatar": f"/portraits/{person['sex']}/{person['phone']}.svg",
                "status": Status.ACTIVE,
                "is_robot": True,
                "created_at": moment,
            }
            for person in people
        ],
        Phone: [{"phone": person["phone"], "uid": person["id"]} for person in people],
        Nickname: [{"folded": fold_nickname(person["nickname"]), "uid": person["id"]} for person in people],
        Preferences: [{"uid": person["id"]} for person in people],
        Discovery: [
            {
                "location": person["location"],
                "uid": person["id"],
                "sex": person["sex"],
                "dating_sex": DatingSex(person["sex"].other),
                "birthday": person["birthday"],
                "shuffle": shuffle_of(person["id"]),
            }
            for person in people
        ],
    }
    for model, values in rows.items():
        db.session.execute(insert(model), values)


def _taken(folded: list[str]) -> set[str]:
    return set(db.session.scalars(select(Nickname.folded).where(Nickname.folded.in_(folded))))
