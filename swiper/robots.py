"""Robots: invented people who fill the decks of a new installation."""

import itertools
import logging
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from swiper.auth.accounts import shuffle_of
from swiper.auth.models import DatingSex, Discovery, Nickname, Phone, Preferences, Sex, User
from swiper.auth.profiles import fold_nickname
from swiper.dialect import bulk_insert, transactional
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
BATCH = 5_000
BIOS = (
    "周末喜欢爬山和咖啡。",
    "养了两只猫，会做饭。",
    "爱看电影，也爱旅行。",
    "跑步十公里，正在学吉他。",
    "想找一个能一起吃火锅的人。",
    "喜欢摄影和安静的书店。",
    "",
)

WANTED = {sex: DatingSex(sex.other) for sex in Sex}


class Robot(NamedTuple):
    """What is drawn for each; the fields are columns of `users`."""

    id: int
    phone: str
    nickname: str
    sex: Sex
    birthday: date
    location: str
    bio: str


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
        _store(batch)
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


def _people(first: int, count: int, pick: random.Random) -> Iterator[Robot]:
    """The robots from number `first` on."""
    pools = {
        Sex.MALE: [a + b for a in SURNAMES for b in MALE_NAMES],
        Sex.FEMALE: [a + b for a in SURNAMES for b in FEMALE_NAMES],
    }
    birthdays = [OLDEST + timedelta(days=day) for day in range((YOUNGEST - OLDEST).days + 1)]
    # Dealt out evenly, so that a newcomer finds somebody in every city, however few robots there are.
    places = [(city, sex) for city in CITIES for sex in (Sex.MALE, Sex.FEMALE)]
    for number in range(first, first + count):
        city, sex = places[number % len(places)]
        yield Robot(
            new_id(),
            str(FIRST_PHONE + number),
            _nickname(pools[sex], number),
            sex,
            pick.choice(birthdays),
            city,
            pick.choice(BIOS),
        )


def _nickname(pool: list[str], number: int) -> str:
    """The pool's names, each once, in a mixed order; from then on with a number that makes them new."""
    # 1223 shares no factor with the pool's 3,200 names, so the steps visit all of them.
    name = pool[number * 1223 % len(pool)]
    turn = number // len(pool)
    return f"{name}{turn}" if turn else name


def _store(people: list[Robot]) -> None:
    """Insert one batch; where somebody real has a robot's name, the phone number makes the robot's new."""
    try:
        _insert(people, has_free_names=True)
    except IntegrityError:
        # Looked for only now: it would take a third of all the time, and such people are rare.
        _insert(people, has_free_names=False)


@transactional
def _insert(people: list[Robot], has_free_names: bool) -> None:
    """Insert one batch into all the tables that a person is in; the names first, since they may be taken."""
    if not has_free_names:
        people = _renamed(people)
    bulk_insert(Nickname, ("folded", "uid"), ((fold_nickname(robot.nickname), robot.id) for robot in people))
    bulk_insert(
        User,
        (*Robot._fields, "avatar", "is_robot"),
        ((*robot, f"/portraits/{robot.sex}/{robot.phone}.svg", True) for robot in people),
    )
    bulk_insert(Phone, ("phone", "uid"), ((robot.phone, robot.id) for robot in people))
    bulk_insert(Preferences, ("uid",), ((robot.id,) for robot in people))
    bulk_insert(
        Discovery,
        ("location", "uid", "sex", "dating_sex", "birthday", "shuffle"),
        (
            (robot.location, robot.id, robot.sex, WANTED[robot.sex], robot.birthday, shuffle_of(robot.id))
            for robot in people
        ),
    )


def _renamed(people: list[Robot]) -> list[Robot]:
    folded = {robot.id: fold_nickname(robot.nickname) for robot in people}
    taken = set(db.session.scalars(select(Nickname.folded).where(Nickname.folded.in_(folded.values()))))
    return [
        robot._replace(nickname=robot.nickname + robot.phone[-9:]) if folded[robot.id] in taken else robot
        for robot in people
    ]
