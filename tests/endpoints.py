"""The list of all routes, from which the tests of every route are made.

A new endpoint needs a row in TABLE and, if it takes a body, an entry in BODIES.
"""

from dataclasses import dataclass
from typing import Any

# What each route answers to each role: a code of the envelope, `page` for what is not JSON of the API, or the status of
# a redirection: 302 to the login, 303 after a change. An id in a path is the owner's: their order, their ticket, and so
# on. What stands behind a `+` says what is sent where it is not the ordinary body. tests/security/test_access.py fails
# for a route without a row: decide who may use it.
TABLE = """
                                                        stranger owner other vip1  vip2  vip3  suspended banned operator
GET    /                                                page     page  page  page  page  page  page      1010   page
GET    /shell.css                                       page     page  page  page  page  page  page      1010   page
GET    /sw.js                                           page     page  page  page  page  page  page      1010   page
GET    /.well-known/security.txt                        1009     1009  1009  1009  1009  1009  1009      1010   1009
GET    /docs                                            page     page  page  page  page  page  page      1010   page
GET    /docs/assets/<path:name>                         page     page  page  page  page  page  page      1010   page
GET    /assets/<path:filename>                          page     page  page  page  page  page  page      1010   page
GET    /media/<path:key>                                page     page  page  page  page  page  page      1010   page
GET    /portraits/<any(male, female):sex>/<id:seed>.svg page     page  page  page  page  page  page      1010   page
GET    /openapi.json                                    page     page  page  page  page  page  page      1010   page
GET    /healthz                                         0        0     0     0     0     0     0         0      0
GET    /readyz                                          0        0     0     0     0     0     0         0      0

POST   /api/user/verify                                 0        0     0     0     0     0     0         1010   0
GET    /api/user/verify                                 0        0     0     0     0     0     0         1010   0
POST   /api/user/login +wrong_code                      1000     1000  1000  1000  1000  1000  1000      1010   1000
GET    /api/user/sessions                               1001     0     0     0     0     0     0         1010   0
DELETE /api/user/sessions/<session_id>                  1001     0     1009  1009  1009  1009  1009      1010   1009
GET    /api/user/profile                                1001     0     0     0     0     0     1010      1010   0
POST   /api/user/profile/modify                         1001     0     0     0     0     0     1010      1010   0
POST   /api/user/profile/modify +far_city               1001     1004  1004  1004  1004  0     1010      1010   1004
POST   /api/user/avatar/upload                          1001     0     0     0     0     0     1010      1010   0
POST   /api/user/photos                                 1001     0     0     0     0     0     1010      1010   0
DELETE /api/user/photos/<id:photo_id>                   1001     0     1009  1009  1009  1009  1010      1010   1009
GET    /api/user/export                                 1001     0     0     0     0     0     0         1010   0
GET    /api/user/export +no_code                        1001     1017  1017  1017  1017  1017  1017      1010   1017
POST   /api/user/export                                 1001     0     0     0     0     0     0         1010   0
POST   /api/user/export +no_code                        1001     1017  1017  1017  1017  1017  1017      1010   1017
GET    /api/user/<id:user_id>                           1001     0     0     0     0     0     1010      1010   0

GET    /api/social/users                                1001     0     0     0     0     0     1010      1010   0
POST   /api/social/dislike                              1001     0     0     0     0     0     1010      1010   0
POST   /api/social/like                                 1001     0     0     0     0     0     1010      1010   0
POST   /api/social/rewind                               1001     1004  1004  1004  0     0     1010      1010   1004
POST   /api/social/superlike                            1001     1004  1004  0     0     0     1010      1010   1004
POST   /api/social/like +fifty_first                    1001     1006  1006  1006  0     0     1010      1010   1006
GET    /api/social/liked_me                             1001     1004  1004  1004  1004  0     1010      1010   1004
GET    /api/social/liked_me/count                       1001     0     0     0     0     0     1010      1010   0
GET    /api/social/friends                              1001     0     0     0     0     0     1010      1010   0
POST   /api/social/unfriend                             1001     0     1009  1009  1009  1009  1010      1010   1009
GET    /api/social/hot                                  1001     0     0     0     0     0     1010      1010   0

GET    /api/vip/levels                                  0        0     0     0     0     0     0         1010   0
GET    /api/vip/me                                      1001     0     0     0     0     0     1010      1010   0
POST   /api/vip/orders                                  1001     0     0     0     0     0     1010      1010   0
GET    /api/vip/orders/<id:order_id>                    1001     0     1009  1009  1009  1009  1010      1010   1009
POST   /api/vip/payments/sandbox/checkout/<id:order_id> 1001     0     1009  1009  1009  1009  1010      1010   1009
POST   /api/vip/payments/<provider>/callback            1014     1014  1014  1014  1014  1014  1014      1010   1014
GET    /api/vip/sales                                   1001     0     0     0     0     0     1010      1010   0
POST   /api/vip/qbuy                                    1001     0     0     0     0     0     1010      1010   0
GET    /api/vip/qbuy/<id:ticket_id>                     1001     0     1009  1009  1009  1009  1010      1010   1009

GET    /admin                                           302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/figures.json                              302      1009  1009  1009  1009  1009  1009      1010   0
GET    /admin/static/<path:filename>                    302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/people                                    302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/people/<id:uid>                           302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/people/search                             302      1009  1009  1009  1009  1009  1009      1010   303
POST   /admin/people/<id:uid>/phone                     302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/people/<id:uid>/correct                   302      1009  1009  1009  1009  1009  1009      1010   303
POST   /admin/people/<id:uid>/suspend                   302      1009  1009  1009  1009  1009  1009      1010   303
POST   /admin/people/<id:uid>/resume                    302      1009  1009  1009  1009  1009  1009      1010   303
GET    /admin/bans                                      302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/bans                                      302      1009  1009  1009  1009  1009  1009      1010   303
POST   /admin/bans/lift                                 302      1009  1009  1009  1009  1009  1009      1010   303
GET    /admin/levels                                    302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/levels/<int(max=100):number>              302      1009  1009  1009  1009  1009  1009      1010   303
GET    /admin/sales                                     302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/sales                                     302      1009  1009  1009  1009  1009  1009      1010   303
POST   /admin/sales/<id:sale_id>/close                  302      1009  1009  1009  1009  1009  1009      1010   303
GET    /admin/orders                                    302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/orders/<id:order_id>                      302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/actions                                   302      1009  1009  1009  1009  1009  1009      1010   page
GET    /admin/unlock                                    302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/unlock                                    302      1009  1009  1009  1009  1009  1009      1010   400
POST   /admin/unlock/begin                              302      1009  1009  1009  1009  1009  1009      1010   page
POST   /admin/unlock/confirm                            302      1009  1009  1009  1009  1009  1009      1010   400
POST   /admin/lock                                      302      1009  1009  1009  1009  1009  1009      1010   303

POST   /api/user/logout                                 1001     0     0     0     0     0     0         1010   0
DELETE /api/user/account +no_code                       1001     1017  1017  1017  1017  1017  1017      1010   1017
DELETE /api/user/account                                1001     0     0     0     0     0     0         1010   1005
POST   /admin/unlock/send                               302      302   302   302   302   302   302       1010   page
"""

ROLES = TABLE.split("\n")[1].split()
# Every endpoint that takes a body, with one that it would accept, and the code of what does not pass validation.
BODIES: dict[str, tuple[dict[str, Any], int]] = {
    "/api/user/verify": ({"phonenum": "13800138000"}, 1005),
    "/api/user/login": ({"phonenum": "13800138000", "vcode": "123456"}, 1005),
    "/api/user/logout": ({"all": True}, 1005),
    "/api/user/export": ({"vcode": "123456"}, 1005),
    "/api/user/profile/modify": ({"bio": "new"}, 1002),
    "/api/social/like": ({"sid": "5"}, 1005),
    "/api/social/superlike": ({"sid": "5"}, 1005),
    "/api/social/dislike": ({"sid": "5"}, 1005),
    "/api/social/rewind": ({"sid": "5"}, 1005),
    "/api/social/unfriend": ({"sid": "5"}, 1005),
    "/api/vip/orders": ({"level": 1, "months": 1}, 1005),
    "/api/vip/qbuy": ({"sale_id": "5"}, 1005),
}
# Fields of BODIES that may be left out. Without a code an export answers that it needs one.
OPTIONAL = {
    ("/api/user/logout", "all"),
    ("/api/user/export", "vcode"),
    ("/api/user/profile/modify", "bio"),
    ("/api/social/rewind", "sid"),
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    rule: str
    variant: str
    expected: dict[str, str]


def parse_table(text: str) -> list[Row]:
    rows = []
    for line in text.strip().splitlines()[1:]:
        words = line.split()
        if not words:
            continue
        method, cells = words[0], words[-len(ROLES) :]
        path = " ".join(words[1 : -len(ROLES)])
        rule, _, variant = path.partition(" +")
        rows.append(Row(method, rule, variant, dict(zip(ROLES, cells, strict=True))))
    return rows


ROWS = parse_table(TABLE)


def plain_requests(app: Any) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and body by endpoint, for each endpoint of the API whose path holds no parameter."""
    endpoints = {(method, rule.rule): rule.endpoint for rule in app.url_map.iter_rules() for method in rule.methods}
    return {
        endpoints[row.method, row.rule]: (row.method, row.rule, BODIES[row.rule][0] if row.rule in BODIES else {})
        for row in ROWS
        if row.rule.startswith("/api/") and "<" not in row.rule and not row.variant
    }
