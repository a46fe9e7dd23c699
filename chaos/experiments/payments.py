"""Notices of payments: the same one many times at once, and false ones."""

from collections import Counter
from collections.abc import Iterator

from chaos.burst import RequestSpec
from chaos.cashier import Shown, granted_months, notice, place_order, sign, states_of
from chaos.lab import MARIADB, POSTGRES, Lab
from chaos.members import Member
from chaos.report import Finding
from chaos.shop import shop_on
from chaos.site import Site

TOGETHER = 50
MONTHS = 2
FORBIDDEN, REFUSED = 403, 400


def payments_are_granted_once(lab: Lab) -> Iterator[Finding]:
    """Identical callbacks in parallel, then everything that may be wrong with a callback, then replays."""
    for database in (POSTGRES,) if lab.is_short else (POSTGRES, MARIADB):
        site = shop_on(lab, database).site
        yield _repeat(site, database, lab.count(20, 4))
        yield _forge(site, database, lab.count(10, 2))


def _repeat(site: Site, database: str, count: int) -> Finding:
    """Half of the orders get one notice many times, the others notices of as many different payments."""
    members = site.add_members(count)
    answers: Counter[str] = Counter()
    again: Counter[int] = Counter()
    for number, member in enumerate(members):
        order = place_order(site, member, MONTHS)
        specs = [notice(order, payment_id=f"bank-{n * (number % 2)}") for n in range(TOGETHER)]
        answers.update(str(answer.status) for answer in site.fire(*specs))
        again[site.ask(specs[0]).status] += 1
    granted = _granted_once(site, members)
    return Finding(
        f"identical payment callbacks, {database}",
        f"{count} orders; {TOGETHER} callbacks for each at the same moment, about one payment and about {TOGETHER}",
        "1 grant; each callback gets 200, or 503 and so comes again",
        f"answers: {_listed(answers)}; sent once more: {again[200]} of {count} with 200; {granted} of {count} granted "
        "exactly once",
        set(answers) <= {"200", "503"} and again == {200: count} and granted == count,
    )


def _forge(site: Site, database: str, count: int) -> Finding:
    members = site.add_members(count)
    # The ordered one, and a dear one that nobody pays.
    pairs = [(place_order(site, member, MONTHS), place_order(site, member, 12, level=3)) for member in members]
    answers: Counter[str] = Counter()
    for order, dear in pairs:
        forged = _forged(order, dear)
        for answer, (expected, _) in zip(site.fire(*[spec for _, spec in forged]), forged, strict=True):
            answers["refused" if answer.status == expected else f"{answer.status} instead of {expected}"] += 1
    pending = states_of(site, [order for pair in pairs for order in pair])["pending"]
    granted = sum(granted_months(site, member.id) > 0 for member in members)
    replays = Counter(
        str(answer.status)
        for order, _ in pairs
        for answer in (site.ask(notice(order)), *site.fire(*[notice(order)] * 10))
    )
    once = _granted_once(site, members)
    return Finding(
        f"false payment callbacks, {database}",
        f"{answers.total()} callbacks with a wrong signature, amount, currency or order; then {count} payments, each "
        "replayed 10 times",
        "0 grants by a false one; 0 by a replay",
        f"false ones: {_listed(answers)}; {pending} of {2 * count} orders still pending, {granted} members with a "
        f"grant; payments and replays: {_listed(replays)}, {once} of {count} granted exactly once",
        set(answers) == {"refused"}
        and pending == 2 * count
        and not granted
        and replays == {"200": 11 * count}
        and once == count,
    )


def _forged(order: Shown, dear: Shown) -> list[tuple[int, RequestSpec]]:
    """False notices, each with the status that it must get."""
    right = notice(order)
    proof = right.headers["X-Signature"]
    unsigned = [
        notice(order, secret="cashier-" * 5),
        *[notice(order, signature=wrong) for wrong in ("0" * 64, proof[::-1], proof[:-1])],
        # As we sign links, and as notices were signed before the purposes were told apart.
        *[notice(order, signature=sign(purpose, right.body)) for purpose in (b"swiper-link", b"")],
        # A right signature, but of another order's notice, or of this one before it was changed.
        notice(dear, signature=proof),
        notice(order, signature=proof, amount_cents=1),
        RequestSpec("POST", right.path, right.body),
    ]
    price = round(order["amount"] * 100)
    signed = [
        *[notice(order, amount_cents=cents) for cents in (price - 1, price + 1, 0, -price, 2**62)],
        *[notice(order, currency=currency) for currency in ("USD", "cny", "")],
        # Paid for the cheap order, told of the dear one.
        notice(dear, amount_cents=price),
        *[notice(order, order_id=number) for number in (str(int(order["id"]) + 1), "0", int(order["id"]))],
        notice(order, payment_id=""),
    ]
    return [(FORBIDDEN, spec) for spec in unsigned] + [(REFUSED, spec) for spec in signed]


def _granted_once(site: Site, members: list[Member]) -> int:
    return sum(granted_months(site, member.id) == MONTHS for member in members)


def _listed(answers: Counter[str]) -> str:
    return ", ".join(f"{count:,} × {answer}" for answer, count in sorted(answers.items()))
