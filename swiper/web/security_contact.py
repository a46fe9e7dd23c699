"""The file `security.txt` (RFC 9116), which tells whom to contact about a vulnerability."""

from datetime import UTC, datetime, timedelta

# The RFC recommends less than a year, so that nobody writes to an address that is out of use.
VALID_DAYS = 180


def security_text(contact: str, canonical_url: str) -> str:
    """The text of the file. `contact` is a URI such as `mailto:…`; `canonical_url` may be empty."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: {contact}",
        f"Expires: {(today + timedelta(days=VALID_DAYS)).strftime('%Y-%m-%dT%H:%M:%SZ')}",
        "Preferred-Languages: zh, en",
    ]
    if canonical_url:
        lines.append(f"Canonical: {canonical_url}")
    return "".join(f"{line}\n" for line in lines)
