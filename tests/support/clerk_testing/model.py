"""Clerk's invitations as a model: calls in, replies out, no network and no time but what a test sets.

It shares no code with the simulator, which plays the same over HTTP; both are read off Clerk's documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import unquote

from clerk_jobs.call import Call, Problem, Reply, Talk

__all__ = ["Bulk", "ModelClerk", "invitation", "refusal", "talk"]

T = TypeVar("T")

Bulk: TypeAlias = Literal["all-or-nothing", "partial", "partial-refused"]
"""What a bulk call with offenders does: nothing; the rest, answering 200; the rest, answering the error."""


def invitation(address: str | None, name: str = "inv_1", **more: Any) -> dict[str, Any]:
    """An invitation as lists show it."""
    return {"id": name, "email_address": address, "status": "pending", "created_at": 0, **more}


def refusal(status: int, *codes: str, meta: Mapping[str, Any] | None = None) -> Reply:
    """A refusal with these errors."""
    return Reply(status, {}, tuple(Problem(code, f"refused: {code}", meta or {}) for code in codes), "trace_1")


def talk(conversation: Talk[T], answer: Callable[[Call], Reply]) -> T:
    """Carry a conversation through, each call answered by a function."""
    try:
        call = next(conversation)
        while True:
            call = conversation.send(answer(call))
    except StopIteration as end:
        value: T = end.value
        return value


@dataclass
class ModelClerk:
    """One instance: its users, members and invitations.

    Attributes:
        now_ms: the server's clock.
        users: user ids by address.
        members: (organization, user id).
        invitations: all there are, oldest first; ``group`` is the organization or "".
        offenders: addresses refused by an error code of their own.
        named: whether a refused bulk call names its offenders.
        counted: whether lists come as ``{data, total_count}``.
    """

    bulk: Bulk = "all-or-nothing"
    now_ms: int = 1_800_000_000_000
    users: dict[str, str] = field(default_factory=dict)
    members: set[tuple[str, str]] = field(default_factory=set)
    invitations: list[dict[str, Any]] = field(default_factory=list)
    offenders: dict[str, str] = field(default_factory=dict)
    named: bool = True
    counted: bool = False
    calls: list[Call] = field(default_factory=list)

    @property
    def mails(self) -> Counter[tuple[str, str]]:
        """How many e-mails went to (group, address), those that stood at the start not counted."""
        return Counter((one["group"], one["email_address"]) for one in self.invitations if not one.get("before"))

    def add(self, address: str, group: str = "", **more: Any) -> dict[str, Any]:
        """Make an invitation."""
        made = invitation(address, f"inv_{len(self.invitations)}", created_at=self.now_ms, group=group, **more)
        self.invitations.append(made)
        return made

    def answer(self, call: Call) -> Reply:
        """Do what a call asks."""
        self.calls.append(call)
        group = unquote(call.path.split("/")[2]) if call.path.startswith("/organizations/") else ""
        if call.path.endswith("/revoke"):
            return self._revoke(call.path.split("/")[-2])
        if call.path.endswith("/bulk"):
            return self._bulk(group, call.body)
        if call.path.endswith("/invitations"):
            return self._one(group, call.body) if call.method == "POST" else self._list(group, call)
        if call.path.endswith("/memberships"):
            asked = {value for name, value in call.query if name == "user_id"}
            found = [user for organization, user in self.members if organization == group and user in asked]
            return Reply(200, {"data": [{"public_user_data": {"user_id": user}} for user in found], "total_count": 1})
        assert call.path == "/users", call
        asked = {value.lower() for name, value in call.query if name == "email_address"}
        rows = [{"id": self.users[one], "email_addresses": [{"email_address": one}]} for one in asked & {*self.users}]
        return Reply(200, rows)

    def _why_not(self, group: str, address: str) -> str | None:
        key = address.lower()
        if key in self.offenders:
            return self.offenders[key]
        standing = (one for one in self.invitations if one["group"] == group and one["status"] == "pending")
        if any(one["email_address"].lower() == key for one in standing):
            return "organization_invitation_not_unique" if group else "duplicate_record"
        user = self.users.get(key)
        if group:
            return "already_a_member_in_organization" if (group, user) in self.members else None
        return None if user is None else "form_identifier_exists"

    def _one(self, group: str, body: dict[str, Any]) -> Reply:
        code = self._why_not(group, body["email_address"])
        return refusal(422, code) if code else Reply(200, self.add(body["email_address"], group))

    def _bulk(self, group: str, bodies: list[dict[str, Any]]) -> Reply:
        assert 1 <= len(bodies) <= 10
        refused = {body["email_address"]: self._why_not(group, body["email_address"]) for body in bodies}
        bad = {address: code for address, code in refused.items() if code}
        good = [address for address in refused if address not in bad]
        if bad and self.bulk == "all-or-nothing":
            good = []
        made = [self.add(address, group) for address in good]
        if not bad or self.bulk == "partial":
            return Reply(200, made)
        problems = [
            Problem(code, "refused", {"email_addresses": [address]} if self.named else {})
            for address, code in bad.items()
        ]
        return Reply(400, {}, tuple(problems))

    def _list(self, group: str, call: Call) -> Reply:
        query = dict(call.query)
        status = query.get("status")
        rows = [one for one in self.invitations if one["group"] == group]
        rows = [one for one in rows if (one["status"] == status if status else one["status"] != "revoked")]
        wanted = query.get("query", query.get("email_address"))
        if wanted is not None:
            rows = [one for one in rows if wanted.lower() in one["email_address"].lower()]
        rows.sort(key=lambda one: one["created_at"], reverse=query.get("order_by", "-created_at")[0] == "-")
        offset, limit = int(query.get("offset", 0)), int(query["limit"])
        page = rows[offset : offset + limit]
        return Reply(200, {"data": page, "total_count": len(rows)} if self.counted or group else page)

    def _revoke(self, name: str) -> Reply:
        for one in self.invitations:
            if one["id"] == name and one["status"] == "pending":
                one["status"] = "revoked"
                return Reply(200, one)
        return refusal(404, "resource_not_found")
