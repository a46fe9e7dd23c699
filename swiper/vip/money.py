"""Amounts of money. The code counts in whole cents; people read and write yuan with at most two decimals."""

import re
from decimal import Decimal

# 9,999,999.99 yuan. The price of 36 months at this monthly price still fits each column of each database.
MAX_CENTS = 999_999_999
YUAN = re.compile(r"[0-9]{1,7}(\.[0-9]{1,2})?", re.ASCII)


def parse_yuan(text: str) -> int:
    """Return an amount of yuan in cents. Raises ValueError for a text other than digits with at most two decimals."""
    if not YUAN.fullmatch(text):
        raise ValueError("not an amount of yuan")
    return int(Decimal(text) * 100)
