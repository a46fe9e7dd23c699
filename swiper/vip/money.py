"""Amounts of money: whole cents inside, yuan with at most two decimals outside."""

import re
from decimal import Decimal

# 9,999,999.99 yuan, within every column of every database also for three years of it.
MAX_CENTS = 999_999_999
YUAN = re.compile(r"[0-9]{1,7}(\.[0-9]{1,2})?", re.ASCII)


def parse_yuan(text: str) -> int:
    """The cents of an amount as people write it. Raises ValueError for anything but digits and at most two decimals."""
    if not YUAN.fullmatch(text):
        raise ValueError("not an amount of yuan")
    return int(Decimal(text) * 100)
