"""Which operation a command means, and what its words already say about path and query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from clerk_jobs.catalog import Catalog, Operation
from clerk_runner.errors import UsageError

__all__ = ["Target", "read_target"]

_CLERK_HOST = "api.clerk.com"


@dataclass(frozen=True, slots=True)
class Target:
    """An operation, and the values that stood in its address.

    Attributes:
        path: values of path parameters, decoded; a parameter that was left as a template is not among them.
        query: the address's own query.
    """

    operation: Operation
    path: dict[str, str]
    query: tuple[tuple[str, str], ...]


def read_target(catalog: Catalog, words: Sequence[str], host: str = _CLERK_HOST) -> Target:
    """What ``METHOD /path``, ``METHOD https://host/v1/path?query`` or an operationId means; without a method, GET.

    Args:
        host: the host that calls go to; an address on any other is refused.

    Raises:
        UsageError: there is no such operation, or the address is on another host.
        UnknownOperationError: there is no such operationId.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> target = read_target(load(), ["get", "/v1/users?limit=5"])
        >>> target.operation.operation_id, target.query
        ('GetUserList', (('limit', '5'),))
    """
    if len(words) == 1 and "/" in words[0]:
        words = ("GET", words[0])
    if len(words) == 1:
        near = catalog.nearest(words[0])
        exact = near[0] if near and near[0].lower() == words[0].lower() else words[0]
        return Target(catalog.operation(exact), {}, ())
    if len(words) != 2:
        raise _malformed(words)
    method, address = words
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UsageError("that is not a URL", code="target_malformed", hint="give the path: /users") from error
    if parts.netloc and parts.netloc not in (host, _CLERK_HOST):
        raise UsageError(
            f"that address is on {parts.hostname}; calls go to {host} alone",
            code="host_foreign",
            hint="give the path alone, or set CLERK_API_URL",
        )
    path = f"/{parts.path.strip('/')}"
    found = catalog.match(method, path)
    if found is None:
        raise _unknown(catalog, method, path)
    operation, values = found
    given = {name: unquote(value) for name, value in values.items() if not re.fullmatch(r"\{[^{}]*\}", value)}
    # A plus that begins a value is one (order_by=+created_at); inside of it, as everywhere, it stands for a blank.
    query = parts.query.replace("=+", "=%2B")
    return Target(operation, given, tuple(parse_qsl(query, keep_blank_values=True)))


def _malformed(words: Sequence[str]) -> UsageError:
    hint = "clerk-batch api call GET /users, or clerk-batch api call GetUserList"
    pairs = [word for word in words[2:] if "=" in word.strip("=")]
    if pairs:
        hint = f"{'--query' if words[0].upper() == 'GET' else '--field'} {pairs[0].partition('=')[0]}=… gives a value"
    return UsageError("call takes METHOD and PATH, or the name of an operation", code="target_malformed", hint=hint)


def _unknown(catalog: Catalog, method: str, path: str) -> UsageError:
    methods = catalog.methods(path)
    hint = f"that path has {', '.join(methods)}" if methods else "clerk-batch api list WORDS finds operations"
    return UsageError(
        f"API version {catalog.version} has no {method.upper()} {path}", code="operation_unknown", hint=hint
    )
