"""Take secrets and personal data out of a call before it is written to a file.

What is masked, by the name of the field in any spelling (`firstName`, `first_name`, `First-Name`):

| what | how |
| --- | --- |
| secrets: passwords, tokens, keys, codes, hashes, cookies, signatures | `***` |
| e-mail addresses, wherever they stand in a text | `person1@masked.example`, the same one each time |
| phone numbers, wherever they stand in a text | `+10000000000` |
| names of people, addresses, birth dates, pictures, network addresses | `***` |
| parameters of URLs with such a name | as their names say |
| values of user metadata | `***`, in Base64 |

What has the right shape stays of that shape, so that handlers still work.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from typing import Any

from outrider.observability.redaction import REDACTED, is_secret_name, redacted_text

SECRET_FIELDS = frozenset(
    [
        "code",
        "codeverifier",
        "nonce",
        "challenge",
        "otp",
        "otpcode",
        "totp",
        "pin",
        "hash",
        "encodedhash",
        "verificationcode",
        "recoverycode",
        "zitadelsignature",
        "xzitadelsignature",
        "webhooksignature",
        "setcookie",
        "xapikey",
        "apikey",
        "idtokenhint",
        "samlrequest",
        "samlresponse",
        "webauthn",
        "credentialid",
        "publickeycredential",
    ]
)
PERSONAL_FIELDS = frozenset(
    [
        "firstname",
        "lastname",
        "givenname",
        "familyname",
        "middlename",
        "fullname",
        "nickname",
        "displayname",
        "formattedname",
        "username",
        "preferredusername",
        "loginname",
        "loginnames",
        "preferredloginname",
        "loginhint",
        "upn",
        "avatarkey",
        "avatarurl",
        "picture",
        "profilepicture",
        "address",
        "streetaddress",
        "street",
        "locality",
        "city",
        "region",
        "country",
        "postalcode",
        "zip",
        "zipcode",
        "dateofbirth",
        "dob",
        "birthdate",
        "birthday",
        "email",
        "phone",
        "phonenumber",
        "mobile",
        "mobilephone",
        "telephone",
        "fingerprintid",
        "remoteip",
        "ip",
        "ipaddress",
        "xforwardedfor",
        "forwarded",
        "xrealip",
    ]
)
# Named like secrets, but times and switches: receivers would not understand a mask there.
HARMLESS_FIELDS = frozenset({"passwordchanged", "passwordchangerequired", "accesstokentype"})
# `name` is of a person only in here; elsewhere it is that of an organization or an attribute.
_PEOPLE = frozenset({"userinfo", "user", "human", "profile", "rawinformation"})
_METADATA = frozenset({"usermetadata", "setusermetadata", "metadata"})

_EMAIL = re.compile(r"[\w.%+-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE = re.compile(r"\+\d(?:[ ()/-]{0,2}\d){6,14}(?!\d)")
# A parameter of a URL: its start, its name, its value.
_PARAMETER = re.compile(r"([?&#]([\w.-]{1,64})=)([^&#\s\"'<>]+)")
_SEPARATOR = re.compile(r"[^a-z0-9]")
MASKED_PHONE = "+10000000000"
MASKED_DOMAIN = "masked.example"
MAX_DEPTH = 100


class CallRedaction:
    """Masks the calls of one recording. Who occurs again gets the same address again."""

    def __init__(self, keep: Collection[str] = ()) -> None:
        """`keep` are names of fields and headers that stay as they are, with all that is in them."""
        self._keep = {_plain(name) for name in keep}
        self._people: dict[str, str] = {}

    def headers(self, headers: Collection[tuple[str, str]]) -> list[list[str]]:
        """Header fields in their order."""
        return [[name, self._of(name, value, "")] for name, value in headers]

    def document(self, value: Any) -> Any:
        """A document of JSON."""
        return self._walk(value, "", 0)

    def text(self, text: str) -> str:
        """What gives itself away by its form."""
        text = _PARAMETER.sub(self._parameter, redacted_text(text))
        text = _EMAIL.sub(self._person, text)
        return _PHONE.sub(MASKED_PHONE, text)

    def _walk(self, value: Any, parent: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return REDACTED
        if isinstance(value, dict):
            return self._members(value, parent, depth + 1)
        if isinstance(value, list):
            return [self._walk(each, parent, depth + 1) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def _members(self, members: dict[str, Any], parent: str, depth: int) -> dict[str, Any]:
        # A claim is {"key": …, "value": …}, an attribute {"name": …, "value": …}.
        label = members.get("key", members.get("name"))
        named = label if "value" in members and isinstance(label, str) else ""
        masked = {}
        for name, value in members.items():
            effective = named if name == "value" and self._is_hidden(named, parent) else name
            masked[self.text(name)] = self._of(effective, value, parent, depth)
        return masked

    def _of(self, name: str, value: Any, parent: str, depth: int = 0) -> Any:
        plain = _plain(name)
        if plain in self._keep:
            return value
        if plain == "value" and parent in _METADATA:
            return base64.b64encode(REDACTED.encode()).decode()
        if self._is_hidden(name, parent):
            return self._hidden(value, depth)
        return self._walk(value, plain, depth)

    def _is_hidden(self, name: str, parent: str) -> bool:
        plain = _plain(name)
        if plain in HARMLESS_FIELDS or parent in _METADATA:
            return False
        if plain == "name":
            return parent in _PEOPLE
        return is_secret_name(name) or plain in SECRET_FIELDS or plain in PERSONAL_FIELDS

    def _hidden(self, value: Any, depth: int) -> Any:
        """Nothing of it is left but its shape."""
        if isinstance(value, dict | list) and depth > MAX_DEPTH:
            return REDACTED
        if isinstance(value, dict):
            return {
                self.text(name): self._hidden(member, depth + 1) for name, member in value.items()
            }
        if isinstance(value, list):
            return [self._hidden(each, depth + 1) for each in value]
        if isinstance(value, str):
            return self._hidden_text(value)
        return value if isinstance(value, bool) or value is None else 0

    def _hidden_text(self, text: str) -> str:
        whole = _EMAIL.fullmatch(text)
        if whole is not None:
            return self._person(whole)
        hidden = MASKED_PHONE if _PHONE.fullmatch(text) else REDACTED
        return hidden if text else text

    def _parameter(self, found: re.Match[str]) -> str:
        start, name, value = found.groups()
        hidden = self._is_hidden(name, "") and _plain(name) not in self._keep
        return start + (self._hidden_text(value) if hidden else value)

    def _person(self, found: re.Match[str]) -> str:
        address = found[0].replace("%40", "@")  # as in a URL
        if address.endswith(f"@{MASKED_DOMAIN}"):
            return address
        number = len(self._people) + 1
        return self._people.setdefault(address.lower(), f"person{number}@{MASKED_DOMAIN}")


def _plain(name: str) -> str:
    return _SEPARATOR.sub("", name.lower())
