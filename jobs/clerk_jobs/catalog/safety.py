"""What may be done with an operation whose answer was lost.

The law: a GET is READ. PUT, PATCH and DELETE say what shall be the case afterwards, so they are IDEMPOTENT,
but for the few in ``_ONCE``. A POST is ONCE unless it stands in ``_REPEATABLE``: an operation that Clerk
adds tomorrow is never repeated by guess.
"""

from __future__ import annotations

from typing import Final

from clerk_jobs.call import Safety

__all__ = ["safety_of"]

# Each sets a state that a second call sets again (revoked, banned, locked, compromised, assigned, rejected,
# a date), or only looks something up. Left out on purpose, because a second call may do a second thing:
# whatever creates, sends, mints or rotates; VerifyTOTP, which consumes a backup code; VerifyPassword and
# attempt_verification, whose attempts may be counted; proxy checks, which are stored; roles added to a set,
# discounts and price transitions.
_REPEATABLE: Final = frozenset(
    {
        "AdjustOrganizationBillingCreditBalance",  # its body must carry an idempotency_key
        "AdjustUserBillingCreditBalance",
        "AssignPermissionToOrganizationRole",
        "BanUser",
        "ExtendBillingSubscriptionItemFreeTrial",
        "LockUser",
        "PreviewTemplate",
        "RejectWaitlistEntry",
        "RemoveUserPassword",
        "RevertTemplate",
        "RevokeActorToken",
        "RevokeAgentTask",
        "RevokeInvitation",
        "RevokeOAuthApplicationToken",
        "RevokeOrganizationInvitation",
        "RevokeSession",
        "RevokeSignInToken",
        "SetUserPasswordCompromised",
        "SetUserProfileImage",
        "UnbanUser",
        "UnlockUser",
        "UnsetUserPasswordCompromised",
        "UsersBan",
        "UsersUnban",
        "VerifyClient",
        "VerifyOrganizationDomainOwnership",
        "VerifySession",
        "revokeAdminPortalLinkToken",
        "revokeApiKey",
        "revokeM2MToken",
        "verifyApiKey",
        "verifyM2MToken",
        "verifyOAuthAccessToken",
    }
)

# Moving a production instance to another domain ends every session and starts certificates anew. Replacing
# all addresses or numbers of a user makes new records, and a code or notice may go out with each.
_ONCE: Final = frozenset({"UpdateProductionInstanceDomain", "ReplaceUserEmailAddress", "ReplaceUserPhoneNumber"})


def safety_of(method: str, operation_id: str) -> Safety:
    """The safety class of an operation.

    Example:
        >>> safety_of("POST", "BanUser"), safety_of("POST", "AnOperationOfTomorrow")
        (<Safety.IDEMPOTENT: 'idempotent'>, <Safety.ONCE: 'once'>)
    """
    if method == "GET":
        return Safety.READ
    repeatable = operation_id in _REPEATABLE if method == "POST" else operation_id not in _ONCE
    return Safety.IDEMPOTENT if repeatable else Safety.ONCE
