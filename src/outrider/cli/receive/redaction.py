"""Take secrets and personal data out of a call before it is written to a file.

What is redacted, by the name of the field in any spelling (`firstName`, `first_name`, `First-Name`):

| what | how |
| --- | --- |
| secrets: passwords, tokens, keys, codes, hashes, cookies, signatures | `***` |
| e-mail addresses, wherever they stand in a text | `person1@redacted.example`, the same one each time |
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
# Named like secrets, but times and switches: receivers would not understand `***` there.
HARMLESS_FIELDS = frozenset({"passwordchanged", "passwordchangerequired", "accesstokentype"})
# `name` is of a person only in here; elsewhere it is that of an organization or an attribute.
_PEOPLE = frozenset({"userinfo", "user", "human", "profile", "rawinformation"})
_METADATA = frozenset({"usermetadata", "setusermetadata", "metadata"})

_EMAIL = re.compile(r"[\w.%+-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE = re.compile(r"\+\d(?:[ ()/-]{0,2}\d){6,14}(?!\d)")
# A parameter of a URL: its start, its name, its value.
_PARAMETER = re.compile(r"([?&#]([\w.-]{1,64})=)([^&#\s\"'<>]+)")
_SEPARATOR = re.compile(r"[^a-z0-9]")
REDACTED_PHONE = "+10000000000"
REDACTED_DOMAIN = "redacted.example"
MAX_DEPTH = 100


class CallRedaction:
    """Redacts the calls of one recording. One e-mail address always becomes the same address."""

    def __init__(self, unredacted: Collection[str] = ()) -> None:
        """`unredacted` names the fields and headers that stay as they are, with all that is in them."""
        self._unredacted = {_normalized(name) for name in unredacted}
        self._addresses: dict[str, str] = {}

    def headers(self, headers: Collection[tuple[str, str]]) -> list[list[str]]:
        """Header fields in their order."""
        return [[name, self._redact_field(name, value, "")] for name, value in headers]

    def document(self, value: Any) -> Any:
        """A document of JSON."""
        return self._redact_value(value, "", 0)

    def text(self, text: str) -> str:
        """A text without what is recognized by its form: tokens, addresses, phone numbers."""
        text = _PARAMETER.sub(self._redact_parameter, redacted_text(text))
        text = _EMAIL.sub(self._redact_address, text)
        return _PHONE.sub(REDACTED_PHONE, text)

    def _redact_value(self, value: Any, parent: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return REDACTED
        if isinstance(value, dict):
            return self._redact_members(value, parent, depth + 1)
        if isinstance(value, list):
            return [self._redact_value(item, parent, depth + 1) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _redact_members(self, members: dict[str, Any], parent: str, depth: int) -> dict[str, Any]:
        # A claim is {"key": …, "value": …}, an attribute {"name": …, "value": …}.
        label = members.get("key", members.get("name"))
        named = label if "value" in members and isinstance(label, str) else ""
        redacted = {}
        for name, value in members.items():
            effective = named if name == "value" and self._must_redact(named, parent) else name
            redacted[self.text(name)] = self._redact_field(effective, value, parent, depth)
        return redacted

    def _redact_field(self, name: str, value: Any, parent: str, depth: int = 0) -> Any:
        normalized = _normalized(name)
        if normalized in self._unredacted:
            return value
        if normalized == "value" and parent in _METADATA:
            return base64.b64encode(REDACTED.encode()).decode()
        if self._must_redact(name, parent):
            return self._redact_all(value, depth)
        return self._redact_value(value, normalized, depth)

    def _must_redact(self, name: str, parent: str) -> bool:
        normalized = _normalized(name)
        if normalized in HARMLESS_FIELDS or parent in _METADATA:
            return False
        if normalized == "name":
            return parent in _PEOPLE
        return is_secret_name(name) or normalized in SECRET_FIELDS or normalized in PERSONAL_FIELDS

    def _redact_all(self, value: Any, depth: int) -> Any:
        """The value with nothing left of it but its shape."""
        if isinstance(value, dict | list) and depth > MAX_DEPTH:
            return REDACTED
        if isinstance(value, dict):
            return {
                self.text(name): self._redact_all(member, depth + 1)
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [self._redact_all(item, depth + 1) for item in value]
        if isinstance(value, str):
            return self._redact_text(value)
        return value if isinstance(value, bool) or value is None else 0

    def _redact_text(self, text: str) -> str:
        match = _EMAIL.fullmatch(text)
        if match is not None:
            return self._redact_address(match)
        replacement = REDACTED_PHONE if _PHONE.fullmatch(text) else REDACTED
        return replacement if text else text

    def _redact_parameter(self, match: re.Match[str]) -> str:
        start, name, value = match.groups()
        must_redact = self._must_redact(name, "") and _normalized(name) not in self._unredacted
        return start + (self._redact_text(value) if must_redact else value)

    def _redact_address(self, match: re.Match[str]) -> str:
        address = match[0].replace("%40", "@")  # as in a URL
        if address.endswith(f"@{REDACTED_DOMAIN}"):
            return address
        number = len(self._addresses) + 1
        return self._addresses.setdefault(address.lower(), f"person{number}@{REDACTED_DOMAIN}")


def _normalized(name: str) -> str:
    return _SEPARATOR.sub("", name.lower())
