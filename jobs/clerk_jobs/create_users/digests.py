"""Password hashers, and what a digest of each looks like.

A digest that does not fit its hasher makes an account that nobody can enter, and the user notices it first. So its form
is checked before anything is sent, where the form is documented plainly; the others are taken as they come.

Source: Clerk's OpenAPI document 2026-05-12, PasswordHasher, and https://clerk.com/docs/references/backend/user/create-user;
https://clerk.com/docs/guides/development/migrating/cognito (awscognito); read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["HASHERS", "digest_problem"]

_BCRYPT: Final = r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}"
_BASE64: Final = r"[A-Za-z0-9+/_-]+={0,2}"
_HEX: Final = r"[0-9A-Fa-f]+"


def _argon2(variant: str) -> str:
    return rf"\${variant}\$(?:v=[0-9]+\$)?m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+={{0,2}}\$[A-Za-z0-9+/]+={{0,2}}"


HASHERS: Final[Mapping[str, tuple[str, str] | None]] = MappingProxyType(
    {
        "argon2i": (_argon2("argon2i"), "$argon2i$v=19$m=...,t=...,p=...$salt$hash"),
        "argon2id": (_argon2("argon2id"), "$argon2id$v=19$m=...,t=...,p=...$salt$hash"),
        "awscognito": (r"awscognito(?:#[^#\s]+){3}", "awscognito#user pool id#client id#identifier"),
        "bcrypt": (_BCRYPT, "$2b$cost$salt and hash, 60 characters"),
        "bcrypt_sha256_django": (rf"bcrypt_sha256\${_BCRYPT}", "bcrypt_sha256$$2b$cost$salt and hash"),
        "ldap_ssha": (rf"\{{SSHA\}}{_BASE64}", "{SSHA} and base64"),
        "md5": (r"[0-9A-Fa-f]{32}", "32 hexadecimal digits"),
        "md5_phpass": None,
        "pbkdf2_sha1": (
            rf"pbkdf2_sha1\$[0-9]+\$[^$]+\${_HEX}(?:\$[0-9]+)?",
            "pbkdf2_sha1$iterations$salt$hexadecimal hash",
        ),
        "pbkdf2_sha256": (rf"pbkdf2_sha256\$[0-9]+\${_BASE64}\${_BASE64}", "pbkdf2_sha256$iterations$salt$hash"),
        "pbkdf2_sha256_django": (rf"pbkdf2_sha256\$[0-9]+\$[^$]+\${_BASE64}", "pbkdf2_sha256$iterations$salt$hash"),
        "pbkdf2_sha512": None,
        "pbkdf2_sha512_hex": None,
        "phpass": (r"\$P\$[./0-9A-Za-z]{31}", "$P$ and 31 characters"),
        "scrypt_firebase": (
            rf"{_BASE64}\${_BASE64}\${_BASE64}\${_BASE64}\$[0-9]+\$[0-9]+",
            "hash$salt$signer key$salt separator$rounds$memory cost",
        ),
        "scrypt_werkzeug": None,
        "sha256": (r"[0-9A-Fa-f]{64}", "64 hexadecimal digits"),
        "sha512_symfony": None,
    }
)
"""By name: the form of a digest, as an expression and in words; None where several forms are in use."""

_COMPILED: Final = {name: re.compile(form[0]) for name, form in HASHERS.items() if form is not None}


def digest_problem(hasher: str, digest: str) -> str | None:
    """Say why a digest cannot be one of its hasher's; None where it can. Never shows the digest.

    Example:
        >>> digest_problem("md5", "5f4dcc3b5aa765d61d8327deb882cf99") is None
        True
        >>> digest_problem("md5", "5f4dcc3b")
        'password_digest is none of md5, which has 32 hexadecimal digits'
    """
    form = HASHERS[hasher]
    if form is None or _COMPILED[hasher].fullmatch(digest):
        return None
    return f"password_digest is none of {hasher}, which has {form[1]}"
