"""Which key, of which kind, for which address, with which scopes; and where all of it was found.

A key comes from the environment or from a ``.env`` file, never from the command line: arguments are visible to every
process of the machine. The address belongs to whoever gave the key, so that a file lying about cannot send somebody
else's key to its own host.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from yarl import URL

from clerk_limits.documented import InstanceKind
from clerk_runner.errors import AccessError, UsageError
from clerk_runner.home import state_home
from clerk_runner.loopback import is_loopback
from clerk_runner.proxies import proxy_for

__all__ = [
    "QUARANTINE_SPEED",
    "Credentials",
    "SecretKey",
    "address",
    "discover",
    "is_loopback",
    "no_key",
    "parse_speed",
    "state_home",
]

DEFAULT_URL = "https://api.clerk.com"
"""Source: Clerk's OpenAPI document 2026-05-12, servers."""

KEY_KINDS = {"sk_live_": InstanceKind.PRODUCTION, "sk_test_": InstanceKind.DEVELOPMENT}
URL_NAMES = ("CLERK_API_URL", "CLERK_REST_API_URL")
MAX_ENV_BYTES = 1_000_000
QUARANTINE_SPEED = 60
"""Fastest rehearsal in which a quarantine of 120 s still outlives the simulator's slowest answers."""


class SecretKey:
    """A secret key that shows itself to nobody by accident.

    Example:
        >>> key = SecretKey("sk_test_abc123")
        >>> print(key, repr(key), key.kind)
        sk_test_*** SecretKey(sk_test_***) development
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, place: str = "") -> None:
        """Check the form; an AccessError names what is wrong, and ``place``, without showing the key."""
        if not re.fullmatch(r"sk_(test|live)_[A-Za-z0-9_\-+/=]+", text):
            raise AccessError(
                f"CLERK_SECRET_KEY{place and f' in {place}'} does not have the form of a secret key "
                "(sk_test_… or sk_live_…)",
                code="key_malformed",
                hint="copy the secret key from the Clerk Dashboard, API keys; pk_… is the publishable key",
            )
        self._text = text

    @property
    def kind(self) -> InstanceKind:
        """Whether the key opens a production or a development instance."""
        return KEY_KINDS[self._text[:8]]

    @property
    def fingerprint(self) -> str:
        """A name for the key that does not give it away: the first 16 digits of its SHA-256."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:16]

    def reveal(self) -> str:
        """The key itself, for the Authorization header alone."""
        return self._text

    def __str__(self) -> str:
        return f"{self._text[:8]}***"

    def __repr__(self) -> str:
        return f"SecretKey({self})"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a command needs to speak to Clerk.

    Attributes:
        api_url: scheme and host without ``/v1``, such as ``https://api.clerk.com``.
        scopes: the exact tokens of CLERK_BAPI_SCOPES.
        found_in: where the key was, for messages; empty where there is none, for a plan that asks nobody.
        speed: by how much a rehearsal divides every duration of ours; 1.0 outside of rehearsals.
        proxy: through which the address is reached, where the environment says so; it may hold a password.
    """

    key: SecretKey
    api_url: str
    scopes: frozenset[str]
    found_in: str
    speed: float = 1.0
    proxy: URL | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.api_url).netloc

    @property
    def told(self) -> str:
        """The key for people: its kind, and where it was found."""
        kind = self.key.kind
        return f"{kind} key from {self.found_in}" if self.found_in else f"none: planned for a {kind} instance"


@dataclass(frozen=True, slots=True)
class _Found:
    values: Mapping[str, str] = field(repr=False)
    place: str


class _NotOursError(Exception):
    """A file that belongs to somebody else: whoever could write it could name a host of theirs."""


def discover(environ: Mapping[str, str], cwd: Path, *, home: Path | None = None) -> Credentials:
    """Find key, address and scopes in the environment, else in ``.env.local`` and ``.env`` upward from ``cwd``.

    Raises:
        AccessError: no key, or a malformed one; the message names the variable and the files looked in.
        UsageError: an address that is neither https nor loopback, a speed that is not allowed, or a proxy that is none.
    """
    foreign: list[str] = []
    home = home or Path(environ.get("HOME", "/nonexistent"))
    for found in _places(environ, cwd, home, foreign):
        text = found.values.get("CLERK_SECRET_KEY", "").strip()
        if text:
            return _credentials(SecretKey(text, found.place), found, environ)
    *_, top = _upward(cwd, home)
    skipped = f"; {' and '.join(foreign)} is not yours and was not read" if foreign else ""
    raise AccessError(
        f"no secret key: CLERK_SECRET_KEY is not set, and no .env or .env.local from {cwd} up to {top} has it{skipped}",
        code="key_missing",
        hint="get the key from the Clerk Dashboard, API keys, then: export CLERK_SECRET_KEY=sk_test_…",
    )


def no_key(environ: Mapping[str, str], kind: str | None) -> Credentials:
    """What stands for a key where nothing is sent.

    Args:
        kind: of the instance that is planned for; development where the job does not say.

    Raises:
        UsageError: as ``discover``.
    """
    prefix = next((prefix for prefix, each in KEY_KINDS.items() if each == kind), "sk_test_")
    return _credentials(SecretKey(f"{prefix}none"), _Found(environ, ""), environ)


def _credentials(key: SecretKey, found: _Found, environ: Mapping[str, str]) -> Credentials:
    api_url = address(environ, found.values)
    scopes = environ.get("CLERK_BAPI_SCOPES", found.values.get("CLERK_BAPI_SCOPES", ""))
    speed = parse_speed(environ.get("CLERK_BATCH_SPEED", ""), api_url)
    tokens = frozenset(re.split(r"[,\s]+", scopes.strip())) - {""}
    return Credentials(key, api_url, tokens, found.place, speed, proxy_for(api_url, environ))


def address(*places: Mapping[str, str]) -> str:
    """The address that the first of some variables names, Clerk's own where none does.

    One that is set and empty is refused: a rehearsal whose address got lost must not end at the real Clerk.

    Raises:
        UsageError: it is neither https nor loopback.
    """
    named = (values[name] for values in places for name in URL_NAMES if name in values)
    return _checked_url(next(named, DEFAULT_URL))


def _checked_url(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        # Read for its check alone: a port that is none raises here instead of at the first request.
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    known = parts.path.rstrip("/") in ("", "/v1") and not parts.query and not parts.fragment
    # Host and port in plain characters: no user, no blanks, no backslash that some readers take for a slash.
    if not known or parts.scheme not in ("https", "http") or not re.fullmatch(r"[A-Za-z0-9.\-:\[\]]+", parts.netloc):
        fault = "not an address such as" if text.strip() else "set and empty, instead of"
        raise UsageError(
            f"CLERK_API_URL is {fault} {DEFAULT_URL}",
            code="url_malformed",
            hint="correct or unset it",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(
            f"CLERK_API_URL sends the key unencrypted to {parts.hostname}",
            code="url_insecure",
            hint="use https; http is allowed for this machine alone",
        )
    return f"{parts.scheme}://{parts.netloc}"


def parse_speed(text: str, api_url: str) -> float:
    """Read CLERK_BATCH_SPEED; empty is 1.

    Raises:
        UsageError: no number above zero, or a rehearsal against an address that is not loopback.
    """
    if not text.strip():
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1_000_000:
        raise UsageError(
            f"CLERK_BATCH_SPEED={text!r} is not a number above zero", code="speed_malformed", hint="unset it"
        )
    if speed != 1.0 and not is_loopback(urlsplit(api_url).hostname):
        raise UsageError(
            "CLERK_BATCH_SPEED is for rehearsals against the simulator: this address is a real one",
            code="speed_refused",
            hint="unset CLERK_BATCH_SPEED",
        )
    return speed


def _places(environ: Mapping[str, str], cwd: Path, home: Path, foreign: list[str]) -> Iterator[_Found]:
    yield _Found(environ, "the environment")
    for folder in _upward(cwd, home):
        for name in (".env.local", ".env"):
            path = folder / name
            try:
                values = _read_env(path)
            except _NotOursError:
                foreign.append(str(path))
                continue
            if values is not None:
                yield _Found(values, str(path))


def _upward(cwd: Path, home: Path) -> Iterator[Path]:
    """From the working directory up to the home folder or the repository's root, whichever comes first."""
    for folder in (cwd, *cwd.parents):
        yield folder
        if folder == home or (folder / ".git").exists():
            return


def _read_env(path: Path) -> dict[str, str] | None:
    """Parse a ``.env`` file of this user's; None where there is none. Never sourced: values are text, not commands.

    Raises:
        _NotOursError: the file belongs to somebody else.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_uid != os.geteuid():
                raise _NotOursError
            text = file.read(MAX_ENV_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return None
    values: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", line)
        if match:
            values[match[1]] = _unquoted(match[2])
    return values


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe of that name would wait for its writer for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        if end > 0:
            return value[1:end]
    return re.split(r"\s#", value, maxsplit=1)[0].strip()
