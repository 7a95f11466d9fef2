"""Members and invitations in a sentence: who joins, leaves or changes roles, and who is asked in by e-mail."""

from __future__ import annotations

from clerk_jobs.catalog import Json
from clerk_jobs.words.context import Context, organization_meant, users_meant
from clerk_jobs.words.filling import fill
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.understanding import Planned, Question, Understanding, Understood

__all__ = ["invite", "membership"]


def membership(frame: Frame, context: Context) -> Understanding | None:
    """ "add user_1 to org_1", "promote user_1 to admin in org_1", "kick user_1 out of org_1"."""
    if set(frame.nouns) - {"user", "organization", "membership", "role"} or not frame.actions:
        return None
    organization = organization_meant(frame, context)
    lookups, users = users_meant(frame, context)
    if not users or (not organization and not frame.role):
        return None
    removing = "delete" in frame.actions and frame.sentence.has("from|out of|out|of")
    changing = frame.verb in ("promote", "demote", "change", "update", "set", "make", "upgrade", "downgrade")
    role = frame.role or ("org:admin" if frame.verb in ("promote", "upgrade") else "org:member")
    if not organization:
        return _role_without_organization(context, lookups, users, role) if changing else None
    if removing:
        plan = Planned(context.operation("DeleteOrganizationMembership"), _member(organization, users[0]))
    elif changing and (frame.role or frame.verb in ("promote", "demote", "upgrade", "downgrade")):
        body: Json = {"role": role}
        plan = Planned(context.operation("UpdateOrganizationMembership"), _member(organization, users[0]), body=body)
    elif {"assign", "create"} & set(frame.actions) and frame.verb not in ("make", "invite"):
        return _join(context, lookups, users, organization, role)
    else:
        return None
    return Understood((*lookups, plan), ("a member of an organization",))


def _member(organization: str, user: str) -> dict[str, str]:
    return {"organization_id": organization, "user_id": user}


def _join(context: Context, lookups: list[Planned], users: list[str], organization: str, role: str) -> Understanding:
    create = context.operation("CreateOrganizationMembership")
    path = {"organization_id": organization}
    joins = [Planned(create, path, body={"user_id": user, "role": role}) for user in users]
    joined = Understood((*lookups, *joins), (f"become members of {organization} as {role}",))
    addresses = [value for call in lookups for name, value in call.query if name == "email_address"]
    if not addresses:
        return joined
    invite = context.operation("CreateOrganizationInvitation")
    invited = tuple(Planned(invite, path, body={"email_address": one, "role": role}) for one in addresses)
    return Question(
        "Is that somebody who has an account already?",
        (joined, Understood(invited, ("an invitation by e-mail",))),
    )


def _role_without_organization(context: Context, lookups: list[Planned], users: list[str], role: str) -> Question:
    update = context.operation("UpdateOrganizationMembership")
    body: Json = {"role": role}
    flag: Json = {"public_metadata": {"role": role.removeprefix("org:")}}
    plain = Planned(context.operation("UpdateUserMetadata"), {"user_id": users[0]}, body=flag)
    return Question(
        f"In which organization is {role} meant, or is it the application's own role?",
        (
            Understood((*lookups, Planned(update, {"user_id": users[0]}, body=body)), ("the role in an organization",)),
            Understood((*lookups, plain), ("a role of the application's own, in public metadata",)),
        ),
    )


def invite(frame: Frame, context: Context) -> Understanding | None:
    """ "invite a@b.co to org_1 as admin": to an organization where one is meant, else to the application."""
    addresses = [token.text for token in frame.sentence.values("email")]
    sending = frame.verb == "invite" or (
        {"invitation", "organization_invitation"} & set(frame.nouns) and frame.actions[:1] == ("create",)
    )
    if not addresses or not sending or {"waitlist_entry", "allowlist_identifier"} & set(frame.nouns):
        return None
    organization = organization_meant(frame, context)
    if frame.sentence.has("(?:to|into|for) (?:the |our |my )?(?:app|application|instance)"):
        organization = ""
    elif frame.role and not organization:
        alone = Understood((_invitation(frame, context, addresses, "", ""),), ("to the application, without a role",))
        inside = Understood((_invitation(frame, context, addresses, "?", frame.role),), ("to an organization",))
        return Question(f"To which organization, as {frame.role}? Or to the application itself?", (inside, alone))
    role = frame.role or "org:member"
    why = f"to {organization} as {role}" if organization else "to the application"
    return Understood((_invitation(frame, context, addresses, organization, role),), (f"an invitation {why}",))


def _invitation(frame: Frame, context: Context, addresses: list[str], organization: str, role: str) -> Planned:
    several = len(addresses) > 1
    if organization:
        name = "CreateOrganizationInvitationBulk" if several else "CreateOrganizationInvitation"
    else:
        name = "CreateBulkInvitations" if several else "CreateInvitation"
    operation = context.operation(name)
    known = {"notify", "expires_in_days", "redirect_url", "template_slug"}
    common: dict[str, Json] = {key: value for key, value in fill(operation, frame).body.items() if key in known}
    if frame.sentence.has(
        "without (?:sending )?(?:an? |any )?e?-?mail|silently|don't (?:notify|send)|no e?-?mail|do not (?:notify|send)"
    ):
        common["notify"] = False
    if organization:
        common["role"] = role
    bodies: list[Json] = [{"email_address": address, **common} for address in addresses]
    path = {"organization_id": organization} if organization not in ("", "?") else {}
    return Planned(operation, path, body=bodies if several else bodies[0])
