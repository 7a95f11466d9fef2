"""What stands before every write: what will happen, to whom, with which key, and what cannot be undone.

Pure: from facts to lines. Jobs and single calls show the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from clerk_jobs.call import Call
from clerk_jobs.catalog import Json, Operation
from clerk_jobs.catalog.consequences import consequences_of, destroyed_by
from clerk_jobs.catalog.metadata import KINDS, explain_kinds, kinds_of, kinds_written, recommend, replaces

__all__ = ["Surroundings", "announcement", "deletion_id", "metadata_lines", "redacted"]

MAX_KEYS = 8
"""Names of metadata in one line."""

MAX_VALUE = 80
MAX_METADATA = 2000
"""Characters of one value that are shown; metadata is what such a call is about."""

_SECRET_FIELDS = ("password", "secret", "token", "digest", "signing_key", "code", "certificate", "totp", "backup")
_SECRET_WORDS = ("password", "secret", "token")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a write goes, and by what right.

    Attributes:
        key: the kind of key, ``development`` or ``production``.
        scopes: the scopes in force, or that they were bypassed.
    """

    host: str
    key: str
    api_version: str
    scopes: str


def announcement(operation: Operation, call: Call, where: Surroundings) -> Iterator[str]:
    """The lines, before the question."""
    yield f"{operation.phrase} ({operation.operation_id})"
    yield f"  request    {call.method} {call.path}"
    yield f"  host       {where.host}, {where.key} key, API version {where.api_version}"
    yield f"  scopes     {where.scopes}"
    if call.body is not None:
        yield f"  body       {_summary(redacted(call.body))}"
    if operation.method == "DELETE":
        yield "  IRREVERSIBLE. It destroys:"
        yield from (f"    - {line}" for line in destroyed_by(operation.operation_id))
    for line in consequences_of(operation.operation_id):
        yield f"  note       {line}"
    if operation.operation_id == "CreateOrganization" and not _names_creator(call.body):
        yield "  note       it will have no members, because created_by is not given"
    if operation.deprecated:
        yield "  note       this operation is deprecated"
    yield from (f"  {line}" for line in metadata_lines(operation, call.body))


def metadata_lines(operation: Operation, body: Json) -> Iterator[str]:
    """All three kinds of metadata, those that are written marked, and whether they are merged or replaced."""
    written = kinds_written(body)
    if not written or not kinds_of(operation):
        return
    yield "metadata   the three kinds, and the one that is written:"
    yield from (f"  {line}" for line in explain_kinds(written))
    for kind in written:
        yield from (f"  {line}" for line in _reasons(kind, _keys(body, kind)))
    replacing = replaces(operation)
    if replacing:
        yield f"  it REPLACES {' and '.join(written)} as a whole; what is not sent is gone"
    elif replacing is False:
        yield f"  it merges deeply into {' and '.join(written)}; null removes a key, the rest stays"


def _reasons(kind: str, keys: Sequence[str]) -> Iterator[str]:
    """Why the keys belong to the kind that is written, or to which other one they seem to belong."""
    found: dict[str, list[str]] = {}
    for key in keys:
        advised = recommend(key)
        if advised is None:
            reason = f"{{}}: {KINDS[kind].word}, as this call says"
        elif advised[0].field == kind:
            reason = f"{{}}: {advised[0].word}, because {advised[1]}"
        else:
            reason = f"{{}} looks like {advised[0].word}: {advised[1]}"
        found.setdefault(reason, []).append(key)
    for reason, alike in found.items():
        more = f" and {len(alike) - MAX_KEYS} more" if len(alike) > MAX_KEYS else ""
        yield reason.format(", ".join(alike[:MAX_KEYS]) + more)


def deletion_id(operation: Operation, call: Call) -> str:
    """What has to be typed before a DELETE: the id in the path that names what is deleted, else the path's last step.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> from clerk_jobs.catalog.prepare import Inputs, prepare
        >>> totp = load().operation("DeleteTOTP")
        >>> deletion_id(totp, prepare(totp, Inputs({"user_id": "user_1"})))
        'user_1'
    """
    pairs = zip(operation.path.split("/"), call.path.split("/"), strict=True)
    values = [value for template, value in pairs if template.startswith("{")]
    return unquote(values[-1]) if values else call.path.rsplit("/", 1)[-1]


def _names_creator(body: Json) -> bool:
    return isinstance(body, Mapping) and bool(body.get("created_by"))


def _keys(body: Json, kind: str) -> list[str]:
    elements = body if isinstance(body, list) else [body]
    found: dict[str, None] = {}
    for one in elements:
        values = one.get(kind) if isinstance(one, Mapping) else None
        if isinstance(values, Mapping):
            found |= dict.fromkeys(values)
    return list(found)


def redacted(body: Json) -> Json:
    """The body with its secrets hidden: for whoever reads over the shoulder, and for logs.

    Example:
        >>> redacted({"password": "x", "private_metadata": {"api_token": "y", "plan": "pro"}})
        {'password': '***', 'private_metadata': {'api_token': '***', 'plan': 'pro'}}
    """
    if isinstance(body, list):
        return [redacted(one) for one in body]
    if not isinstance(body, Mapping):
        return body
    return {
        name: "***" if _is_secret(name, value, _SECRET_FIELDS) else _redacted_below(value)
        for name, value in body.items()
    }


def _redacted_below(value: Json) -> Json:
    """The same within a field, where names are the user's own: only the plainest of them tell a secret."""
    if isinstance(value, list):
        return [_redacted_below(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: "***" if _is_secret(name, one, _SECRET_WORDS) else _redacted_below(one) for name, one in value.items()
    }


def _is_secret(name: str, value: Json, words: Sequence[str]) -> bool:
    """Whether a field holds a secret; a yes or no, such as ``skip_password_checks``, is none."""
    return not isinstance(value, bool | None) and any(word in name.lower() for word in words)


def _summary(body: Json) -> str:
    """The redacted body in a line: names and short values, arrays counted."""
    if isinstance(body, list):
        first = f", the first {_summary(body[0])}" if body else ""
        return f"{len(body)} items{first}"
    if not isinstance(body, Mapping):
        return json.dumps(body, ensure_ascii=False)
    return ", ".join(f"{name}={_value(name, value)}" for name, value in body.items()) or "empty"


def _value(name: str, value: Json) -> str:
    if value == "***":
        return "***"
    text = json.dumps(value, ensure_ascii=False)
    most = MAX_METADATA if name in KINDS else MAX_VALUE
    return text if len(text) <= most else f"{text[: most - 3]}..."
