"""What is read without the schemas is answered as the schemas answer it, however oddly it is written."""

import re
from typing import Any

import pytest
from flask import Flask

from swiper.ids import MAX_ID
from swiper.social import routes
from swiper.social.deck import LAST_GROUP
from tests.factories import People

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PATHS = ["like", "superlike", "dislike", "unfriend"]
# How clients write an id; the second stands for what json.dumps makes, the third for what a browser does.
USUAL = [(JSON, '{"sid": "%s"}'), (JSON, '{"sid":"%s"}'), (FORM, "sid=%s")]
ODD_JSON = [
    *('{"sid": %s}', '{"sid":%s}', '{"sid":  "%s"}', ' {"sid":"%s"}', '{"sid":"%s"} ', '{"sid":"%s"}\n'),
    *('{"sid" :"%s"}', '{"sid":"%s","sid":"0%s"}'),
    *('{ "sid":"%s"}', '{"sid":"%s" }', '{"sid":\t"%s"}', '\ufeff{"sid":"%s"}', '{"sid":"%s"}\x00', '{"sid":"%s"}x'),
    *('{"sid":"%s"}{}', '{"sid":"%s",}', '{"sid":"%s","sid":"%s"}', '{"sid":"5","sid":"%s"}', '{"sid":"%s","x":1}'),
    *("{'sid':'%s'}", '{"SID":"%s"}', '{"s\\u0069d":"%s"}', '{"sid":["%s"]}', '{"sid":{"sid":"%s"}}', '["%s"]', '"%s"'),
    *('{"sid":"0%s"}', '{"sid":"+%s"}', '{"sid":"-%s"}', '{"sid":" %s"}', '{"sid":"%s "}', '{"sid":"%s\\n"}'),
    *('{"sid":"%s.0"}', '{"sid":%s.0}', '{"sid":"%se0"}', '{"sid":%se0}', '{"sid":0%s}', '{"sid":+%s}', "{}"),
    *("", "null"),
]  # fmt: skip
ODD_FORMS = [
    *("sid=0%s", "sid=+%s", "sid=%%2B%s", "sid=-%s", "sid=%%20%s", "sid=%s+", "sid=%s%%20", "sid=%s\n", "sid=%s\r\n"),
    *("sid=%s.0", "sid=%se0", "sid=%s&", "&sid=%s", "sid=%s&sid=%s", "sid=5&sid=%s", "sid=%s&x=1", "sid=%s;"),
    *("sid=%s\x00", "sid=%s=", "sid=%s#", "sid=%%31%s"),
    *("SID=%s", "s%%69d=%s", " sid=%s", "sid =%s", "sid==%s", "sid", "sid=", "", "sid=%%ff%s", "sid[]=%s", "?sid=%s"),
]  # fmt: skip
# In place of somebody's id.
ODD_IDS = [
    *("0", "00", "1", "5", "-5", "5" * 20, "9" * 5000, "0x5", "1_0", "true", "５", "٥", "²", "\\u0035", "%35"),
    *(str(MAX_ID), str(MAX_ID + 1), str(2**64 + 5), "9" * 19, "1e3", "5.5", ""),
]  # fmt: skip
TYPES = [
    *(f"{kind}; charset={charset}" for kind in (JSON, FORM) for charset in ("utf-8", "latin-1", "utf-16")),
    *(JSON.upper(), f" {JSON}", f"{JSON};", "application/vnd.api+json", "text/json", f"{JSON}, {JSON}"),
    *(FORM.upper(), f"{FORM};", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "", None),
]
USUAL_QUERIES = {"": 0} | {f"group_num={number}": number for number in (0, 1, 2, 9, 10, 999, LAST_GROUP)}
ODD_QUERIES = [
    *(f"group_num={number}" for number in (LAST_GROUP + 1, 9999, 10_000, 2**63, 2**64, "9" * 3000)),
    *("group_num", "group_num=", "group_num=00", "group_num=01", "group_num=0001", "group_num=-0", "group_num=-1"),
    *("group_num=+1", "group_num=%2B1", "group_num=%31", "group_num=1%20", "group_num=+", "group_num= 1"),
    *("group_num=1.0", "group_num=1e1", "group_num=0x1", "group_num=1_0", "group_num=true", "group_num=1\n"),
    *("group_num=%EF%BC%91", "group_num=%D9%A1", "group_num=１", "group_num=%00", "group_num=1%00", "group_num=%FF"),
    *("group_num=1&group_num=1", "group_num=1&group_num=0", "group_num=1&", "&group_num=1", "group_num=1&x=2", "x=2"),
    *("GROUP_NUM=1", "%67roup_num=1", "group_num=1;", "group_num==1", "group_num[]=1", "group_num=1?", "?group_num=1"),
]  # fmt: skip


def filled(form: str, uid: object) -> bytes:
    count = form.count("%s")
    return (form % ((uid,) * count) if count else form.replace("%%", "%")).encode()


def bodies(uid: int) -> list[tuple[str | None, bytes]]:
    """Content type and body, with everyone's usual ones among them."""
    return [
        *((kind, filled(form, uid)) for kind, form in USUAL),
        *((kind, filled(form, odd)) for kind, form in USUAL for odd in ODD_IDS),
        *((JSON, filled(form, uid)) for form in ODD_JSON),
        *((FORM, filled(form, uid)) for form in ODD_FORMS),
        *((kind, filled(form, uid)) for kind in TYPES for _, form in USUAL),
        *((FORM if usual == JSON else JSON, filled(form, uid)) for usual, form in USUAL),
    ]


def turn_off(patch: pytest.MonkeyPatch) -> None:
    """Let the quick readers understand nothing."""
    patch.setattr(routes, "GROUP", re.compile(rb"(?!)"))
    patch.setattr(routes, "SID_IN", {})


def told(answer: Any) -> tuple[int, bytes]:
    return answer.status_code, answer.get_data()


@pytest.mark.parametrize("path", PATHS)
def test_a_body_is_answered_as_by_the_schema(path: str, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people who stand alike to a third send the same; one is heard by the quick reader, the other never."""
    one, other, target = people.add(vip=3), people.add(vip=3), people.woman(vip=3)
    if path == "unfriend":
        for person in (one, other):
            person.like(target)
            target.like(person)
    statuses: set[int] = set()
    for kind, body in bodies(target.id):
        quickly = told(one.client.post(f"/api/social/{path}", data=body, content_type=kind))
        with monkeypatch.context() as patch:
            turn_off(patch)
            by_schema = told(other.client.post(f"/api/social/{path}", data=body, content_type=kind))
        assert quickly == by_schema, (kind, body)
        statuses.add(quickly[0])
    assert {200, 400, 404, 422} <= statuses <= {200, 400, 404, 415, 422}


def test_a_group_is_answered_as_by_the_schema(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    man = people.add()
    for _ in range(12):
        people.woman()
    found: set[tuple[int, bytes]] = set()
    for query in [*USUAL_QUERIES, *ODD_QUERIES]:
        quickly = told(man.client.get("/api/social/users", query_string=query))
        with monkeypatch.context() as patch:
            turn_off(patch)
            assert told(man.client.get("/api/social/users", query_string=query)) == quickly, query
        found.add(quickly)
    assert {status for status, _ in found} == {200, 422}
    # Three groups of people, and what stands behind the last one.
    assert len([body for status, body in found if status == 200]) == 4


def heard(app: Flask, **request: Any) -> dict[str, int] | None:
    with app.test_request_context("/", **request):
        return routes._quick_sid() if "data" in request else routes._quick_group()


def test_what_clients_usually_send_is_read_quickly(app: Flask) -> None:
    for uid in (1, 5, 10**18, MAX_ID):
        for kind, form in USUAL:
            sent = {"method": "POST", "content_type": kind, "data": filled(form, uid)}
            assert heard(app, **sent) == {"sid": uid}
    for query, group in USUAL_QUERIES.items():
        assert heard(app, query_string=query) == {"group_num": group}


def test_everything_else_is_left_to_the_schemas(app: Flask) -> None:
    odd = [
        *((JSON, filled(form, 77)) for form in ODD_JSON),
        *((FORM, filled(form, 77)) for form in ODD_FORMS),
        *((kind, filled(form, 77)) for kind in TYPES for _, form in USUAL),
    ]
    for kind, body in odd:
        assert heard(app, method="POST", content_type=kind, data=body) is None, (kind, body)
    for query in ODD_QUERIES:
        assert heard(app, query_string=query) is None, query
