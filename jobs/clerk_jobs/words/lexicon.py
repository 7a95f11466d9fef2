"""The words that are understood: verbs, things and their other names, id prefixes, and words that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FILLERS", "ID_KINDS", "NOUNS", "POLITE", "PREPOSITIONS", "STATUSES", "VERBS", "singular"]

ID_KINDS: Final[Mapping[str, str]] = {
    "user": "user", "org": "organization", "inv": "invitation", "orginv": "organization_invitation",
    "orgmem": "membership", "sess": "session", "client": "client", "idn": "identification", "dmn": "domain",
    "orgdmn": "organization_domain", "jtmp": "jwt_template", "oauthapp": "oauth_application", "oa": "oauth_application",
    "oauth_app": "oauth_application", "ak": "api_key", "api_key": "api_key", "mt": "m2m_token", "mch": "machine",
    "samlc": "saml_connection", "entconn": "enterprise_connection", "ent": "enterprise_connection",
    "act": "actor_token", "sit": "sign_in_token", "wtl": "waitlist_entry", "waitlist": "waitlist_entry",
    "wle": "waitlist_entry", "ru": "redirect_url", "rurl": "redirect_url", "alid": "allowlist_identifier",
    "allow": "allowlist_identifier", "blid": "blocklist_identifier", "block": "blocklist_identifier",
    "role": "role", "perm": "permission", "role_set": "role_set", "roleset": "role_set", "cplan": "plan",
    "plan": "plan", "csub_item": "subscription_item", "subi": "subscription_item", "cprice": "price",
    "price": "price", "commerce_price": "price", "discount": "discount", "commerce_discount": "discount",
    "stmt": "statement", "dir": "directory", "scim": "scim_directory", "scim_dir": "scim_directory",
    "eac": "external_account", "passkey": "passkey", "sua": "sign_up", "aplt": "admin_portal_link_token",
    "agent_task": "agent_task", "task": "agent_task", "device": "trusted_device", "td": "trusted_device",
}  # fmt: skip
"""Prefix of an id, and what it names."""

VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "get": ("get", "list"), "show": ("get", "list"), "find": ("get", "list"), "fetch": ("get", "list"),
    "retrieve": ("get", "list"), "read": ("get", "list"), "view": ("get", "list"), "display": ("get", "list"),
    "look up": ("get", "list"), "lookup": ("get", "list"), "look for": ("get", "list"), "search": ("get", "list"),
    "describe": ("get", "list"), "inspect": ("get", "list"), "print": ("get", "list"), "see": ("get", "list"),
    "what": ("get", "list"), "who": ("get", "list"), "which": ("list", "get"), "where": ("get", "list"),
    "tell me": ("get", "list"), "give me": ("get", "list"), "i need": ("get", "list"),
    "load": ("get", "list"), "pull": ("get", "list"), "open": ("get",),
    "list": ("list", "get"), "browse": ("list",), "enumerate": ("list",), "export": ("list",),
    "count": ("count",), "how many": ("count",), "number of": ("count",), "total": ("count",),
    "create": ("create",), "make": ("create", "assign", "update"), "new": ("create",), "register": ("create",),
    "generate": ("create",), "issue": ("create",), "mint": ("create",), "start": ("create",), "open up": ("create",),
    "set up": ("create",), "sign up": ("create",), "add": ("create", "assign"), "put": ("create", "assign", "update"),
    "insert": ("create",), "impersonate": ("create",), "give": ("assign", "create", "update"),
    "assign": ("assign", "create", "update"), "grant": ("assign", "update"), "allow": ("create",),
    "allowlist": ("create",), "whitelist": ("create",), "blocklist": ("create",), "blacklist": ("create",),
    "invite": ("invite", "create"),
    "delete": ("delete",), "remove": ("delete", "update"), "erase": ("delete",), "destroy": ("delete",),
    "drop": ("delete",), "get rid of": ("delete",), "kick": ("delete",), "wipe": ("delete",), "purge": ("delete",),
    "unlink": ("delete",), "disconnect": ("delete",), "take away": ("delete",), "clear": ("delete", "update"),
    "unset": ("delete", "update"), "forget": ("delete",), "switch off": ("delete", "update"),
    "turn off": ("update", "delete"), "disable": ("delete", "update"),
    "update": ("update",), "change": ("update",), "set": ("update", "create"), "edit": ("update",),
    "modify": ("update",), "rename": ("update",), "patch": ("update",), "mark": ("update", "set"), "merge": ("merge",),
    "turn on": ("update",), "switch on": ("update",), "enable": ("update",), "cap": ("update",), "limit": ("update",),
    "promote": ("update",), "demote": ("update",), "upgrade": ("update",), "downgrade": ("update",),
    "should": ("update",), "upload": ("update",), "replace": ("replace",), "overwrite": ("replace",),
    "ban": ("ban",), "unban": ("unban",), "lift the ban": ("unban",), "unblock": ("unban",), "block": ("ban", "create"),
    "lock": ("lock",), "unlock": ("unlock",), "suspend": ("ban", "lock"), "deactivate": ("ban", "lock"),
    "revoke": ("revoke", "delete"), "cancel": ("revoke", "delete"), "withdraw": ("revoke",), "end": ("revoke",),
    "terminate": ("revoke",), "kill": ("revoke",), "sign out": ("revoke",), "log out": ("revoke",),
    "invalidate": ("revoke",), "expire": ("revoke",), "close": ("revoke",),
    "verify": ("verify",), "check": ("verify", "get"), "validate": ("verify",), "test": ("verify", "create"),
    "rotate": ("rotate",), "roll": ("rotate",), "regenerate": ("rotate",), "refresh": ("refresh",),
    "reject": ("reject",), "deny": ("reject",), "approve": ("invite",), "preview": ("preview",), "revert": ("revert",),
    "reset": ("delete", "revert", "rotate"), "toggle": ("toggle",), "extend": ("extend",), "apply": ("apply",),
}  # fmt: skip
"""Verb, and what kinds of operation it may mean, the likeliest first."""

_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("person", "people", "customer", "account", "everyone", "everybody", "somebody", "anyone", "sign up",
             "signup", "registration", "subscriber", "login account"),
    "organization": ("org", "team", "company", "workspace", "tenant", "organisation"),
    "membership": ("member", "organization membership", "org membership"),
    "invitation": ("invite", "app invitation"),
    "organization_invitation": ("organization invitation", "org invitation", "org invite", "team invitation"),
    "session": ("login", "login session", "signed in session"),
    "email_address": ("email", "e-mail", "email address", "e-mail address", "mail address", "mail"),
    "phone_number": ("phone", "phone number", "mobile", "mobile number", "telephone", "number of phone"),
    "domain": ("satellite domain", "instance domain"),
    "organization_domain": ("organization domain", "org domain", "verified domain"),
    "allowlist_identifier": ("allowlist", "allow list", "allow-list", "whitelist", "allowlist identifier",
                             "allowlist entry", "allow"),
    "blocklist_identifier": ("blocklist", "block list", "block-list", "blacklist", "denylist", "deny list",
                             "blocklist identifier", "blocklist entry"),
    "jwt_template": ("jwt template", "token template", "session token template"),
    "jwks": ("public key", "signing key", "json web key", "jwk"),
    "oauth_application": ("oauth app", "oauth application", "oauth client", "idp application"),
    "oauth_access_token": ("oauth token", "oauth access token", "provider token", "social token", "google token",
                           "github token"),
    "saml_connection": ("saml connection", "saml"),
    "enterprise_connection": ("enterprise connection", "sso connection", "enterprise sso", "sso"),
    "test_run": ("test run",),
    "redirect_url": ("redirect url", "redirect uri", "redirect"),
    "sign_in_token": ("sign-in token", "sign in token", "signin token", "login token", "magic link"),
    "sign_up": ("sign-up attempt", "sign up attempt"),
    "actor_token": ("actor token", "impersonation token", "impersonation", "impersonate"),
    "testing_token": ("testing token", "test token"),
    "session_token": ("session token", "session jwt", "token"),
    "role": ("organization role", "org role"),
    "permission": ("organization permission", "org permission"),
    "role_set": ("role set", "roleset"),
    "waitlist_entry": ("waitlist", "waiting list", "wait list", "waitlist entry"),
    "instance": ("application", "app", "instance setting", "app setting", "application setting"),
    "organization_setting": ("organization setting", "org setting"),
    "communication": ("communication setting", "sms country"),
    "restriction": ("restriction", "sign-up restriction", "sign up restriction", "signup restriction"),
    "protect": ("protect setting", "clerk protect"),
    "oauth_application_setting": ("oauth setting", "oauth application setting"),
    "api_key": ("api key",),
    "m2m_token": ("m2m token", "machine token", "machine to machine token"),
    "machine": ("service",),
    "scope": ("machine scope",),
    "secret_key": ("secret key", "machine secret", "machine key"),
    "secret": ("client secret",),
    "plan": ("billing plan", "subscription plan", "pricing plan"),
    "subscription": ("billing subscription",),
    "subscription_item": ("subscription item",),
    "statement": ("billing statement", "invoice", "bill"),
    "payment_attempt": ("payment attempt", "payment"),
    "price": ("billing price", "custom price"),
    "credit": ("credit balance", "billing credit", "credits", "balance"),
    "discount": (), "free_trial": ("free trial", "trial"), "price_transition": ("price transition",),
    "metadata": ("meta data", "public metadata", "private metadata", "unsafe metadata"),
    "password": ("passwd",),
    "mfa": ("2fa", "two factor", "two-factor", "two factor authentication", "second factor", "multi factor",
            "multi-factor", "multi-factor authentication", "multifactor"),
    "totp": ("authenticator", "authenticator app", "one time password"),
    "backup_code": ("backup code", "recovery code"),
    "passkey": ("pass key",),
    "profile_image": ("profile image", "avatar", "profile picture", "profile photo", "picture", "photo"),
    "logo": (),
    "external_account": ("external account", "social account", "connected account", "linked account"),
    "trusted_device": ("trusted device", "device"),
    "web3_wallet": ("web3 wallet", "wallet", "crypto wallet"),
    "template": ("email template", "sms template", "mail template"),
    "client": ("browser client",),
    "svix": ("svix app", "webhook app", "webhook", "webhooks"),
    "svix_url": ("svix url", "svix dashboard", "webhook dashboard", "webhooks dashboard", "svix link"),
    "directory": ("provisioning directory",),
    "scim_directory": ("scim directory", "scim"),
    "group_role_mapping": ("group role mapping", "role mapping", "group mapping"),
    "proxy_check": ("proxy check", "proxy"),
    "admin_portal_link_token": ("admin portal link", "admin portal link token", "admin portal", "portal link"),
    "agent_task": ("agent task",),
    "interstitial": ("interstitial page",),
}  # fmt: skip

NOUNS: Final[Mapping[str, str]] = {
    name: thing
    for thing, others in _OTHER_NAMES.items()
    for name in (*others, *(() if thing == "sign_up" else (thing.replace("_", " "),)))
}
"""A thing's name in the singular, blanks between its words, and the thing."""

STATUSES: Final = frozenset(
    {
        "pending", "accepted", "revoked", "expired", "active", "ended", "removed", "replaced", "abandoned",
        "invited", "completed", "rejected", "upcoming", "past_due", "success", "failed",
    }
)  # fmt: skip
"""Words that may be a ``status``."""

PREPOSITIONS: Final = frozenset(
    {
        "on", "of", "for", "in", "to", "from", "with", "at", "by", "as", "into", "onto", "under", "within",
        "who", "whose", "that", "which", "where", "is", "are", "was", "were", "has", "have", "had", "belonging",
        "owned", "using", "via", "through", "about", "between", "after", "before", "since", "until", "than",
        "not",
    }
)  # fmt: skip
POLITE: Final = frozenset(
    {
        "please", "pls", "can", "could", "would", "you", "i", "i'd", "want", "need", "like", "to", "me", "us",
        "let", "lets", "let's", "just", "kindly", "hey", "hi", "now", "also", "we", "tell", "then",
        "and",
    }
)  # fmt: skip
FILLERS: Final = frozenset(
    {
        "the", "a", "an", "all", "any", "every", "our", "my", "your", "their", "his", "her", "its", "this",
        "that", "these", "those", "some", "there", "here", "it", "them", "him", "us", "we", "do", "does", "did",
        "have", "has", "had", "been", "be", "being", "is", "are", "was", "were", "will", "shall", "please",
        "pls", "thanks", "thank", "you", "me", "i", "of", "and", "or", "also", "just", "only", "really",
        "currently", "right", "now", "still", "yet", "one", "ones", "more", "than",
    }
)  # fmt: skip
"""Words that carry nothing by themselves."""


_NO_PLURAL: Final = frozenset(
    {
        "sms", "dns", "aws", "jwks", "was", "has", "does", "pls", "as", "oauth",
    }
)  # fmt: skip


def singular(word: str) -> str:
    """A word in the singular, as far as endings tell.

    Example:
        >>> [singular(word) for word in ("users", "entries", "addresses", "address", "accesses")]
        ['user', 'entry', 'address', 'address', 'access']
    """
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 and word not in _NO_PLURAL:
        return word[:-1]
    return word
