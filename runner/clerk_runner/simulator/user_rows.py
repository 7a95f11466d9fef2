"""The users that exist by formula, as the bytes that are sent.

A page of 500 users is the most frequent large answer, so a row is joined from pieces of bytes that were
rendered once, with the user's own values between them: no dictionary is built and nothing is encoded.
"""

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import orjson

from .formulas import Pattern
from .ids import Ids
from .user_records import email_record, phone_record, user_record

_FIRST_NAMES = ("Ada", "Grace", "Linus", "Zoë", "José", "Mia", "Noor", "Yuki", "Ōmi", "Åsa", "Li", "Ivo")
_LAST_NAMES = (
    "Lovelace",
    "Hopper",
    "Nuñez",
    "O'Brien",
    "Müller",
    "Sato",
    "Ng",
    "Díaz",
    "van Dijk",
    "Øst",
    "Roy",
)
_PLANS = ("free", "pro", "team")
USERNAME = Pattern("user_{n}")
EXTERNAL_ID = Pattern("ext-{n}")
_PHONE_START = 15_550_000_000
_DAY_MS = 86_400_000
# A mark that no constant contains: the template's JSON is cut at it into the pieces of a row.
_CUT = "¤"
_SLOTS = ("tail", "email", "number", "first", "last", "plan", "created", "active", "phone")


def number_of_phone(text: str) -> int | None:
    """The user whose phone number this is by formula, None for any other text."""
    if not (text.startswith("+") and text[1:].isascii() and text[1:].isdigit() and len(text) == 12):
        return None
    number = int(text[1:]) - _PHONE_START
    return number if number >= 0 and number % 4 == 0 else None


class UserRows:
    """Renders the user with a number.

    Args:
        ids: ids of users; e-mail addresses and the rest of a user share their tails.
        pattern: the addresses.
        created_at_ms: when each was created.
    """

    def __init__(self, ids: Ids, pattern: Pattern, created_at_ms: Callable[[int], int]) -> None:
        self._ids = ids
        self._pattern = pattern
        self._created_at_ms = created_at_ms
        self._plain = _Template(_user(ids.head, phone=False))
        self._with_phone = _Template(_user(ids.head, phone=True))

    def row(self, number: int) -> bytes:
        """The JSON of a user, about 2.5 KB."""
        created_at_ms = self._created_at_ms(number)
        template = self._plain if number % 4 else self._with_phone
        return template.fill(
            (
                self._ids.tail(number).encode(),
                self._pattern.make(number).encode(),
                b"%d" % number,
                _FIRSTS[number % len(_FIRSTS)],
                _LASTS[number % len(_LASTS)],
                _PLAN_NAMES[number % len(_PLAN_NAMES)],
                b"%d" % created_at_ms,
                b"%d" % (created_at_ms - created_at_ms % _DAY_MS),
                b"%d" % (_PHONE_START + number),
            )
        )


class _Template:
    """JSON with slots, cut into pieces once, so that filling it is one pick and one join."""

    def __init__(self, user: dict[str, Any]) -> None:
        text = orjson.dumps(user).decode()
        for name in ("created_at", "updated_at"):
            text = text.replace(f'"{name}":0', f'"{name}":{_slot("created")}')
        text = re.sub(f'"{_CUT}n:([a-z]+){_CUT}"', rf"{_CUT}\1{_CUT}", text)
        # Constants and names of slots take turns.
        pieces = text.split(_CUT)
        self._constants = tuple(piece.encode() for piece in pieces[::2])
        places = [
            len(_SLOTS) + place // 2 if place % 2 == 0 else _SLOTS.index(piece) for place, piece in enumerate(pieces)
        ]
        self._pick: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = itemgetter(*places)

    def fill(self, values: tuple[bytes, ...]) -> bytes:
        """The JSON with these values, in the order of the slots."""
        return b"".join(self._pick(values + self._constants))


def _slot(name: str) -> str:
    return f"{_CUT}{name}{_CUT}"


def _user(head: str, phone: bool) -> dict[str, Any]:
    """A user whose own values are slots; numbers are slots in quotes, which are taken off later."""
    tail, created = _slot("tail"), 0
    user = user_record(head + tail, created)
    common = head.removeprefix("user_")
    email_id, phone_id, account_id = (f"{start}{common}{tail}" for start in ("idn_", "idn_P", "eac_"))
    user.update(
        username="user_" + _slot("number"),
        first_name=_slot("first"),
        last_name=_slot("last"),
        has_image=True,
        image_url="https://img.example.com/" + tail,
        profile_image_url="https://img.example.com/" + tail,
        primary_email_address_id=email_id,
        email_addresses=[email_record(email_id, _slot("email"), created)],
        external_accounts=[_google_account(account_id, email_id)],
        external_id="ext-" + _slot("number"),
        public_metadata={"plan": _slot("plan"), "seat": _slot("n:number")},
        private_metadata={"customer": "cus_" + tail},
        last_sign_in_at=_slot("n:created"),
        last_active_at=_slot("n:active"),
    )
    if phone:
        user["primary_phone_number_id"] = phone_id
        user["phone_numbers"] = [phone_record(phone_id, "+" + _slot("phone"), created)]
    return user


def _google_account(identifier: str, email_id: str) -> dict[str, Any]:
    return {
        "object": "external_account",
        "id": identifier,
        "provider": "oauth_google",
        "identification_id": email_id,
        "provider_user_id": "1000" + _slot("number"),
        "approved_scopes": "email https://www.googleapis.com/auth/userinfo.email openid profile",
        "email_address": _slot("email"),
        "email_address_verified": True,
        "first_name": _slot("first"),
        "last_name": _slot("last"),
        "image_url": "https://img.example.com/" + _slot("tail"),
        "username": None,
        "phone_number": None,
        "public_metadata": {},
        "label": None,
        "created_at": 0,
        "updated_at": 0,
        "verification": {
            "object": "verification_oauth",
            "status": "verified",
            "strategy": "oauth_google",
            "attempts": None,
            "expire_at": _slot("n:created"),
        },
    }


_FIRSTS = [orjson.dumps(name)[1:-1] for name in _FIRST_NAMES]
_LASTS = [orjson.dumps(name)[1:-1] for name in _LAST_NAMES]
_PLAN_NAMES = [name.encode() for name in _PLANS]
