"""Which proxy a connection goes through, by the variables that everybody uses.

aiohttp's own ``trust_env`` is not used: it also reads ``~/.netrc`` and would send what stands there in place of the
key, and it would send what is meant for this machine through a proxy that is another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from yarl import URL

from clerk_runner.errors import UsageError
from clerk_runner.loopback import is_loopback

__all__ = ["proxy_for"]


def proxy_for(address: str, environ: Mapping[str, str]) -> URL | None:
    """The proxy for an address by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case; None for none.

    The lower case wins, as in curl. An address of this machine never goes through a proxy. Through one, https is a
    tunnel (CONNECT): the proxy learns host and port, and neither the key nor what is said.

    Raises:
        UsageError: the variable is no address of an http proxy; it is not shown, as it may hold a password.

    Example:
        >>> variables = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".internal"}
        >>> proxy_for("https://api.clerk.com", variables)
        URL('http://proxy.example:3128')
        >>> proxy_for("https://clerk.internal", variables), proxy_for("http://127.0.0.1:8000", variables)
        (None, None)
    """
    parts = urlsplit(address)
    if parts.hostname is None or is_loopback(parts.hostname):
        return None
    if _is_exempt(parts.hostname, parts.port, _variable("no_proxy", environ)[1]):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        # HTTP_PROXY in capitals is what a CGI script gets from a request's header: whoever asks would choose it.
        found, text = _variable(name, environ)
        if text and not (found == "HTTP_PROXY" and "REQUEST_METHOD" in environ):
            return _checked(found, text)
    return None


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable of that name, small letters first; with its name as it is written."""
    for written in (name, name.upper()):
        if written in environ:
            return written, environ[written].strip()
    return name, ""


def _is_exempt(host: str, port: int | None, exempt: str) -> bool:
    """Whether NO_PROXY names a host: itself, a domain above it, with or without a port, or ``*`` for all."""
    for entry in filter(None, re.split(r"[,\s]+", exempt.lower())):
        domain, _, its_port = entry.removeprefix("*").removeprefix(".").partition(":")
        if entry == "*" or (
            domain and (host == domain or host.endswith(f".{domain}")) and its_port in ("", str(port or 443))
        ):
            return True
    return False


def _checked(name: str, text: str) -> URL:
    with suppress(ValueError):
        url = URL(text if "://" in text else f"http://{text}")
        if url.scheme == "http" and url.host is not None:
            return url
    raise UsageError(
        f"{name} is not the address of an http proxy",
        code="proxy_malformed",
        hint=f"set it to http://HOST:PORT or unset it; {name} is not shown, as it may hold a password",
    )
