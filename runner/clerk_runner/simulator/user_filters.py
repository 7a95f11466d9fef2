"""Which users a list or a count asks for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from .call import Query
from .errors import invalid
from .listing import Wanted, flag, number
from .settings import BoundsMode
from .shelf import Record
from .users import Users, values_of

_SIGNED = frozenset({"user_id", "external_id", "organization_id"})
_WITHOUT_CASE = frozenset({"email_address", "phone_number", "username", "web3_wallet"})
_ARRAYS = (
    "user_id",
    "external_id",
    "email_address",
    "phone_number",
    "username",
    "web3_wallet",
    "organization_id",
    "provider_user_id",
)
_TEXTS = ("query", "email_address_query", "phone_number_query", "username_query", "name_query")
_TIMES = (
    "last_active_at_before",
    "last_active_at_after",
    "last_active_at_since",
    "last_sign_in_at_before",
    "last_sign_in_at_after",
)
_NARROWING = frozenset((*_ARRAYS, *_TEXTS, *_TIMES, "banned", "provider"))


class Membership(Protocol):
    """Who belongs to which organization, by numbers of users."""

    def users_of(self, organization_id: str) -> Iterable[int]:
        """The members of an organization; none where it does not exist."""
        ...

    def organizations_of(self, user: int) -> Iterable[str]:
        """The ids of the organizations that a user is a member of."""
        ...


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What a query asks of a user, creation time apart.

    Attributes:
        arrays: the array filters that were given.
        checks: conditions on the user's record; all must hold.
    """

    arrays: dict[str, Wanted]
    checks: tuple[Callable[[Record], bool], ...]

    @classmethod
    def read(cls, query: Query, bounds: BoundsMode) -> "UserFilter":
        """Read the filters of GET /users and GET /users/count.

        Raises:
            RefusalError: 422 where a value has a wrong type, or an array more than 100 values.
        """
        if not query.has_any(_NARROWING):
            return _EVERYBODY
        arrays = {name: Wanted.read(query, name, name in _SIGNED, name in _WITHOUT_CASE) for name in _ARRAYS}
        provider = query.first("provider")
        if bool(arrays["provider_user_id"]) != bool(provider):
            raise invalid("provider_user_id", "goes together with provider")
        checks = [*_texts(query), *_times(query, bounds)]
        banned = flag(query, "banned")
        if banned is not None:
            checks.append(lambda record: record["banned"] is banned)
        if provider:
            checks.append(_provider_check(provider, arrays.pop("provider_user_id")))
        return cls({name: wanted for name, wanted in arrays.items() if wanted}, tuple(checks))

    @property
    def narrows(self) -> bool:
        """Whether it asks for anything at all."""
        return bool(self.arrays or self.checks)

    @property
    def only_includes(self) -> bool:
        """Whether the candidates are the answer: nothing is excluded, and no record needs a look."""
        return not self.checks and not any(wanted.exclude for wanted in self.arrays.values())

    def candidates(self, users: Users, membership: Membership) -> set[int] | None:
        """The only users who can match, where something included names them; None where anybody can."""
        found: set[int] | None = None
        for name, wanted in self.arrays.items():
            if not wanted.include:
                continue
            numbers = _holders(name, wanted.include, users, membership)
            found = numbers if found is None else found & numbers
        return found

    def matches(self, user: int, record: Record, membership: Membership) -> bool:
        """Whether a user passes."""
        for name, wanted in self.arrays.items():
            if name == "organization_id":
                values = membership.organizations_of(user)
            else:
                values = [record["id"]] if name == "user_id" else values_of(record, name)
            if not wanted.admits(value.lower() if name in _WITHOUT_CASE else value for value in values):
                return False
        return all(check(record) for check in self.checks)


_EVERYBODY = UserFilter({}, ())


def _holders(name: str, values: Iterable[str], users: Users, membership: Membership) -> set[int]:
    if name == "organization_id":
        return {user for value in values for user in membership.users_of(value)}
    if name == "user_id":
        found = (users.shelf.find(value) for value in values)
    else:
        found = (users.holder(name, value) for value in values)
    return {number for number in found if number is not None}


def _texts(query: Query) -> Iterable[Callable[[Record], bool]]:
    for name in _TEXTS:
        text = (query.first(name) or "").lower()
        if text:
            yield _text_check(text, _SEARCHED[name])


def _text_check(text: str, fields: Callable[[Record], list[str]]) -> Callable[[Record], bool]:
    return lambda record: any(text in value for value in fields(record))


def _names(record: Record) -> list[str]:
    parts = [part for part in (record["first_name"], record["last_name"]) if part]
    return [" ".join(parts).lower()]


def _lowered(*kinds: str) -> Callable[[Record], list[str]]:
    return lambda record: [value.lower() for kind in kinds for value in values_of(record, kind)]


def _anything(record: Record) -> list[str]:
    identifiers = _lowered("email_address", "phone_number", "username", "web3_wallet")
    return [record["id"].lower(), *_names(record), *identifiers(record)]


_SEARCHED: dict[str, Callable[[Record], list[str]]] = {
    "query": _anything,
    "email_address_query": _lowered("email_address"),
    "phone_number_query": _lowered("phone_number"),
    "username_query": _lowered("username"),
    "name_query": _names,
}


def _times(query: Query, bounds: BoundsMode) -> Iterable[Callable[[Record], bool]]:
    """Bounds of times; those of the last sign-in are documented as exclusive."""
    for name in _TIMES:
        bound_ms = number(query, name)
        if bound_ms is None:
            continue
        field, _, side = name.rpartition("_")
        inclusive = side == "since" or (field == "last_active_at" and bounds == "inclusive")
        yield _time_check(field, bound_ms, side == "before", inclusive)


def _time_check(field: str, bound_ms: int, before: bool, inclusive: bool) -> Callable[[Record], bool]:
    def holds(record: Record) -> bool:
        time_ms = record[field]
        if time_ms is None:
            return False
        distance = bound_ms - time_ms if before else time_ms - bound_ms
        return bool(distance >= 0 if inclusive else distance > 0)

    return holds


def _provider_check(provider: str, wanted: Wanted) -> Callable[[Record], bool]:
    def holds(record: Record) -> bool:
        accounts = record["external_accounts"]
        return wanted.admits(account["provider_user_id"] for account in accounts if account["provider"] == provider)

    return holds
