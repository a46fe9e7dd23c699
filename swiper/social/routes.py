"""The `social` blueprint: deck, swipes, friends, likers, ranking, and other people's cards."""

from typing import Any

from flask import g

from swiper.auth import sessions
from swiper.errors import NotFoundError
from swiper.extensions import this_g
from swiper.http.blueprints import Blueprint, ok
from swiper.http.hooks import require_login
from swiper.http.page_cache import cached_page
from swiper.http.pages import PageIn, page_schema
from swiper.http.view_marks import doc, link
from swiper.profiles.cards import cards_of
from swiper.signals import deck_shown, like_given
from swiper.social import deck, deck_session, friends, likers, ranking, schemas, swipes
from swiper.social.models import SwipeKind
from swiper.vip.models import Permission
from swiper.vip.permissions import permission_required

blueprint = Blueprint("social", __name__, url_prefix="/api", tag="Social")
blueprint.before_request(require_login())
sessions.READ_ALONG["/api/social/users"] = deck_session.session_key


@blueprint.get("/user/<id:user_id>")
@blueprint.output(schemas.PersonOut)
def show_card(user_id: int) -> dict[str, Any]:
    """Another user's public card."""
    cards = cards_of([user_id], friends=friends.are_friends(g.uid, [user_id]))
    if not cards:
        raise NotFoundError()
    return ok(cards[0])


@blueprint.get("/social/users")
@doc(
    links=(
        link("show_card", parameters={"user_id": "/data/users/0/id"}),
        link("like", body={"sid": "/data/users/0/id"}),
        link("dislike", body={"sid": "/data/users/0/id"}),
    )
)
@blueprint.input(schemas.DeckIn, location="query", arg_name="wanted")
@blueprint.output(schemas.DeckOut)
def show_deck(wanted: dict[str, int]) -> dict[str, Any]:
    """Five people of the deck; group 0 starts from the top."""
    kept = this_g()
    ids, answer = deck.show_deck(kept.account, kept.vip_status, wanted["group_num"], sessions.taken_along())
    if ids:
        deck_shown.send(None, uid=kept.uid, shown=ids)
    return ok(answer)


def _swipe(target_id: int, kind: SwipeKind) -> dict[str, Any]:
    kept = this_g()
    is_matched = swipes.swipe(kept.uid, target_id, kind, kept.vip_status).is_matched
    if kind.is_like and not is_matched:
        like_given.send(None, uid=kept.uid, target_id=target_id)
    return ok({"is_matched": is_matched})


@blueprint.post("/social/like")
@doc(refusals=(404, 409, 429))
@blueprint.input(schemas.SwipeIn, location="json_or_form", arg_name="given")
@blueprint.output(schemas.SwipeOut)
def like(given: dict[str, int]) -> dict[str, Any]:
    """Like somebody; both become friends when the other has liked as well."""
    return _swipe(given["sid"], SwipeKind.LIKE)


@blueprint.post("/social/superlike")
@doc(refusals=(404, 409, 429))
@permission_required(Permission.SUPERLIKE)
@blueprint.input(schemas.SwipeIn, location="json_or_form", arg_name="given")
@blueprint.output(schemas.SwipeOut)
def superlike(given: dict[str, int]) -> dict[str, Any]:
    """Like somebody and stand at the head of their deck."""
    return _swipe(given["sid"], SwipeKind.SUPERLIKE)


@blueprint.post("/social/dislike")
@doc(refusals=(404, 409))
@blueprint.input(schemas.SwipeIn, location="json_or_form", arg_name="given")
@blueprint.output(schemas.SwipeOut)
def dislike(given: dict[str, int]) -> dict[str, Any]:
    """Dislike somebody; they leave the deck."""
    return _swipe(given["sid"], SwipeKind.DISLIKE)


@blueprint.post("/social/rewind")
@doc(refusals=(409, 429))
@permission_required(Permission.REWIND)
@blueprint.input(schemas.RewindIn, location="json_or_form", arg_name="given")
@blueprint.output(schemas.RewindOut)
def rewind(given: dict[str, int]) -> dict[str, Any]:
    """Take the last swipe back, with everything that followed from it."""
    return ok({"sid": swipes.rewind(g.uid, g.vip_status, given.get("sid"))})


@blueprint.get("/social/friends")
@doc(links=(link("unfriend", body={"sid": "/data/items/0/id"}),))
@blueprint.input(PageIn, location="query", arg_name="wanted")
@blueprint.output(page_schema("FriendPage", schemas.FriendOut))
def show_friends(wanted: dict[str, int]) -> dict[str, Any]:
    """The caller's matches, newest first."""
    return ok(friends.list_friends(g.uid, **wanted))


@blueprint.post("/social/unfriend")
@doc(refusals=(404,))
@blueprint.input(schemas.SwipeIn, location="json_or_form", arg_name="given")
@blueprint.output({}, status_code=200)
def unfriend(given: dict[str, int]) -> dict[str, Any]:
    """End a match for both."""
    friends.unfriend(g.uid, given["sid"])
    return ok({})


@blueprint.get("/social/liked_me")
@doc(links=(link("superlike", body={"sid": "/data/items/0/id"}),))
@permission_required(Permission.WHO_LIKED_ME)
@blueprint.input(PageIn, location="query", arg_name="wanted")
@blueprint.output(page_schema("LikerPage", schemas.LikerOut))
def show_likers(wanted: dict[str, int]) -> dict[str, Any]:
    """Who liked the caller, newest first."""
    return ok(likers.list_likers(g.uid, **wanted))


@blueprint.get("/social/liked_me/count")
@blueprint.output(schemas.WaitingOut)
def count_likers() -> dict[str, Any]:
    """How many wait for the caller's answer; who they are takes the permission."""
    return ok(likers.count_waiting(g.account, g.vip_status))


@blueprint.get("/social/hot")
@cached_page(ranking.PAGE_KEY, "HOT_PAGE_SECONDS", is_public=False)
@blueprint.output(schemas.RankOut(many=True))
def show_hot() -> dict[str, Any]:
    """The fifty people with the most points."""
    return ok(ranking.top_people())
