"""Sentences that fit more than one thing: what they ask back."""

from __future__ import annotations

from clerk_jobs.catalog import Json
from clerk_jobs.words.context import Context, users_meant
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.people import is_name, lookup, people
from clerk_jobs.words.understanding import Planned, Question, Unclear, Understanding, Understood

__all__ = ["block", "delete_organization", "resend", "reset_password", "suspend", "unknown_target"]


def block(frame: Frame, context: Context) -> Understanding | None:
    """ "block bob@spam.io": the person who has that address, or everybody who signs up with it."""
    values = [token for kind in ("email", "phone", "domain") for token in frame.sentence.values(kind)]
    if frame.verb not in ("block", "deny", "reject") or len(values) != 1 or "blocklist_identifier" in frame.nouns:
        return None
    entry: Json = {"identifier": values[0].text}
    listed = Understood(
        (Planned(context.operation("CreateBlocklistIdentifier"), body=entry),), ("nobody signs up with it",)
    )
    found = people(frame)
    if not found:
        return listed
    ban = Planned(context.operation("BanUser"), {"user_id": context.carried()})
    banned = Understood((lookup(context.catalog, found[:1]), ban), ("the user who has it cannot sign in",))
    return Question("Ban the user, or put the address on the block-list?", (banned, listed))


def suspend(frame: Frame, context: Context) -> Understanding | None:
    """ "suspend user_1": banned for good, or locked for a time."""
    if frame.verb not in ("suspend", "deactivate", "disable", "freeze") or set(frame.nouns) - {"user"}:
        return None
    lookups, users = users_meant(frame, context)
    if not users:
        return None
    choices = tuple(
        Understood((*lookups, Planned(context.operation(name), {"user_id": users[0]})), (why,))
        for name, why in (("BanUser", "until it is lifted; ends all sessions"), ("LockUser", "until the lock expires"))
    )
    return Question("Ban or lock?", choices)


def reset_password(frame: Frame, context: Context) -> Understanding | None:
    """ "reset the password of user_1": taken away, or to be chosen anew at the next sign-in."""
    if frame.verb != "reset" or set(frame.nouns) - {"user", "password"} or "password" not in frame.nouns:
        return None
    lookups, users = users_meant(frame, context)
    if not users:
        return None
    choices = tuple(
        Understood((*lookups, Planned(context.operation(name), {"user_id": users[0]})), (why,))
        for name, why in (
            ("SetUserPasswordCompromised", "the user chooses a new one at the next sign-in"),
            ("RemoveUserPassword", "there is none any more"),
        )
        if name in context.catalog.operation_ids
    )
    return Question("Is a new password to be chosen, or is there to be none?", choices)


def resend(frame: Frame, context: Context) -> Understanding | None:  # noqa: ARG001 (a rule's signature)
    """ "resend invitation inv_1": Clerk has no such operation."""
    things = {*frame.nouns, *(token.what for token in frame.sentence.values("id"))}
    if not frame.sentence.has(r"re-?send|send .* again") or not things & {"invitation", "organization_invitation"}:
        return None
    return Unclear("Clerk does not send an invitation again: revoke it, and create a new one.")


def delete_organization(frame: Frame, context: Context) -> Understanding | None:
    """ "delete org acme": looked up first, because a name is no id."""
    if frame.actions[:1] != ("delete",) or frame.nouns != ["organization"] or frame.sentence.values("id"):
        return None
    names = [token.text for token in frame.sentence.values("quoted")] or [
        word for word in frame.left_words() if is_name(word)
    ]
    if len(names) != 1:
        return None
    found = Planned(context.operation("ListOrganizations"), query=(("query", names[0]),))
    gone = Planned(context.operation("DeleteOrganization"), {"organization_id": context.carried()})
    return Understood((found, gone), ("the one organization that is found by that name",))


def unknown_target(frame: Frame, context: Context) -> Understanding | None:
    """ "delete acme", "add acme.com": a name, and nothing that says what it is the name of."""
    if frame.nouns or frame.sentence.values("id") or not frame.actions or frame.role:
        return None
    domains = frame.sentence.values("domain")
    addresses = frame.sentence.values("email")
    left = [word for word in frame.left_words() if is_name(word)]
    texts = [token.text for token in (*frame.sentence.values("quoted"), *domains)] or left
    if frame.actions[0] == "create" and (domains or addresses) and not left:
        return _added(context, (domains or addresses)[0].text, is_domain=bool(domains))
    if len(texts) != 1 or len(left) > 1:
        return None
    action = frame.actions[0]
    if action in ("ban", "unban", "lock", "unlock"):
        name = {"ban": "BanUser", "unban": "UnbanUser", "lock": "LockUser", "unlock": "UnlockUser"}[action]
        person = lookup(context.catalog, [("username", texts[0])])
        return Understood((person, Planned(context.operation(name), {"user_id": context.carried()})), ("a user",))
    if action in ("delete", "get") and frame.verb not in ("what", "who", "which", "where", "see", "tell me"):
        return _named(context, texts[0], deleting=action == "delete")
    return None


def _added(context: Context, text: str, *, is_domain: bool) -> Question:
    entry: Json = {"identifier": text}
    allowed = Understood((Planned(context.operation("CreateAllowlistIdentifier"), body=entry),), ("on the allow-list",))
    if is_domain:
        satellite: Json = {"name": text, "is_satellite": True}
        verified: Json = {"name": text}
        first = Understood(
            (Planned(context.operation("AddDomain"), body=satellite),), ("a satellite domain of the instance",)
        )
        second = Understood(
            (Planned(context.operation("CreateOrganizationDomain"), body=verified),), ("of an organization",)
        )
        return Question(f"What is {text} to be?", (first, second, allowed))
    user: Json = {"email_address": [text]}
    invited: Json = {"email_address": text}
    made = Understood((Planned(context.operation("CreateUser"), body=user),), ("a user, without being asked",))
    asked = Understood((Planned(context.operation("CreateInvitation"), body=invited),), ("an invitation by e-mail",))
    return Question("Create the user, or invite somebody?", (made, asked, allowed))


def _named(context: Context, name: str, *, deleting: bool) -> Question:
    user = lookup(context.catalog, [("username", name)])
    organization = Planned(context.operation("ListOrganizations"), query=(("query", name),))
    if not deleting:
        return Question(
            f"Is {name} a user or an organization?",
            (Understood((user,), ("a user",)), Understood((organization,), ("an organization",))),
        )
    found = context.carried()
    gone = (
        Understood((user, Planned(context.operation("DeleteUser"), {"user_id": found})), ("a user",)),
        Understood(
            (organization, Planned(context.operation("DeleteOrganization"), {"organization_id": found})),
            ("an organization",),
        ),
    )
    return Question(f"Is {name} a user or an organization?", gone)
