"""Rows of an undo, as the runner wrote them: each is one subject, and what is taken back of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar, Final

import orjson

from clerk_jobs.call import Draft
from clerk_jobs.errors import RowProblem
from clerk_jobs.metadata.drafts import DIGEST_BYTES, KEY_BYTES

__all__ = ["UndoneRows"]

NOT_OURS: Final = "this line was not written by an undo"


class UndoneRows(ABC):
    """Reads such rows; what a subclass says is how its own look.

    Attributes:
        subject: the name in the payload under which the subject's id stands.
    """

    subject: ClassVar[str]

    def draft(self, values: Mapping[str, Any]) -> Draft:
        """Name a row.

        Raises:
            RowProblem: it is none of ours.
        """
        group, payload = self.payload(values)
        key = blake2b(payload[self.subject].encode(), digest_size=KEY_BYTES).digest()
        return Draft(key, self.digest(group, payload), group)

    def payload(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The group of a row, and its subject with what is taken back.

        Raises:
            RowProblem: it is none of ours, or nobody knows the subject's id.
        """
        found = self._read(values)
        if found is None:
            raise RowProblem("not_ours", NOT_OURS)
        return found

    def digest(self, group: str, payload: Mapping[str, Any]) -> bytes:
        """The digest of a row."""
        return blake2b(orjson.dumps([group, payload]), digest_size=DIGEST_BYTES).digest()

    @abstractmethod
    def _read(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The group and the payload; None for what is none of ours."""
