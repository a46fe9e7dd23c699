"""Proof of work (ALTCHA, version 2): a client computes for a moment before a code is sent, while a budget runs hot.

A challenge is signed for one number and one network, lives for minutes, and its solution counts once. To check a
solution costs an HMAC and a hash.
"""

import base64
import json
import secrets
import time
from typing import Any

import altcha

from swiper.encryption import keyed_digest
from swiper.extensions import this_app

LIFE_SECONDS = 300


def create_challenge(phone: str, network: str, hardness: int = 1) -> dict[str, Any]:
    """What a client must solve for this number and network; `hardness` multiplies the hashes that it takes."""
    tries = this_app().config["PROOF_OF_WORK_TRIES"] * hardness
    challenge = altcha.create_challenge(
        "SHA-256",
        1,
        counter=secrets.randbelow(min(tries, 2**32)),
        expires_at=int(time.time()) + LIFE_SECONDS,
        data={"for": _bound_to(phone, network)},
        hmac_secret=_secret(),
    )
    return challenge.to_dict()


def read_proof(text: str, phone: str, network: str) -> str | None:
    """The name by which a right solution is known, so that it counts once; None for anything else."""
    if not text or not altcha.verify_solution(text, _secret()).verified:
        return None
    # Signed, so these are the parameters of a challenge that we have made.
    challenge = json.loads(base64.b64decode(text))["challenge"]
    if challenge["parameters"]["data"]["for"] != _bound_to(phone, network):
        return None
    return str(challenge["signature"])


def _bound_to(phone: str, network: str) -> str:
    return keyed_digest("proof of work", f"{phone}|{network}")[:32]


def _secret() -> str:
    return keyed_digest("proof of work key", "")
