"""One line of our own on each operation, made from its operationId and its path.

A rule reads most operationIds: ``CreateOrganizationInvitation`` is "Create an organization invitation",
``ListX`` below ``/organizations/{organization_id}`` is "List the x of an organization". Those whose id does
not say it well stand in a table.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["phrase_of", "words_of"]

_WORD: Final = re.compile(r"OAuth|M2M|JWKS|URLs?|[A-Z]+(?=[A-Z][a-z]|\d|$)|[A-Z]?[a-z]+\d?|\d+")
_ACRONYMS: Final = (
    "API",
    "JWKS",
    "JWT",
    "M2M",
    "MFA",
    "OAuth",
    "SAML",
    "SCIM",
    "SMS",
    "Svix",
    "TOTP",
    "URL",
    "URLs",
)
_SPELLING: Final[dict[str, str]] = {word.lower(): word for word in _ACRONYMS} | {"commerce": "billing"}
_HYPHENS: Final = re.compile(r"\bsign (in|up)\b")
_AN: Final = re.compile(r"(?:[aeio]|un|oauth|m2m|mfa|api)", re.IGNORECASE)

_PARENTS: Final = {
    "organizations": "an organization",
    "users": "a user",
    "machines": "a machine",
    "directories": "a directory",
    "scim_directories": "a SCIM directory",
    "enterprise_connections": "an enterprise connection",
    "statements": "a billing statement",
    "subscription_items": "a subscription item",
}

_IRREGULAR: Final = {
    "AddDomain": "Add a domain to the instance",
    "AddRolesToRoleSet": "Add roles to a role set",
    "AdjustOrganizationBillingCreditBalance": "Raise or lower the billing credit of an organization",
    "AdjustUserBillingCreditBalance": "Raise or lower the billing credit of a user",
    "ApplyBillingSubscriptionItemDiscount": "Apply a discount to a subscription item",
    "AssignPermissionToOrganizationRole": "Give a permission to an organization role",
    "AttemptEmailAddressVerification": "Check the code that was sent to an email address",
    "AttemptPhoneNumberVerification": "Check the code that was sent to a phone number",
    "CancelCommerceSubscriptionItem": "Cancel a subscription item",
    "ChangeProductionInstanceDomain": "Move a production instance to another domain",
    "CompleteAccountlessApplication": "Complete an accountless application",
    "CreateAllowlistIdentifier": "Add an identifier to the allow-list",
    "CreateBillingPrice": "Create a custom price for a billing plan",
    "CreateBillingPriceTransition": "Move a subscription item to another price",
    "CreateBlocklistIdentifier": "Add an identifier to the block-list",
    "CreateBulkInvitations": "Create up to 10 invitations at once",
    "CreateBulkWaitlistEntries": "Create up to 50 waitlist entries at once",
    "CreateEnterpriseConnectionTestRun": "Start a test run of an enterprise connection",
    "CreateMachineScope": "Allow a machine to access another machine",
    "CreateOrganizationInvitationBulk": "Create up to 10 organization invitations at once",
    "CreateOrganizationMembership": "Make a user a member of an organization",
    "CreateSessionToken": "Create a token for a session",
    "CreateSessionTokenFromTemplate": "Create a token for a session from a JWT template",
    "CreateSvixApp": "Create the Svix app that delivers webhooks",
    "DeleteAllowlistIdentifier": "Remove an identifier from the allow-list",
    "DeleteBackupCode": "Delete all backup codes of a user",
    "DeleteBlocklistIdentifier": "Remove an identifier from the block-list",
    "DeleteDomain": "Delete a satellite domain of the instance",
    "DeleteExternalAccount": "Delete an external account of a user",
    "DeleteMachineScope": "Forbid a machine to access another machine",
    "DeleteOrganizationDomain": "Delete a domain of an organization",
    "DeleteOrganizationLogo": "Delete the logo of an organization",
    "DeleteOrganizationMembership": "Remove a member from an organization",
    "DeleteSvixApp": "Delete the Svix app that delivers webhooks",
    "DeleteTOTP": "Delete the authenticator app codes (TOTP) of a user",
    "DeleteUserProfileImage": "Delete the profile image of a user",
    "DisableMFA": "Switch off all second factors of a user",
    "ExtendBillingSubscriptionItemFreeTrial": "Extend the free trial of a subscription item",
    "GenerateSvixAuthURL": "Create a link to the Svix dashboard",
    "GetBillingStatementPaymentAttempts": "List the payment attempts of a billing statement",
    "GetInstance": "Get the instance",
    "GetInstanceCommunication": "Get the communication settings of the instance",
    "GetInstanceOAuthApplicationSettings": "Get the OAuth application settings of the instance",
    "GetInstanceOrganizationSettings": "Get the organization settings of the instance",
    "GetInstanceProtect": "Get the Protect settings of the instance",
    "GetJWKS": "Get the public keys that verify session tokens (JWKS)",
    "GetMachineSecretKey": "Get the secret key of a machine",
    "GetOAuthAccessToken": "List the OAuth access tokens of a user for a provider",
    "GetOrganizationBillingCreditBalance": "Get the billing credit of an organization",
    "GetOrganizationBillingSubscription": "Get the billing subscription of an organization",
    "GetPublicInterstitial": "Get the interstitial page that handles a session handshake",
    "GetTemplate": "Get an email or SMS template",
    "GetTemplateList": "List email or SMS templates",
    "GetUserBillingCreditBalance": "Get the billing credit of a user",
    "GetUserBillingSubscription": "Get the billing subscription of a user",
    "GetUsersCount": "Count users",
    "InstanceGetOrganizationMemberships": "List the organization memberships of the instance",
    "InviteWaitlistEntry": "Invite the person of a waitlist entry",
    "ListAllOrganizationDomains": "List the organization domains of the instance",
    "ListAllowlistIdentifiers": "List the identifiers on the allow-list",
    "ListBlocklistIdentifiers": "List the identifiers on the block-list",
    "ListDirectoryGroupRoleMappings": "List the group role mappings of a directory",
    "ListInstanceOrganizationInvitations": "List the organization invitations of the instance",
    "ListPendingOrganizationInvitations": "List the pending invitations of an organization",
    "ListSCIMGroupRoleMappings": "List the group role mappings of a SCIM directory",
    "MergeOrganizationMetadata": "Merge values into the metadata of an organization",
    "PrepareEmailAddressVerification": "Send a verification code to an email address",
    "PreparePhoneNumberVerification": "Send a verification code to a phone number",
    "PreviewTemplate": "Preview an email or SMS template",
    "RefreshSession": "Refresh a session with a new token",
    "RemoveBillingSubscriptionItemDiscount": "Remove a discount from a subscription item",
    "RemovePermissionFromOrganizationRole": "Take a permission from an organization role",
    "RemoveUserPassword": "Remove the password of a user",
    "ReplaceDirectoryGroupRoleMappings": "Replace all group role mappings of a directory",
    "ReplaceOrganizationMetadata": "Replace the metadata of an organization",
    "ReplaceRoleInRoleSet": "Replace a role in a role set with another",
    "ReplaceRoleSet": "Replace a role set with another",
    "ReplaceSCIMGroupRoleMappings": "Replace all group role mappings of a SCIM directory",
    "ReplaceUserEmailAddress": "Replace all email addresses of a user with one",
    "ReplaceUserMetadata": "Replace the metadata of a user",
    "ReplaceUserPhoneNumber": "Replace all phone numbers of a user with one",
    "RevertTemplate": "Set an email or SMS template back to its default",
    "RevokeOAuthApplicationToken": "Revoke a token of an OAuth application",
    "RevokeUserTrustedDevice": "Revoke a trusted device of a user",
    "RotateDirectoryAPIKey": "Rotate the API key of a directory",
    "RotateMachineSecretKey": "Rotate the secret key of a machine",
    "RotateOAuthApplicationSecret": "Rotate the client secret of an OAuth application",
    "RotateSCIMDirectoryAPIKey": "Rotate the API key of a SCIM directory",
    "SetUserPasswordCompromised": "Mark the password of a user as compromised",
    "SetUserProfileImage": "Set the profile image of a user",
    "ToggleTemplateDelivery": "Switch the delivery of an email or SMS template by Clerk on or off",
    "UnsetUserPasswordCompromised": "Mark the password of a user as no longer compromised",
    "UpdateDomain": "Update a domain of the instance",
    "UpdateInstance": "Update the instance",
    "UpdateInstanceAuthConfig": "Update the authentication settings of the instance",
    "UpdateInstanceCommunication": "Update the communication settings of the instance",
    "UpdateInstanceOAuthApplicationSettings": "Update the OAuth application settings of the instance",
    "UpdateInstanceOrganizationSettings": "Update the organization settings of the instance",
    "UpdateInstanceProtect": "Update the Protect settings of the instance",
    "UpdateInstanceRestrictions": "Update the sign-up restrictions of the instance",
    "UpdateOrganizationMembership": "Change the role of a member of an organization",
    "UpdateOrganizationMembershipMetadata": "Merge values into the metadata of an organization membership",
    "UpdateProductionInstanceDomain": "Move a production instance to another domain",
    "UpdateUserMetadata": "Merge values into the metadata of a user",
    "UploadOAuthApplicationLogo": "Upload the logo of an OAuth application",
    "UploadOrganizationLogo": "Upload the logo of an organization",
    "UpsertTemplate": "Update an email or SMS template",
    "UserPasskeyDelete": "Delete a passkey of a user",
    "UserWeb3WalletDelete": "Delete a Web3 wallet of a user",
    "UsersBan": "Ban up to 50 users at once",
    "UsersGetOrganizationInvitations": "List the organization invitations of a user",
    "UsersGetOrganizationMemberships": "List the organization memberships of a user",
    "UsersUnban": "Unban up to 50 users at once",
    "VerifyDomainProxy": "Check that the proxy of a domain works",
    "VerifyOrganizationDomainOwnership": "Mark the ownership of a domain of an organization as verified",
    "VerifyPassword": "Check the password of a user",
    "VerifyTOTP": "Check an authenticator or backup code of a user",
    "getApiKeySecret": "Get the secret of an API key",
    "verifyApiKey": "Check an API key",
    "verifyM2MToken": "Check an M2M token",
    "verifyOAuthAccessToken": "Check an OAuth access token",
}


def words_of(operation_id: str) -> list[str]:
    """The words of an operationId, acronyms written as people write them.

    Example:
        >>> words_of("ListOAuthApplications"), words_of("getM2MTokens")
        (['list', 'OAuth', 'applications'], ['get', 'M2M', 'tokens'])
    """
    return [_SPELLING.get(word, word) for word in map(str.lower, _WORD.findall(operation_id))]


def phrase_of(method: str, path: str, operation_id: str) -> str:
    """What an operation does, in one line.

    Example:
        >>> phrase_of("POST", "/organizations/{organization_id}/invitations", "CreateOrganizationInvitation")
        'Create an organization invitation'
        >>> phrase_of("GET", "/organizations/{organization_id}/roads", "ListOrganizationRoads")
        'List the roads of an organization'
    """
    known = _IRREGULAR.get(operation_id)
    if known is not None:
        return known
    return _HYPHENS.sub(r"sign-\1", _by_rule(method, path, *words_of(operation_id)))


def _by_rule(method: str, path: str, verb: str, *words: str) -> str:
    nouns = list(words)
    if verb == "get" and nouns and nouns[-1] == "list":
        verb, nouns = "list", _plural(nouns[:-1])
    elif method == "GET" and verb == "get" and not path.endswith("}") and nouns and nouns[-1].endswith("s"):
        verb = "list"
    if not nouns:
        return verb.capitalize()
    if verb == "list":
        return _listing(path, nouns)
    return f"{verb.capitalize()} {_article(nouns[0])} {' '.join(nouns)}"


def _listing(path: str, nouns: list[str]) -> str:
    steps = path.strip("/").split("/")
    owner = _PARENTS.get(steps[-3]) if len(steps) >= 3 and steps[-2].startswith("{") else None
    if owner is None:
        return f"List {' '.join(nouns)}"
    own = set(owner.split())
    return f"List the {' '.join(noun for noun in nouns if noun not in own)} of {owner}"


def _plural(nouns: list[str]) -> list[str]:
    last = nouns[-1]
    many = last[:-1] + "ies" if last.endswith("y") else last + "s"
    return [*nouns[:-1], many]


def _article(word: str) -> str:
    return "an" if _AN.match(word) else "a"
