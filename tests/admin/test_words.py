"""Both languages say everything, on pages that are built well."""

import ast
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from jinja2 import Environment, nodes

from config.settings import ROOT
from swiper.admin.audit import Action
from swiper.admin.messages import EN, ZH, say
from swiper.admin.people import details_of
from swiper.admin.schemas import (
    ActionsQuery,
    BanIn,
    CodeIn,
    DaysQuery,
    LevelIn,
    NetworkIn,
    OrdersQuery,
    PeopleQuery,
    SaleIn,
    SearchIn,
    SetupIn,
    SuspensionIn,
)
from swiper.http.messages import ZH as API_ZH
from swiper.profiles.models import Sex, Status
from swiper.vip.levels import DESCRIPTIONS
from swiper.vip.models import OrderState
from tests.admin.conftest import AdminClient
from tests.factories import People

TEMPLATES = sorted((ROOT / "swiper/admin/templates").rglob("*.html"))
VIEWS = sorted((ROOT / "swiper/admin/views").glob("*.py"))
FORMS = (CodeIn, SetupIn, SuspensionIn, BanIn, NetworkIn, LevelIn, SaleIn, SearchIn)
QUERIES = (PeopleQuery, OrdersQuery, ActionsQuery, DaysQuery)
# The same in both languages.
NAMES = {"Swiper", "· Swiper", "English", "中文", "p95"}


def calls(tree: nodes.Template) -> Iterator[str]:
    """The sentences that a template says by `t` or `pill`."""
    for call in tree.find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else getattr(call.node, "attr", "")
        if name in ("t", "pill") and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


def said() -> set[str]:
    """Every word that the desk can say."""
    words: set[str] = set()
    for path in TEMPLATES:
        words.update(calls(Environment().parse(path.read_text())))
    for path in VIEWS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "redirect_to":
                words.update(arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant))
    for kind in (Action, OrderState, Status, Sex):
        words.update(member.value for member in kind)
    words.update(permission.value for permission in DESCRIPTIONS)
    for form in (*FORMS, *QUERIES):
        words.update(field.data_key or name for name, field in form().fields.items())
    # Of the templates' own choosing, by a variable; and fields that are read beside a form.
    return words | {"open", "over", "to come", "permissions", "phonenum"}


def counted(app: Flask, people: People) -> set[str]:
    with app.app_context():
        return set(details_of(people.add().id).counts)


def test_every_word_has_its_chinese(app: Flask, people: People) -> None:
    words = said() | counted(app, people)
    assert len(words) > 150
    missing = {word for word in words if word not in ZH and word not in API_ZH}
    assert missing == set()


def test_nothing_stands_in_the_catalogue_that_nobody_says(app: Flask, people: People) -> None:
    words = said() | counted(app, people)
    assert set(ZH) - words == set()
    assert set(EN) - words == set()


def test_words_of_the_code_have_an_english_name() -> None:
    codes = {word for word in said() if "_" in word and " " not in word}
    permissions = {permission.value for permission in DESCRIPTIONS}
    assert codes - set(EN) - permissions == set()


@pytest.mark.parametrize("text", sorted(ZH))
def test_both_languages_fill_in_the_same_places(text: str) -> None:
    assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", say(text, "zh")))
    assert say(text, "zh") != "" != say(text, "en")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_say_nothing_past_the_catalogue(path: object) -> None:
    """What stands between tags is a call of `t`, or the same in every language."""
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", path.read_text(), flags=re.S)  # type: ignore[attr-defined]
    text = re.sub(r"<[^>]*>", "\n", text)
    rest = {line.strip() for line in text.splitlines()} - NAMES
    assert [line for line in rest if re.search(r"[A-Za-z\u4e00-\u9fff]", line)] == []


# --- which language ---


def test_the_language_is_the_browser_s_until_another_is_chosen(admin: AdminClient) -> None:
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    assert "<h1>People</h1>" in admin.read("/admin/people")
    assert "<h1>用户</h1>" in admin.client.get("/admin/people", headers=chinese).text
    assert "<h1>People</h1>" in admin.client.get("/admin/people?lang=en", headers=chinese).text
    # Remembered from then on, for pages below /admin alone.
    assert "<h1>People</h1>" in admin.client.get("/admin/people", headers=chinese).text
    cookie = admin.client.get_cookie("swiper_desk_language", path="/admin")
    assert cookie is not None
    assert cookie.http_only
    assert "<h1>用户</h1>" in admin.read("/admin/people", lang="zh")
    assert "<h1>用户</h1>" in admin.read("/admin/people", lang="xx")


@pytest.mark.parametrize(
    "evil", ["_external=1&_scheme=javascript", "_anchor=x", "lang=%22%3E%3Cscript%3E", "_method=POST"]
)
def test_the_link_to_the_other_language_stays_on_this_page(admin: AdminClient, evil: str) -> None:
    page = admin.read(f"/admin/people?nickname=%3Cb%3E&{evil}")
    links = re.findall(r'<a href="([^"]*)" lang=', page)
    assert len(links) == 1
    assert links[0].startswith("/admin/people?nickname=%3Cb%3E&amp;")
    assert links[0].endswith("lang=zh")


def test_errors_and_notices_are_told_in_the_language(people: People, admin: AdminClient) -> None:
    person = people.add()
    admin.read("/admin?lang=zh")
    assert "账号已封禁。" in admin.change(f"/admin/people/{person.id}/suspend", reason="x")
    answer = admin.post(f"/admin/people/{person.id}/suspend", reason="")
    assert "原因" in answer.text
    assert "此项必填。" in answer.text


def test_a_notice_is_shown_once(people: People, admin: AdminClient) -> None:
    person = people.add()
    assert "The account is suspended." in admin.change(f"/admin/people/{person.id}/suspend", reason="x")
    assert "The account is suspended." not in admin.read(f"/admin/people/{person.id}")
