"""The words that keys in Redis begin with, before their first colon.

A site's name stands there as well (SITE_NAME), so it must be none of them: the keys of a site `sms` would lie among
those of a site without a name.
"""

# The number is that of the stored form: a release before, which would read other bytes, has keys of its own.
CACHE = "cache2"
KEY_FAMILIES = frozenset({CACHE, "alone", "check", "failed", "heartbeat", "login", "pow", "robots", "sms"})
