"""Who belongs to which organization: most by formula, the rest in memory.

By formula organization i has the members i*M … i*M+M-1, counted around the users that exist by formula; the
first of them is its administrator. A membership's row holds neither the organization nor the user: both are
put in when it is sent, so that they are what they are now.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from .errors import RefusalError, refusal
from .formulas import CreatedAt
from .ids import Ids
from .organizations import Organizations
from .shelf import Record, Shelf
from .users import Users, values_of

_INVITER = ("user_id", "first_name", "last_name", "image_url", "has_image", "identifier")


class Memberships:
    """All memberships, found from both sides.

    Args:
        users: the users.
        organizations: the organizations.
        each: members of each organization by formula.
        seed: of the ids.
    """

    def __init__(self, users: Users, organizations: Organizations, each: int, seed: int) -> None:
        self._users = users
        self._organizations = organizations
        self._each = each if users.shelf.count else 0
        count = organizations.shelf.count * self._each
        self._created_at_ms = CreatedAt().formula(count)
        self.shelf = Shelf(
            "organization membership", Ids("orgmem_", seed), count, self._created_at_ms, self._formula_row
        )
        self._added_to: dict[int, dict[int, None]] = {}
        self._added_of: dict[int, dict[int, None]] = {}

    def _formula_row(self, number: int) -> bytes:
        organization, place = divmod(number, self._each)
        created_at_ms = self._created_at_ms(number)
        return orjson.dumps(
            {
                "organization": organization,
                "user": number % self._users.shelf.count,
                "role": "org:member" if place else "org:admin",
                "public_metadata": {},
                "private_metadata": {},
                "created_at": created_at_ms,
                "updated_at": created_at_ms,
            }
        )

    def of_organization(self, organization: int) -> list[int]:
        """The memberships of an organization, oldest first."""
        first = organization * self._each
        by_formula: Iterable[int] = ()
        if organization < self._organizations.shelf.count:
            by_formula = range(first, first + self._each)
        return self._existing((*by_formula, *self._added_to.get(organization, ())))

    def of_user(self, user: int) -> list[int]:
        """The memberships of a user, oldest first."""
        by_formula: Iterable[int] = ()
        if user < self._users.shelf.count:
            by_formula = range(user, self.shelf.count, self._users.shelf.count)
        return self._existing((*by_formula, *self._added_of.get(user, ())))

    def find(self, organization: int, user: int) -> int | None:
        """The membership of a user in an organization."""
        for number in self.of_user(user):
            if self.shelf.record(number)["organization"] == organization:
                return number
        return None

    def users_of(self, organization_id: str) -> list[int]:
        """The members of an organization; none where it does not exist."""
        organization = self._organizations.shelf.find(organization_id)
        if organization is None:
            return []
        return [self.shelf.record(number)["user"] for number in self.of_organization(organization)]

    def user_ids_of(self, organization: int) -> list[str]:
        """The ids of the members of an organization."""
        return [self._users.shelf.ids.make(user) for user in self._users_in(organization)]

    def organizations_of(self, user: int) -> list[str]:
        """The ids of the organizations that a user is a member of."""
        make = self._organizations.shelf.ids.make
        return [make(self.shelf.record(number)["organization"]) for number in self.of_user(user)]

    def user(self, user_id: str) -> int:
        """The number of a user.

        Raises:
            RefusalError: 404.
        """
        return self._users.shelf.get(user_id)

    def public_data(self, user_id: str) -> Record:
        """What everybody may see of a user who invites.

        Raises:
            RefusalError: 404.
        """
        shown = public_user_data(self._users.shelf.record(self.user(user_id)))
        return {name: shown[name] for name in _INVITER}

    def addresses_of(self, user_id: str) -> list[str]:
        """The e-mail addresses of a user.

        Raises:
            RefusalError: 404.
        """
        return values_of(self._users.shelf.record(self.user(user_id)), "email_address")

    def member_with_email(self, organization: int, address: str) -> int | None:
        """The membership of the user who has an address, None where that is nobody here."""
        user = self._users.holder("email_address", address)
        return None if user is None else self.find(organization, user)

    def check_room(self, organization: int, more: int, pending: int) -> None:
        """Refuse members beyond what an organization allows; pending invitations count too.

        Raises:
            RefusalError: 403 organization_membership_quota_exceeded.
        """
        allowed: int = self._organizations.shelf.record(organization)["max_allowed_memberships"]
        if allowed and len(self.of_organization(organization)) + pending + more > allowed:
            raise _full(allowed)

    def add(self, organization: int, user: int, role: str, public: Record, private: Record, now_ms: int) -> int:
        """Make a user a member and give back the number of the membership."""
        number = self.shelf.take_number()
        self.shelf.put(
            number,
            {
                "organization": organization,
                "user": user,
                "role": role,
                "public_metadata": public,
                "private_metadata": private,
                "created_at": now_ms,
                "updated_at": now_ms,
            },
        )
        self._added_to.setdefault(organization, {})[number] = None
        self._added_of.setdefault(user, {})[number] = None
        return number

    def remove(self, number: int) -> None:
        """End a membership."""
        record = self.shelf.record(number)
        self._added_to.get(record["organization"], {}).pop(number, None)
        self._added_of.get(record["user"], {}).pop(number, None)
        self.shelf.remove(number)

    def remove_user(self, user: int) -> None:
        """End all memberships of a user."""
        for number in self.of_user(user):
            self.remove(number)

    def remove_organization(self, organization: int) -> None:
        """End all memberships in an organization."""
        for number in self.of_organization(organization):
            self.remove(number)

    def shown(self, number: int) -> dict[str, Any]:
        """A membership as Clerk sends it, with its organization and its user's public data."""
        record = self.shelf.record(number)
        organization, user = record.pop("organization"), record.pop("user")
        return {
            "object": "organization_membership",
            "id": self.shelf.ids.make(number),
            **record,
            "role_name": role_name(record["role"]),
            "permissions": ["org:sys_profile:manage"] if record["role"] == "org:admin" else [],
            "organization": self._organizations.shelf.record(organization),
            "public_user_data": public_user_data(self._users.shelf.record(user)),
        }

    def user_record(self, number: int) -> Record:
        """The user of a membership."""
        return self._users.shelf.record(self.shelf.record(number)["user"])

    def _users_in(self, organization: int) -> list[int]:
        return [self.shelf.record(number)["user"] for number in self.of_organization(organization)]

    def _existing(self, numbers: tuple[int, ...]) -> list[int]:
        return [number for number in numbers if self.shelf.exists(number)]


def role_name(role: str) -> str:
    """How a role is called: the last word of its key."""
    return role.rpartition(":")[2].capitalize()


def public_user_data(user: Record) -> Record:
    """What everybody in an organization may see of a user."""
    addresses = values_of(user, "email_address")
    return {
        "user_id": user["id"],
        "first_name": user["first_name"],
        "last_name": user["last_name"],
        "profile_image_url": user["profile_image_url"],
        "image_url": user["image_url"],
        "has_image": user["has_image"],
        "identifier": addresses[0] if addresses else user["username"],
        "username": user["username"],
        "banned": user["banned"],
        "deprovisioned": user["deprovisioned"],
    }


def _full(allowed: int) -> RefusalError:
    return refusal(
        403,
        "organization_membership_quota_exceeded",
        "too many members",
        f"the organization allows {allowed} members, pending invitations included",
    )
