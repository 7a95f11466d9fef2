"""What a replacement of metadata would destroy: the read that shows it, and what to say about its answer.

Pure: whoever calls sends the read. Other replacements are not looked at, as their bodies say what will be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

from clerk_jobs.call import Call, Reply
from clerk_jobs.catalog import Catalog, Json, Operation
from clerk_jobs.catalog.metadata import kinds_of, kinds_written, replaces
from clerk_jobs.catalog.prepare import Inputs, prepare
from clerk_runner.explore.code import as_command

__all__ = ["loss_lines", "read_before", "vanishing_keys"]


def read_before(catalog: Catalog, operation: Operation, call: Call) -> Call | None:
    """The call that reads what a replacement overwrites; None for everything that replaces no metadata.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> operation = load().operation("ReplaceUserMetadata")
        >>> body: Json = {"public_metadata": {"plan": "pro"}}
        >>> read_before(load(), operation, prepare(operation, Inputs({"user_id": "user_1"}, body=body))).path
        '/users/user_1'
    """
    if not kinds_written(call.body) or not kinds_of(operation) or not replaces(operation):
        return None
    reader = catalog.find("GET", operation.path.removesuffix("/metadata"))
    if reader is None:
        return None
    steps = zip(reader.path.split("/"), call.path.split("/"), strict=False)
    return prepare(reader, Inputs({name[1:-1]: unquote(value) for name, value in steps if name.startswith("{")}))


def loss_lines(read: Call, reply: Reply, call: Call) -> Iterator[str]:
    """The keys that would vanish, and the merge that keeps them; or that they are not known.

    Args:
        read: what ``read_before`` gave, and ``reply`` its answer.
        call: the replacement.
    """
    if not reply.ok:
        yield f"  the current value could not be read ({reply.status} {reply.code}): what would vanish is not known"
        return
    gone = list(vanishing_keys(reply.value, call.body))
    if gone:
        body = {kind: call.body[kind] for kind in kinds_written(call.body)}
        merge = as_command(replace(call, method="PATCH", path=f"{read.path}/metadata", query=(), body=body))
        yield f"  these keys will be GONE: {', '.join(gone)}"
        yield f"  to keep them, merge: {merge}"


def vanishing_keys(current: Json, body: Json) -> Iterator[str]:
    """The keys that a replacement would remove, as deep as they go: ``public_metadata.plan.tier``."""
    if not isinstance(current, Mapping) or not isinstance(body, Mapping):
        return
    for kind in kinds_written(body):
        yield from _vanishing(current.get(kind), body.get(kind), kind)


def _vanishing(before: Json, after: Json, name: str) -> Iterator[str]:
    if not isinstance(before, Mapping):
        return
    kept = after if isinstance(after, Mapping) else {}
    for key, value in before.items():
        if key not in kept:
            yield f"{name}.{key}"
        elif isinstance(value, Mapping) and isinstance(kept[key], Mapping):
            yield from _vanishing(value, kept[key], f"{name}.{key}")
