"""The rules that look at a clause before its operation is chosen by score, and some that are short."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from clerk_jobs.catalog import Json
from clerk_jobs.words.context import Context, Rule
from clerk_jobs.words.doubt_rules import (
    block,
    delete_organization,
    resend,
    reset_password,
    suspend,
    unknown_target,
)
from clerk_jobs.words.filling import fill
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.member_rules import invite, membership
from clerk_jobs.words.metadata_rule import metadata
from clerk_jobs.words.people import lookup, people
from clerk_jobs.words.understanding import Planned, Question, Understanding, Understood

__all__ = ["RULES"]


def settings(frame: Frame, context: Context) -> Understanding | None:
    """ "turn on blocking of disposable e-mail domains": a flag of the instance, by its words."""
    switching = frame.verb in (
        "turn on",
        "turn off",
        "switch on",
        "switch off",
        "enable",
        "disable",
        "set",
        "allow",
        "block",
    )
    values = [token for token in frame.sentence.tokens() if token.kind in ("id", "email", "domain", "phone", "url")]
    if not switching or values:
        return None
    found: list[Planned] = []
    for operation in context.catalog.operations():
        if operation.method == "PATCH" and operation.path.startswith("/instance"):
            flags = {name: value for name, value in fill(operation, frame).body.items() if isinstance(value, bool)}
            if flags:
                found.append(Planned(operation, body=flags))
    if not found:
        return None
    choices = tuple(Understood((plan,), (plan.operation.phrase,)) for plan in found)
    return choices[0] if len(choices) == 1 else Question("Which setting is meant?", choices)


def limits_of_members(frame: Frame, context: Context) -> Understanding | None:
    """ "cap org_7 at 50 members"."""
    ids = frame.sentence.ids("organization")
    number = frame.sentence.search(r"(\d+) (?:members?|seats?|people|users?)|(?:members?|seats?) (?:to|at|of|=) (\d+)")
    bounded = frame.verb in ("cap", "limit") or frame.sentence.has(r"(?:max\w*|at most|up to|limit\w*|cap\w*)")
    if not ids or number is None or not bounded or frame.sentence.ids("user"):
        return None
    body: Json = {"max_allowed_memberships": int(number[1] or number[2])}
    plan = Planned(context.operation("UpdateOrganization"), {"organization_id": ids[0]}, body=body)
    return Understood((plan,), ("the most members that the organization may have",))


def find_people(frame: Frame, context: Context) -> Understanding | None:
    """ "get user john_doe", "who is a@b.co": users by what is known of them."""
    if frame.actions and not {"get", "list"} & set(frame.actions):
        return None
    ids = frame.sentence.values("id")
    found = people(frame)
    if ids or not found or set(frame.nouns) - {"user", "email_address", "phone_number", "membership"}:
        return None
    if (
        frame.order
        or frame.span is not None
        or any(name == "name_query" and "user" not in frame.nouns for name, _ in found)
    ):
        return None
    if not frame.actions and not frame.nouns and len(found) == 1 and frame.left_words():
        return None
    return Understood(
        (replace(lookup(context.catalog, found), every=frame.every),), ("users, found by what is known of them",)
    )


RULES: Final[tuple[Rule, ...]] = (
    block, suspend, reset_password, resend, delete_organization, limits_of_members, invite, membership, metadata,
    settings, find_people, unknown_target,
)  # fmt: skip
"""In the order in which they look; the first that understands decides."""
