"""One request of each kind that people make, and what it is answered while a part of the service is away."""

import itertools
from collections.abc import Sequence

from chaos.burst import RequestSpec
from chaos.members import Member
from chaos.phones import ask_codes, enter_code, new_phones, request_code
from chaos.site import Site
from tests.storage.samples import encode, gradient

OK, UNAVAILABLE = 0, 1011
REFUSED = frozenset({UNAVAILABLE})
SERVED = frozenset({OK})
NEEDS_BOTH = ("profile", "deck", "like", "login", "code")
# The codes that a request may be answered with. Pages that are still in the cache are served without the database.
WITHOUT_REDIS = dict.fromkeys((*NEEDS_BOTH, "hot", "readyz"), REFUSED) | dict.fromkeys(("levels", "healthz"), SERVED)
WITHOUT_DATABASE = (
    dict.fromkeys((*NEEDS_BOTH, "readyz"), REFUSED)
    | dict.fromkeys(("hot", "levels"), REFUSED | SERVED)
    | {"healthz": SERVED}
)

Named = list[tuple[str, RequestSpec]]


def upload_photo(member: Member) -> RequestSpec:
    """A picture for the member's album."""
    return _upload(member, "/api/user/photos", b"photo")


def upload_avatar(member: Member) -> RequestSpec:
    """A picture in the place of the member's avatar."""
    return _upload(member, "/api/user/avatar/upload", b"avatar")


def _upload(member: Member, path: str, name: bytes) -> RequestSpec:
    head = b'Content-Disposition: form-data; name="%b"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' % name
    body = b"--chaos\r\n%b%b\r\n--chaos--\r\n" % (head, encode(gradient(), "JPEG"))
    kind = {"Content-Type": "multipart/form-data; boundary=chaos"}
    return RequestSpec("POST", path, body, member.session_id, kind)


class Cast:
    """Some people who come again and again, others who come once and are in no cache, and numbers with codes."""

    def __init__(self, site: Site, size: int, bursts: int) -> None:
        self.site = site
        self.size = size
        self.regulars = site.add_members(size, vip=2)
        self.others = itertools.cycle(site.add_members(2 * size * bursts))
        self.numbers = new_phones(size)
        self.codes: Sequence[str] = []

    def ask_codes(self) -> None:
        """Have a code sent to each number; `login` enters it, again and again until it is taken."""
        self.codes = ask_codes(self.site, self.numbers)

    def burst(self) -> Named:
        """Requests of every kind, as many of each as there are regulars."""
        return list(itertools.chain.from_iterable(self._requests(number) for number in range(self.size)))

    def one_each(self) -> dict[str, RequestSpec]:
        """One request of every kind."""
        return dict(self._requests(0))

    def other_logins(self) -> list[RequestSpec]:
        """Those that `one_each` leaves."""
        return [enter_code(*pair) for pair in list(zip(self.numbers, self.codes, strict=True))[1:]]

    def _requests(self, number: int) -> Named:
        regular = self.regulars[number]
        (phone,) = new_phones(1)
        return [
            ("profile", next(self.others).get("/api/user/profile")),
            ("deck", regular.get("/api/social/users")),
            ("like", regular.swipe("like", next(self.others))),
            *([("login", enter_code(self.numbers[number], self.codes[number]))] if self.codes else []),
            ("code", request_code(phone)),
            ("hot", regular.get("/api/social/hot")),
            ("levels", RequestSpec("GET", "/api/vip/levels")),
            ("readyz", RequestSpec("GET", "/readyz")),
            ("healthz", RequestSpec("GET", "/healthz")),
        ]
