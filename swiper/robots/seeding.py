"""Makes robots: invented people who fill the decks of a new installation."""

import itertools
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.ids import new_id
from swiper.profiles.cards import card_text, shuffle_of
from swiper.profiles.models import CARD_COLUMNS, Sex
from swiper.profiles.nicknames import fold_nickname
from swiper.profiles.profiles import default_dating_sex
from swiper.robots import queries

log = logging.getLogger(__name__)

SURNAMES = (
    "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史"
    "顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
MALE_NAMES = "伟强磊洋勇军杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林翔松"
FEMALE_NAMES = "芳娜敏静丽艳娟霞秀燕玲桂玉萍红梅莹雪琳晶倩婷颖佳慧悦欣怡璐瑶蕾薇"
CITIES = ("北京", "上海", "深圳", "广州", "西安", "成都", "沈阳", "武汉")
# Cities and sexes take turns, so that a newcomer finds somebody in every city, even if there are few robots.
PLACES = [(city, sex) for city in CITIES for sex in (Sex.MALE, Sex.FEMALE)]
FIRST_PHONE = 21_000_000_000
LAST_PHONE = 21_900_000_000
EARLIEST_BIRTHDAY = date(1980, 1, 1)
LATEST_BIRTHDAY = date(2000, 12, 31)
BATCH = 5_000
# The levels with a badge. Of each five turns of PLACES the first has them: every fifth woman and man of each city.
BADGED_LEVELS = (1, 3)
BADGE_EVERY = 5
BADGE_TIME = timedelta(days=3650)
BIOS = (
    "周末喜欢爬山和咖啡，晴天不在家。",
    "养了两只猫，会做饭，洗碗交给你。",
    "爱看电影，也爱旅行，下一站想去冰岛。",
    "跑步十公里，正在学吉他，邻居很有耐心。",
    "想找一个能一起吃火锅的人，锅底听你的。",
    "喜欢摄影和安静的书店。",
    "建筑师，画图到深夜，幸好楼下有馄饨摊。",
    "小学老师，每天回答一百个为什么。",
    "周二打羽毛球，周四游泳，周日躺平。",
    "会三种语言，点菜只用一句：这个，谢谢。",
    "烘焙新手，面包有点硬，心很软。",
    "程序员，没有格子衬衫。",
    "爱听黑胶唱片，也爱逛菜市场。",
    "护士，见过凌晨四点的城市，想有人一起看日出。",
    "骑车上班，风雨无阻；下雨天也想有人送伞。",
    "有一只柯基，它负责可爱，我负责遛。",
    "读诗，也读说明书。",
    "喜欢博物馆和展览，看完能聊一路。",
    "做播客，声音比照片好听。",
    "植物活得比我好，阳台快成森林了。",
    "滑雪入门三年，摔跤已经很专业。",
    "周末露营，会生火，会看星星。",
    "脱口秀爱好者，笑点很低。",
    "学了陶艺，杯子都有自己的想法。",
    "爱喝茶，也能陪你喝奶茶。",
    "桌游老手，剧本杀新人，求带。",
    "在学潜水，想去看海龟。",
    "早睡早起，咖啡只喝手冲。",
    "走过一半的省，另一半想和你一起。",
    "慢热，熟了话很多。",
    "",
)

WANTED = {sex: default_dating_sex(sex) for sex in Sex}


class Robot(NamedTuple):
    """The invented data of a robot. The fields are columns of `users`."""

    id: int
    phone: str
    nickname: str
    sex: Sex
    birthday: date
    location: str
    bio: str
    avatar: str

    @property
    def card(self) -> str:
        """The text of `Discovery.card`."""
        return card_text(dict.fromkeys(CARD_COLUMNS) | self._asdict(), [])


def seed_robots(count: int, seed: int | None = None, progress: Callable[[int], None] = lambda _: None) -> None:
    """Add `count` robots in batches, each in one transaction, and call `progress` with the size of each batch.

    The same seed and the same number of existing robots give the same people. The first phone follows the last one
    that is used, so another run adds more robots. Raises ValueError if there are not enough phones.
    """
    first = _first_number(count)
    pick = random.Random(f"{seed}:{first}") if seed is not None else random.Random()
    places = (PLACES[number % len(PLACES)] for number in range(first, first + count))
    people = _people(first, places, pick)
    while batch := list(itertools.islice(people, BATCH)):
        _store(batch)
        progress(len(batch))


def seed_city(city: str, counts: Mapping[Sex, int]) -> None:
    """Add robots of each sex to one city, in one transaction. Raises ValueError if there are not enough phones."""
    # The sexes take turns here as well, so that both have badges.
    turns = itertools.zip_longest(*([(city, sex)] * count for sex, count in counts.items()))
    places = [place for turn in turns for place in turn if place is not None]
    if places:
        _store(list(_people(_first_number(len(places)), places, random.Random())))


def is_robot_phone(phone: str) -> bool:
    """Return True for a phone of the robots' range."""
    return phone.isascii() and phone.isdigit() and FIRST_PHONE <= int(phone[:12]) <= LAST_PHONE


def _first_number(count: int) -> int:
    """Return the number of the first of `count` more robots. Raises ValueError if there are not enough phones."""
    last = queries.last_phone(str(FIRST_PHONE), str(LAST_PHONE))
    first = int(last) - FIRST_PHONE + 1 if last else 0
    if FIRST_PHONE + first + count - 1 > LAST_PHONE:
        raise ValueError(f"there are phones for {LAST_PHONE - FIRST_PHONE + 1} robots in all")
    return first


def _people(first: int, places: Iterable[tuple[str, Sex]], pick: random.Random) -> Iterator[Robot]:
    """Yield a robot for each of `places`, a city and a sex. Their numbers begin with `first`."""
    pools = {
        Sex.MALE: [a + b for a in SURNAMES for b in MALE_NAMES],
        Sex.FEMALE: [a + b for a in SURNAMES for b in FEMALE_NAMES],
    }
    days = (LATEST_BIRTHDAY - EARLIEST_BIRTHDAY).days + 1
    birthdays = [EARLIEST_BIRTHDAY + timedelta(days=day) for day in range(days)]
    for number, (city, sex) in enumerate(places, first):
        phone = str(FIRST_PHONE + number)
        yield Robot(
            new_id(),
            phone,
            _nickname(pools[sex], number),
            sex,
            pick.choice(birthdays),
            city,
            pick.choice(BIOS),
            f"/portraits/{sex}/{phone}.svg",
        )


def _nickname(pool: list[str], number: int) -> str:
    """Return a nickname. Each name of the pool comes once, in a mixed order; after that, a number makes it new."""
    # 1223 has no common factor with the 3,200 names of the pool, so the steps reach all of them.
    name = pool[number * 1223 % len(pool)]
    turn = number // len(pool)
    return f"{name}{turn}" if turn else name


def _store(people: list[Robot]) -> None:
    """Insert one batch. If a real person has the nickname of a robot, the robot's phone makes its nickname new.

    The same for an id that somebody has: all robots of the batch get new ids.
    """
    try:
        _insert(people, has_free_names=True)
    except IntegrityError:
        # Such people are rare, and looking for them takes a third of the whole time.
        _insert([robot._replace(id=new_id()) for robot in people], has_free_names=False)


@transactional
def _insert(people: list[Robot], has_free_names: bool) -> None:
    """Insert one batch into all tables of people. Nicknames come first, since they may be taken."""
    if not has_free_names:
        people = _renamed(people)
    queries.insert_nicknames((fold_nickname(robot.nickname), robot.id) for robot in people)
    discovery = (
        (robot.location, robot.id, robot.sex, WANTED[robot.sex], robot.birthday, shuffle_of(robot.id), robot.card)
        for robot in people
    )
    queries.insert_people(Robot._fields, people, discovery, _memberships(people))


def _memberships(people: list[Robot]) -> Iterator[tuple[int, int, datetime]]:
    """Yield id, level and end of the memberships of a batch, whose robots have consecutive numbers."""
    until = now() + BADGE_TIME
    for number, robot in enumerate(people, int(people[0].phone) - FIRST_PHONE):
        place, rest = divmod(number // len(PLACES), BADGE_EVERY)
        if rest == 0:
            yield robot.id, BADGED_LEVELS[place % len(BADGED_LEVELS)], until


def _renamed(people: list[Robot]) -> list[Robot]:
    folded = {robot.id: fold_nickname(robot.nickname) for robot in people}
    taken = queries.taken_nicknames(list(folded.values()))
    return [
        robot._replace(nickname=robot.nickname + robot.phone[-9:]) if folded[robot.id] in taken else robot
        for robot in people
    ]
