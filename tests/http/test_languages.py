"""The language of an answer, by Accept-Language as clients and attackers write it."""

import pytest
from flask import Flask

from swiper.http import bodies
from swiper.http.languages import choose_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-US,zh-CN;q=0.9", "en"),
        ("zh-CN,en-US;q=0.9", "zh"),
        ("zh-Hans-CN", "zh"),
        ("zh-Hant-TW,en;q=0.9", "zh"),
        ("zh-SG,en;q=0.9", "zh"),
        ("zh_CN", "zh"),
        ("cmn-Hans-CN,en;q=0.9", "zh"),
        ("yue-HK", "zh"),
        ("wuu;q=0.5,en;q=0.6", "en"),
        ("ZH-cn", "zh"),
        ("zh-CN, en", "zh"),
        ("en, zh-CN", "en"),
        ("de-DE,de;q=0.9,zh;q=0.2,en;q=0.1", "zh"),
        ("en;q=0.100,zh;q=0.2", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=0.000,en;q=0.001", "en"),
        ("en;q=0", "zh"),
        ("en;q=0,*", "zh"),
        ("zh;q=0.5,*", "en"),
        ("en;q=0,zh;q=0", "en"),
        ("*;q=0", "en"),
        ("*", "en"),
        ("zhx", "en"),
        ("zh;q=1.5,en;q=0.1", "en"),
        ("zh;q=nan,en;q=0.1", "en"),
        ("zh;q=-1,en", "en"),
        ("zh;q=١", "en"),
        ("zh; q = 0.9, en;q=0.5", "zh"),
        (";q=1,,;,zh", "zh"),
        ("", "en"),
    ],
)
def test_the_highest_weight_wins_and_of_equal_ones_the_first(header: str, language: str) -> None:
    assert choose_language(header) == language


def test_what_stands_far_behind_is_not_read() -> None:
    assert choose_language("de," * 20 + "zh") == "en"
    assert choose_language(" " * 200 + "zh") == "en"


def test_the_language_is_found_once_for_each_request(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def count(header: str) -> str:
        calls.append(header)
        return choose_language(header)

    monkeypatch.setattr(bodies, "choose_language", count)
    form = {f"field{number}": "x" for number in range(60)}
    long_header = ",".join(f"x{number};q=0.{number}" for number in range(500))
    answer = app.test_client().post("/api/user/login", data=form, headers={"Accept-Language": long_header})
    assert answer.status_code == 422
    assert len(calls) == 1


@pytest.mark.usefixtures("app")
def test_requests_in_one_context_each_have_their_own(app: Flask) -> None:
    with app.app_context():
        for header, message in (("zh", "请先登录。"), ("en", "Log in first.")):
            answer = app.test_client().get("/api/user/profile", headers={"Accept-Language": header})
            assert answer.json["message"] == message
