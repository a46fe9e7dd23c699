"""Proof of work (ALTCHA, version 2), which a client must solve before a code is sent if a budget is nearly used up.

A challenge is signed for one number and one network, is valid for minutes, and its solution counts once. Checking a
solution costs an HMAC and a hash.
"""

import base64
import json
import secrets
import time
from typing import Any

import altcha

from swiper.encryption import keyed_digests
from swiper.extensions import this_app

LIFE_SECONDS = 300


def create_challenge(phone: str, network: str, hardness: int = 1) -> dict[str, Any]:
    """Return a challenge for this number and network. `hardness` multiplies the number of hashes that it needs."""
    tries = this_app().config["PROOF_OF_WORK_TRIES"] * hardness
    challenge = altcha.create_challenge(
        "SHA-256",
        1,
        counter=secrets.randbelow(min(tries, 2**32)),
        expires_at=int(time.time()) + LIFE_SECONDS,
        data={"for": _bound_to(phone, network)[0]},
        hmac_secret=_secrets()[0],
    )
    return challenge.to_dict()


def read_proof(text: str, phone: str, network: str) -> str | None:
    """Return the unique name of a correct solution, so that it can be counted once; None for any other text."""
    if not text or not any(altcha.verify_solution(text, secret).verified for secret in _secrets()):
        return None
    # The signature is valid, so these are the parameters of a challenge of ours.
    challenge = json.loads(base64.b64decode(text))["challenge"]
    if challenge["parameters"]["data"]["for"] not in _bound_to(phone, network):
        return None
    return str(challenge["signature"])


def _bound_to(phone: str, network: str) -> list[str]:
    return [digest[:32] for digest in keyed_digests("proof of work", f"{phone}|{network}")]


def _secrets() -> list[str]:
    return keyed_digests("proof of work key", "")
