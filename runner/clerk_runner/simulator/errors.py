"""Clerk's errors: {errors: [{message, long_message, code, meta?}], clerk_trace_id}.

    RefusalError                    an operation raises it; the server answers with its status and body
      not_found                404 resource_not_found
      invalid, missing, …      422 of one field

The words are the simulator's own; statuses, codes and the keys of `meta` are Clerk's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of `errors`."""

    code: str
    message: str
    long_message: str
    meta: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The entry as Clerk sends it: `meta` only where there is something in it."""
        entry: dict[str, object] = {
            "message": self.message,
            "long_message": self.long_message,
            "code": self.code,
        }
        if self.meta:
            entry["meta"] = dict(self.meta)
        return entry


class RefusalError(Exception):
    """An answer in Clerk's error shape.

    Attributes:
        status: the HTTP status.
        problems: the entries of `errors`, at least one.
        headers: headers beside the usual ones, such as Retry-After.
    """

    def __init__(self, status: int, *problems: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {problems[0].code}")
        self.status = status
        self.problems = problems
        self.headers = dict(headers or {})

    def body(self, trace_id: str) -> bytes:
        """The answer's body."""
        errors = [problem.as_json() for problem in self.problems]
        return orjson.dumps({"errors": errors, "clerk_trace_id": trace_id})


def refusal(status: int, code: str, message: str, long_message: str = "", **meta: object) -> RefusalError:
    """A refusal with one problem."""
    return RefusalError(status, Problem(code, message, long_message or message, meta))


def not_found(what: str, identifier: str = "") -> RefusalError:
    """404 for an object or a path that is not there."""
    long_message = f"no {what} was found with id {identifier}" if identifier else f"no {what} was found"
    return refusal(404, "resource_not_found", "not found", long_message)


def invalid(name: str, why: str, code: str = "form_param_value_invalid") -> RefusalError:
    """422 for the value of one field or query parameter."""
    return refusal(422, code, "is invalid", f"{name} {why}", param_name=name)


def unknown_field(name: str) -> Problem:
    """422 for a body field that the operation does not know."""
    return Problem("form_param_unknown", "is unknown", f"{name} is no parameter of this request", {"param_name": name})


def missing_field(name: str) -> Problem:
    """422 for a required body field that is absent or null."""
    return Problem("form_param_missing", "is missing", f"{name} must be given", {"param_name": name})


def identifier_taken(name: str) -> RefusalError:
    """422 for an e-mail address, user name, phone number or external id that another user has."""
    return refusal(422, "form_identifier_exists", "is taken", f"another user has this {name}", param_name=name)


_USUAL_CODES = {
    401: "authentication_invalid",
    402: "payment_required",
    403: "authorization_invalid",
    404: "resource_not_found",
    409: "resource_locked",
    422: "form_param_value_invalid",
    429: "too_many_requests",
    503: "service_unavailable",
}


def injected(status: int, code: str | None, retry_after: str | None) -> RefusalError:
    """The refusal of a fault that was asked for."""
    code = code or _USUAL_CODES.get(status, "internal_clerk_error" if status >= 500 else "request_invalid")
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    problem = Problem(code, "refused by the simulator", f"a fault with status {status} was asked for")
    return RefusalError(status, problem, headers=headers)
