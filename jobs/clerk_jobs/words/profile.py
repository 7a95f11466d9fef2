"""What an operation is called in words: what it does, to which thing, and which ids it takes.

Made from method, path and operationId alone, so an operation that is new is understood as far as its name goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from clerk_jobs.catalog import Operation
from clerk_jobs.catalog.phrase import words_of
from clerk_jobs.words.lexicon import singular

__all__ = ["Profile", "kind_of_parameter", "profile_of"]

# The last step of a path that says what is done, and other names of the thing that it is done to.
_STEPS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "ban": ("ban", ()), "unban": ("unban", ()), "lock": ("lock", ()), "unlock": ("unlock", ()),
    "revoke": ("revoke", ()), "verify": ("verify", ()), "refresh": ("refresh", ()), "invite": ("invite", ()),
    "reject": ("reject", ()), "preview": ("preview", ()), "revert": ("revert", ()), "replace": ("replace", ()),
    "rotate": ("rotate", ()), "count": ("count", ()), "bulk": ("create", ()), "complete": ("update", ()),
    "pending": ("list", ()), "toggle_delivery": ("toggle", ("delivery",)),
    "extend_free_trial": ("extend", ("free_trial",)), "set_compromised": ("update", ()),
    "unset_compromised": ("update", ()), "remove_password": ("delete", ("password",)),
    "verify_password": ("verify", ("password",)), "verify_totp": ("verify", ("totp",)),
    "attempt_verification": ("verify", ()), "prepare_verification": ("create", ()),
    "change_domain": ("update", ("domain",)), "rotate_secret": ("rotate", ("secret",)),
    "rotate_api_key": ("rotate", ("api_key",)), "revoke_token": ("revoke", ("oauth_access_token",)),
    "verify_ownership": ("verify", ("ownership",)),
}  # fmt: skip
_OF_ANOTHER: Final = frozenset(
    {"remove_password", "verify_password", "verify_totp", "change_domain", "extend_free_trial"}
)
_BY_METHOD: Final = {
    "POST": ("create",), "PUT": ("replace", "update"), "PATCH": ("update", "merge"), "DELETE": ("delete",),
}  # fmt: skip
_EXTRA_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "AssignPermissionToOrganizationRole": ("assign",), "AddRolesToRoleSet": ("assign",),
    "CreateOrganizationMembership": ("assign",), "ApplyBillingSubscriptionItemDiscount": ("apply",),
    "CreateMachineScope": ("assign",), "CancelCommerceSubscriptionItem": ("revoke",),
    "RevokeUserTrustedDevice": ("revoke",), "CreateInvitation": ("invite",),
    "CreateOrganizationInvitation": ("invite",),
    "RevokeInvitation": ("delete",), "RevokeOrganizationInvitation": ("delete",), "RevokeSession": ("delete",),
    "RevokeSignInToken": ("delete",), "RevokeActorToken": ("delete",),
    "GenerateSvixAuthURL": ("get",), "CreateTestingToken": ("get",),
    "DisableMFA": ("update",), "SetUserProfileImage": ("update",), "CreateEnterpriseConnectionTestRun": ("verify",),
    "VerifyDomainProxy": ("verify",), "AdjustUserBillingCreditBalance": ("update",),
    "AdjustOrganizationBillingCreditBalance": ("update",),
}  # fmt: skip
_OTHER_CORES: Final[Mapping[str, tuple[str, ...]]] = {
    "/users/{user_id}/organization_memberships": ("organization",),
    "/agents/tasks": ("agent_task",),
    "/oauth_applications/access_tokens/verify": ("oauth_access_token",),
    "/sessions/{session_id}/tokens": ("session_token",),
    "/sessions/{session_id}/tokens/{template_name}": ("session_token",),
    "/machines/{machine_id}/scopes/{other_machine_id}": ("scope",),
    "/users/{user_id}/oauth_access_tokens/{provider}": ("oauth_access_token",),
}
_KINDS: Final[Mapping[str, str]] = {
    "email_address_id": "identification", "phone_number_id": "identification", "template_id": "jwt_template",
    "other_machine_id": "machine", "to_machine_id": "machine", "organization_role_id": "role",
    "role_set_key_or_id": "role_set", "statementID": "statement", "apiKeyID": "api_key",
    "adminPortalLinkTokenID": "admin_portal_link_token", "passkey_identification_id": "passkey",
    "web3_wallet_identification_id": "web3_wallet", "mapping_id": "group_role_mapping", "created_by": "user",
    "inviter_user_id": "user", "requesting_user_id": "user", "uploader_user_id": "user", "creator_role_id": "role",
    "from_price_id": "price", "to_price_id": "price", "org_id": "organization",
    "active_organization_id": "organization",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """An operation in words.

    Attributes:
        actions: what it does: ``get``, ``list``, ``create``, ``ban`` …
        core: names of the thing that it does it to.
        context: the things around that: whose it is.
        words: words of the operationId that are neither.
        bulk: whether it takes many at once.
    """

    operation: Operation
    actions: frozenset[str]
    core: frozenset[str]
    context: frozenset[str]
    words: frozenset[str]
    bulk: bool


@lru_cache(maxsize=4096)
def _things(path: str) -> tuple[frozenset[str], frozenset[str], str]:
    steps = [step for step in path.strip("/").split("/") if not step.startswith("{")]
    action, others = _STEPS.get(steps[-1], ("", ()))
    named = [step for step in steps if step not in _STEPS] or steps
    things = [_thing(step) for step in named if step not in ("billing", "commerce", "public", "webhooks", "agents")]
    last = things[-1] if things else _thing(named[-1])
    context = set(things[:-1])
    core: set[str] = {last, *others, *_OTHER_CORES.get(path, ())}
    if steps[-1] in _OF_ANOTHER:
        core, context = {*others}, context | {last}
    if last.startswith("organization_"):
        core.add(last.removeprefix("organization_"))
        context.add("organization")
    elif "organization" in context:
        core.add(f"organization_{last}")
    return frozenset(core), frozenset(context), action


def profile_of(operation: Operation) -> Profile:
    """The operation's profile."""
    core, context, action = _things(operation.path)
    if operation.method == "GET":
        actions = {action or ("list" if operation.list_shape is not None else "get")}
    else:
        actions = {action} if action else set(_BY_METHOD[operation.method])
        actions |= set(_EXTRA_ACTIONS.get(operation.operation_id, ()))
    known = {*core, *context, *actions}
    parts = {word for thing in known for word in thing.split("_")}
    words = {singular(word.lower()) for word in words_of(operation.operation_id)} - parts
    bulk = operation.path.endswith("/bulk") or operation.path in ("/users/ban", "/users/unban")
    return Profile(operation, frozenset(actions), core, context, frozenset(words), bulk)


def kind_of_parameter(path: str, name: str) -> str:
    """The kind of thing whose id a parameter or field of that name holds; empty for what is no id.

    Example:
        >>> kind_of_parameter("/organizations/{organization_id}/domains/{domain_id}", "domain_id")
        'organization_domain'
    """
    if name in _KINDS:
        return _KINDS[name]
    if name in ("invitation_id", "domain_id"):
        owner = "organization_" if path.startswith("/organizations/") else ""
        return owner + name.removesuffix("_id")
    if name == "identifier_id":
        return "allowlist_identifier" if "allowlist" in path else "blocklist_identifier"
    if name == "id":
        return _thing(path.strip("/").split("/")[0])
    return name.removesuffix("_id") if name.endswith("_id") else ""


def _thing(step: str) -> str:
    head, _, last = step.rpartition("_")
    one = singular(last)
    return f"{head}_{one}" if head else one
