"""What Clerk's answer says, in a line for a person: the key fields of an object, or why a call failed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence

from clerk_jobs.call import Call, Reply
from clerk_jobs.catalog import Catalog, Json, Operation
from clerk_jobs.catalog.metadata import kinds_written

__all__ = ["SHOWN_ROWS", "failure_lines", "found_lines", "success_lines", "telling_read"]

SHOWN_ROWS = 20

_NAMELESS = "it"

_NATURAL_KEYS = (("external_id", "external_id"), ("username", "username"), ("slug", "query"))
"""Fields by which a thing is found again, and the query parameter for it; no addresses of people: this is an error."""

_REMEDIES = {
    "api_version_invalid": "name another with --version; clerk-batch api versions lists them",
    "bulk_size_exceeded": "send fewer at once",
    "duplicate_record": "it already exists: nothing has to be created",
    "form_identifier_exists": "it already exists: nothing has to be created",
    "form_param_unknown": "clerk-batch api show lists the fields of this operation",
    "form_param_missing": "clerk-batch api show says what is required",
    "resource_locked": "another change is under way: try again",
    "resource_not_found": "check the id, and that the key belongs to the same instance",
    "user_quota_exceeded": "a development instance holds 100 users: delete some, or use a production instance",
}
_REMEDIES_BY_STATUS = {
    400: "clerk-batch api show says what the operation takes",
    401: "check CLERK_SECRET_KEY",
    402: "raise the plan in the Clerk Dashboard",
    403: "the key, the plan or a setting does not allow it: see the Clerk Dashboard",
    404: "check the id, and that the key belongs to the same instance",
    409: "another change is under way: try again",
    413: "send less at once",
    422: "clerk-batch api show says what the operation takes",
    429: "wait a while; clerk-batch limits shows the limits",
}


def success_lines(operation: Operation, call: Call, answer: Json) -> Iterator[str]:
    """What happened, by the kind of object that came back."""
    verb = _verb(operation)
    if operation.list_shape is not None:
        rows = operation.list_shape.rows(answer)
        if rows is not None:
            yield from found_lines(operation, rows, len(rows))
            return
    if isinstance(answer, Mapping):
        if answer.get("deleted") is True:
            yield f"Deleted: {answer.get('id', call.path.rsplit('/', 1)[-1])}"
            return
        if operation.method == "DELETE" and _described(answer) != _NAMELESS:
            # What comes back is what is left: a user without its image, a role without a permission.
            yield f"Done: {operation.phrase}: {_described(answer)}"
            return
        written = kinds_written(call.body)
        if written and verb == "Updated":
            kept = ", ".join(f"{kind}={json.dumps(answer.get(kind), ensure_ascii=False)}" for kind in written)
            yield f"Updated {answer.get('object', 'it')} {answer.get('id', '')}: {kept}".replace(" :", ":")
            return
        if operation.operation_id == "GetUsersCount" or set(answer) == {"object", "total_count"}:
            yield f"Total: {answer.get('total_count')}"
            return
        named = _described(answer) != _NAMELESS or operation.method == "GET"
        yield f"{verb} {_described(answer)}" if named else f"Done: {operation.phrase}"
    elif isinstance(answer, list):
        yield f"{verb} {len(answer)}:"
        yield from _rows(answer, len(answer))
    elif operation.method == "DELETE":
        yield f"Deleted: {call.path.rsplit('/', 1)[-1]}"
    else:
        yield f"{verb.removesuffix(':')}."


def found_lines(operation: Operation, rows: Sequence[Json], count: int) -> Iterator[str]:
    """How many rows a list has, and the key fields of the first of them."""
    kinds = {str(row.get("object")) for row in rows if isinstance(row, Mapping)} - {"None"}
    noun = kinds.pop() if len(kinds) == 1 else _row_of(operation)
    plural = noun if count == 1 else noun[:-1] + "ies" if noun.endswith("y") else f"{noun}s"
    yield f"Found {count} {plural.replace('_', ' ')}" + (":" if rows else "")
    yield from _rows(rows, count)


def _row_of(operation: Operation) -> str:
    """What a list is called after: the last word of its path that is no parameter, alone."""
    *_, last = (step for step in operation.path.split("/") if not step.startswith("{"))
    return last[:-3] + "y" if last.endswith("ies") else last.removesuffix("s")


def failure_lines(operation: Operation, reply: Reply) -> Iterator[str]:
    """Status, code, message, trace id, and what to do."""
    for problem in reply.problems or ():
        parameter = problem.meta.get("param_name") or problem.meta.get("paramName")
        where = f" ({parameter})" if isinstance(parameter, str) else ""
        yield f"{reply.status} {problem.code}{where}: {problem.message}"
    if reply.trace_id:
        yield f"trace id: {reply.trace_id}"
    known = [_REMEDIES[problem.code] for problem in reply.problems if problem.code in _REMEDIES]
    remedy = known[0] if known else _REMEDIES_BY_STATUS.get(reply.status, "try again later")
    if operation.method == "DELETE" and reply.status == 404:
        remedy = f"it is already gone, or never existed: {remedy}"
    if "api show" in remedy:
        remedy = remedy.replace("api show", f"api show {operation.operation_id}")
    yield remedy


def telling_read(catalog: Catalog, operation: Operation, call: Call) -> str:
    """The command that tells whether a call with a lost answer has happened; empty where there is none.

    It asks by what is unique to the thing, where the call gave that, else for the newest.
    """
    steps = call.path.split("/")
    templates = operation.path.split("/")
    while len(steps) > 1:
        reader = catalog.find("GET", "/".join(templates))
        if reader is not None:
            words = ["clerk-batch", "api", "call", "GET", "/".join(steps)]
            return shlex.join([*words, *_natural_key(reader, call.body)])
        steps.pop()
        templates.pop()
    return ""


def _natural_key(reader: Operation, body: Json) -> list[str]:
    given = body if isinstance(body, Mapping) else {}
    for field, parameter in _NATURAL_KEYS:
        if isinstance(given.get(field), str) and reader.parameter(parameter) is not None:
            return ["--query", f"{parameter}={given[field]}"]
    return ["--query", "order_by=-created_at"] if _takes_newest(reader) else []


def _takes_newest(reader: Operation) -> bool:
    parameter = reader.parameter("order_by")
    return parameter is not None and parameter.schema.default != "-created_at"


def _verb(operation: Operation) -> str:
    if operation.method == "GET":
        return "Found"
    if operation.method in ("PATCH", "PUT"):
        return "Updated"
    if operation.method == "DELETE":
        return "Deleted"
    return "Created" if operation.phrase.startswith(("Create", "Add")) else "Done:"


def _rows(rows: Sequence[Json], count: int) -> Iterator[str]:
    for row in rows[:SHOWN_ROWS]:
        yield f"  {_described(row)}" if isinstance(row, Mapping) else f"  {row}"
    if count > SHOWN_ROWS:
        yield f"  ... and {count - SHOWN_ROWS} more"


def _described(thing: Mapping[str, Json]) -> str:
    """``id: what a person knows it by``."""
    name = thing.get("id") or thing.get("name") or thing.get("object") or _NAMELESS
    known = _known_by(thing)
    return f"{name}: {known}" if known else str(name)


def _known_by(thing: Mapping[str, Json]) -> str:
    kind = thing.get("object")
    if kind == "user":
        return _primary_email(thing) or "no email"
    if kind == "organization_membership":
        person = thing.get("public_user_data")
        known = person.get("identifier") if isinstance(person, Mapping) else None
        return ", ".join(str(part) for part in (known, thing.get("role")) if part)
    # An address is shown of what is nothing else: those of tokens and invitations let somebody in.
    fields: tuple[str, ...] = ("email_address", "identifier", "phone_number", "slug", "name", "key")
    fields = ("url",) if kind == "redirect_url" else fields
    label = next((str(thing[field]) for field in fields if isinstance(thing.get(field), str) and thing[field]), "")
    status = thing.get("status")
    return ", ".join(part for part in (label, status if isinstance(status, str) else "") if part)


def _primary_email(user: Mapping[str, Json]) -> str:
    addresses = user.get("email_addresses")
    if not isinstance(addresses, list):
        return ""
    known = [one for one in addresses if isinstance(one, Mapping) and isinstance(one.get("email_address"), str)]
    primary = next((one for one in known if one.get("id") == user.get("primary_email_address_id")), None)
    chosen = primary or next(iter(known), None)
    return str(chosen["email_address"]) if chosen is not None else ""
