"""The page by which people who found a hole find us, as RFC 9116 wants it."""

from datetime import UTC, datetime, timedelta

# The RFC wants less than a year, so that nobody writes to an address that is given up.
VALID_DAYS = 180


def security_text(contact: str, canonical_url: str) -> str:
    """The file: `contact` is an address with its scheme; `canonical_url` may be empty."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: {contact}",
        f"Expires: {(today + timedelta(days=VALID_DAYS)).strftime('%Y-%m-%dT%H:%M:%SZ')}",
        "Preferred-Languages: zh, en",
    ]
    if canonical_url:
        lines.append(f"Canonical: {canonical_url}")
    return "".join(f"{line}\n" for line in lines)
