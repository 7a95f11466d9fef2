"""A row becomes a call of the job's operation, checked as one that somebody types."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from clerk_jobs.call import Call, Draft, Safety
from clerk_jobs.catalog.prepare import CallRefusedError, Inputs, prepare
from clerk_jobs.errors import RowProblem
from clerk_jobs.jobfile.operation_job import OperationJob
from clerk_jobs.listed import row_view

__all__ = ["OperationDrafting", "call_of", "inputs_of"]

KEY_BYTES = 16
DIGEST_BYTES = 8
SHOWN = 3


class OperationDrafting:
    """Renders rows for one job. A payload is ``{"path": {…}, "query": [[name, value], …], "body": …}``."""

    def __init__(self, job: OperationJob) -> None:
        """Look the operation up once."""
        self._job = job
        self.operation = job.facts
        self._view = row_view(job.listing, job.api_version)

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Check a row and name it.

        An operation that can be repeated says what shall be the case with what its path names, so two rows with the
        same path are about the same; of one that has an effect each time, only equal rows are.

        Raises:
            RowProblem: the call does not fit the operation's documents.
        """
        group, payload = self.payload(values)
        call_of(self._job, payload)
        about_path = self.operation.safety is Safety.IDEMPOTENT and payload["path"]
        key = orjson.dumps(payload["path"] if about_path else payload, option=orjson.OPT_SORT_KEYS)
        return Draft(blake2b(key, digest_size=KEY_BYTES).digest(), self.digest(group, payload), group)

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """What a row says.

        Raises:
            RowProblem: a template does not fit the row's values.
        """
        values = self._view(values)
        path = {} if self._job.path is None else self._job.path.render(values)
        query = {} if self._job.query is None else self._job.query.render(values)
        assert isinstance(path, dict)
        assert isinstance(query, dict)
        pairs = [
            [name, _text(each, name)]
            for name, value in query.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        return "", {
            "path": {name: _text(value, name) for name, value in path.items()},
            "query": pairs,
            "body": None if self._job.body is None else self._job.body.render(values),
        }

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of everything that is sent."""
        return blake2b(orjson.dumps([group, payload], option=orjson.OPT_SORT_KEYS), digest_size=DIGEST_BYTES).digest()


def _text(value: Any, name: str) -> str:
    """A value as it stands in an address."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise RowProblem("not_text", f"{name} must be one value")


def inputs_of(payload: Mapping[str, Any]) -> Inputs:
    """A payload in the catalogue's words."""
    pairs = [(str(name), str(value)) for name, value in payload["query"]]
    return Inputs(path=payload["path"], query=pairs, body=payload["body"])


def call_of(job: OperationJob, payload: Mapping[str, Any]) -> Call:
    """The call of a row.

    Raises:
        RowProblem: it does not fit the operation's documents; the findings show no value.
    """
    try:
        return prepare(job.facts, inputs_of(payload))
    except CallRefusedError as error:
        more = "; ..." if len(error.findings) > SHOWN else ""
        raise RowProblem("call_refused", "; ".join(map(str, error.findings[:SHOWN])) + more) from error
