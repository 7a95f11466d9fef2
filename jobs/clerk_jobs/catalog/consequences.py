"""What a write destroys or sets off, said before it is sent: for single calls and for jobs.

Source: the texts of Clerk's OpenAPI document 2026-05-12, in our words; what they leave open is not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CONSEQUENCES", "DESTROYS", "consequences_of", "destroyed_by"]

DESTROYS: Final[Mapping[str, tuple[str, ...]]] = {
    "CancelCommerceSubscriptionItem": (
        "the subscription item, at the end of the billing period, or at once with end_now",
        "the payer's access to what the plan gives",
    ),
    "DeleteAllowlistIdentifier": (
        "the entry on the allow-list",
        "the right of whoever it names to sign up while sign-up is restricted to the list",
    ),
    "DeleteBackupCode": (
        "every backup code of the user, used and unused",
        "the user's way in without the other second factors",
    ),
    "DeleteBlocklistIdentifier": (
        "the entry on the block-list",
        "the block: whoever it names can sign up and sign in again",
    ),
    "DeleteDirectory": (
        "the directory and its API key: requests made with the key are rejected",
        "provisioning through the directory",
    ),
    "DeleteDirectoryGroupRoleMapping": (
        "the mapping from the group to a role",
        "the group as a source of that role",
    ),
    "DeleteDomain": (
        "the satellite domain, with its DNS and proxy settings",
        "authentication for the applications on that domain",
    ),
    "DeleteEmailAddress": (
        "the e-mail address, with its verification",
        "the user's way to sign in and to be reached by it",
    ),
    "DeleteEnterpriseConnection": (
        "the connection, with its SAML or OIDC settings",
        "the way in for everybody who signs in through it",
    ),
    "DeleteExternalAccount": (
        "the link between the user and the external account",
        "the user's way to sign in with it, and the tokens held for it",
    ),
    "DeleteJWTTemplate": (
        "the template, with its claims and signing key",
        "tokens made from it: requests that name it fail",
    ),
    "DeleteMachine": (
        "the machine and its secret key",
        "its scopes: what it could reach and who could reach it",
    ),
    "DeleteMachineScope": (
        "the permission of the one machine to access the other",
        "calls between them that rely on it",
    ),
    "DeleteOAuthApplication": (
        "the application, with its client id and secret",
        "sign-in with it, for all of its users",
    ),
    "DeleteOrganization": (
        "the organization, with its metadata",
        "all memberships and all invitations of it",
        "its place in active sessions: they are cleared of it",
    ),
    "DeleteOrganizationDomain": (
        "the domain of the organization, with its verification",
        "invitations and suggestions to join that came from it",
    ),
    "DeleteOrganizationLogo": ("the logo image of the organization",),
    "DeleteOrganizationMembership": (
        "the membership, with its role and its metadata",
        "the user's access to the organization; the user stays",
    ),
    "DeleteOrganizationPermission": (
        "the permission",
        "what it allowed, in every role that holds it",
    ),
    "DeleteOrganizationRole": (
        "the role, with its set of permissions",
        "its use for new members (Clerk refuses while the role is in use)",
    ),
    "DeletePhoneNumber": (
        "the phone number, with its verification",
        "the user's way to sign in, or to pass a second factor, by it",
    ),
    "DeleteRedirectURL": (
        "the address on the instance's list of redirect URLs",
        "sign-in flows of native applications that return to it",
    ),
    "DeleteSAMLConnection": (
        "the connection, with its SAML settings",
        "the way in for everybody who signs in through it",
    ),
    "DeleteSCIMDirectory": (
        "the directory and its API key: SCIM requests made with the key are rejected",
        "provisioning through the directory",
    ),
    "DeleteSCIMGroupRoleMapping": (
        "the mapping from the SCIM group to a role",
        "the group as a source of that role",
    ),
    "DeleteSvixApp": (
        "the Svix app of the instance, with its endpoints and their history",
        "the delivery of every webhook",
    ),
    "DeleteTOTP": (
        "the user's authenticator app registrations",
        "that second factor, until the user sets it up again",
    ),
    "DeleteUser": (
        "the user's record",
        "all sessions of the user",
        "all memberships of the user",
        "all data associated with the user",
    ),
    "DeleteUserProfileImage": ("the profile image of the user",),
    "DeleteWaitlistEntry": (
        "the pending entry",
        "the place of that address on the waitlist",
    ),
    "DisableMFA": (
        "every second factor of the user: SMS, authenticator app, backup codes",
        "the protection they gave: the first factor alone signs in",
    ),
    "RemoveBillingSubscriptionItemDiscount": (
        "the active discount",
        "the lower price, for what is billed from now on",
    ),
    "RemovePermissionFromOrganizationRole": (
        "the permission, as a part of this role",
        "what it allowed to every member with the role",
    ),
    "RevokeUserTrustedDevice": (
        "the trust in that device",
        "what the user could do on it because it was trusted",
    ),
    "UserPasskeyDelete": (
        "the passkey; the user is told by e-mail",
        "the user's way to sign in with it",
    ),
    "UserWeb3WalletDelete": (
        "the link between the user and the wallet",
        "the user's way to sign in with it",
    ),
    "deleteApiKey": (
        "the API key",
        "access for whatever uses it: its requests are refused",
    ),
}
"""What each DELETE operation destroys: the thing itself first, then what goes with it."""

CONSEQUENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "BanUser": ("all sessions of the user are revoked, and the user cannot sign in until unbanned",),
    "ChangeProductionInstanceDomain": (
        "every session ends: all users are signed out",
        "DNS records, certificates, redirect URLs and keys have to be changed, with some downtime",
    ),
    "CreateBulkInvitations": ("an e-mail goes to every address, unless notify is false; it cannot be unsent",),
    "CreateBulkWaitlistEntries": ("an e-mail goes to every address, unless notify is false; it cannot be unsent",),
    "CreateInvitation": ("an e-mail goes to a real person, unless notify is false; it cannot be unsent",),
    "CreateOrganizationInvitation": ("an e-mail goes to a real person, unless notify is false; it cannot be unsent",),
    "CreateOrganizationInvitationBulk": (
        "an e-mail goes to every address, unless notify is false; it cannot be unsent",
    ),
    "CreateWaitlistEntry": ("an e-mail goes to a real person, unless notify is false; it cannot be unsent",),
    "InviteWaitlistEntry": ("an e-mail goes to a real person; it cannot be unsent",),
    "LockUser": ("the user cannot sign in until the lock expires or is removed",),
    "PrepareEmailAddressVerification": ("an e-mail with a code goes to a real person",),
    "PreparePhoneNumberVerification": ("an SMS with a code goes to a real person",),
    "RemoveUserPassword": ("the user cannot sign in with the password, even where there is no other way in",),
    "ReplaceRoleInRoleSet": ("members with the old role get the new one",),
    "ReplaceRoleSet": ("organizations of the old role set move to the new one, and the old one is gone",),
    "ReplaceUserEmailAddress": ("all other e-mail addresses of the user are deleted",),
    "ReplaceUserPhoneNumber": ("all other phone numbers of the user are deleted",),
    "RevokeSession": ("whoever uses the session is signed out",),
    "RotateDirectoryAPIKey": ("the old key expires after a short time",),
    "RotateMachineSecretKey": ("the old key expires after previous_token_ttl",),
    "RotateOAuthApplicationSecret": ("clients that hold the old secret have to be given the new one",),
    "RotateSCIMDirectoryAPIKey": ("the old key expires after a short time",),
    "SetUserPasswordCompromised": ("the user has to reset the password at the next sign-in",),
    "UpdateProductionInstanceDomain": (
        "every session ends: all users are signed out",
        "DNS records, certificates, redirect URLs and keys have to be changed, with some downtime",
    ),
    "UsersBan": ("all sessions of these users are revoked, and they cannot sign in until unbanned",),
}
"""What other writes set off beyond what their name says."""


def destroyed_by(operation_id: str) -> tuple[str, ...]:
    """What a DELETE destroys; of one that is new, that it is not known.

    Example:
        >>> destroyed_by("DeleteUser")[1]
        'all sessions of the user'
    """
    return DESTROYS.get(operation_id, ("what it names, and perhaps more: this operation is not in our table",))


def consequences_of(operation_id: str) -> tuple[str, ...]:
    """What another write sets off beyond what its name says; often nothing."""
    return CONSEQUENCES.get(operation_id, ())
