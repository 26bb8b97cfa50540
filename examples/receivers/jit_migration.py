"""Users move in when they first sign in, with the password of the old system. Type: call."""

import hashlib
from functools import partial
from typing import Any

from outrider_receiver import Receiver, Refusal, Request, Response, refuse, replace

receiver = Receiver()
USERS = "/zitadel.user.v2.UserService"
hashed = partial(hashlib.scrypt, salt=b"of the old system", n=2, r=8, p=1)
OLD = {"ada@example.com": ("old-1", hashed(b"old password"))}  # stands for the old system


@receiver.response(f"{USERS}/ListUsers")
def find(call: Response) -> dict[str, Any] | None:
    """ZITADEL has no user of that name: if the old system does, create the user here."""
    names = [query.get("loginNameQuery", {}).get("loginName") for query in call.request["queries"]]
    found = [{"userId": OLD[name][0], "username": name} for name in names if name in OLD]
    if not found or call.response.get("details", {}).get("totalResult", "0") != "0":
        return None
    return replace(call.response, details={"totalResult": str(len(found))}, result=found)


@receiver.request("/zitadel.session.v2.SessionService/SetSession")
def check_password(call: Request) -> Refusal | None:
    """Check the old password by its hash; then set it in ZITADEL, which checks it from now on."""
    given = call.request.get("checks", {}).get("password", {}).get("password", "")
    expected = dict(OLD.values()).get(call.user_id)
    is_wrong = expected and hashed(given.encode()) != expected
    return refuse(400, "wrong password") if is_wrong else None


@receiver.request(f"{USERS}/SetPassword")
def migrated(call: Request) -> None:
    """ZITADEL has its own password: the old system is not asked any more."""
    for name in [name for name, (user_id, _) in OLD.items() if user_id == call.request["userId"]]:
        del OLD[name]
