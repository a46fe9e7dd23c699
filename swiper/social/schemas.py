"""Schemas of the social endpoints."""

from apiflask import Schema
from marshmallow import fields, validate

from swiper.http.schemas import Id, InputSchema, WholeNumber, in_range
from swiper.profiles.schemas import CardOut
from swiper.social.deck import LAST_GROUP
from swiper.social.models import SwipeKind

RELAXABLE = ["dating_sex", "min_dating_age", "max_dating_age", "dating_location"]


class PersonOut(CardOut):
    """One person's card as an answer of its own; APIFlask cannot document a schema that is also nested."""


class DeckIn(InputSchema):
    """The number of a group of five, from 0."""

    group_num = WholeNumber(load_default=0, validate=in_range(0, LAST_GROUP))


class EmptyOut(Schema):
    """Why the deck is empty, and which preferences would bring people if they were relaxed."""

    reason = fields.String(required=True, validate=validate.OneOf(["end_of_deck", "all_swiped", "nobody_fits"]))
    relax = fields.List(fields.String(validate=validate.OneOf(RELAXABLE)), required=True)


class DeckOut(Schema):
    """One group of the deck."""

    users = fields.List(fields.Nested(CardOut), required=True)
    empty = fields.Nested(EmptyOut, required=True, allow_none=True)


class SwipeIn(InputSchema):
    """`sid` is the id of the person to swipe."""

    sid = Id(required=True)


class SwipeOut(Schema):
    """Whether the two are friends now."""

    is_matched = fields.Boolean(required=True)


class RewindIn(InputSchema):
    """`sid`, if given, must be the person of the last swipe."""

    sid = Id()


class RewindOut(Schema):
    """`sid` is the person whose swipe was taken back."""

    sid = Id(required=True)


class FriendOut(CardOut):
    """A friend's card."""

    matched_at = fields.AwareDateTime(required=True)


class LikerOut(CardOut):
    """The card of somebody who liked the caller; `answer` is the caller's own swipe on them."""

    liked_at = fields.AwareDateTime(required=True)
    is_superlike = fields.Boolean(required=True)
    answer = fields.String(required=True, allow_none=True, validate=validate.OneOf([kind.value for kind in SwipeKind]))


class WaitingOut(Schema):
    """How many like the caller and have no answer yet, counted up to 99."""

    waiting = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)


class RankOut(Schema):
    """One place of the ranking."""

    rank = fields.Integer(required=True)
    score = fields.Integer(required=True)
    user = fields.Nested(CardOut, required=True)
