"""Page maxima of the lists, and what spends the same budget as a job: for ``clerk-batch limits``."""

from __future__ import annotations

from typing import Final

from clerk_jobs.catalog import Catalog, ListShape

__all__ = ["ADVICE", "page_maxima"]

ADVICE: Final = (
    "An application's currentUser() calls GET /users/me and spends from the same budget; "
    "auth() reads the claims from the session token without a call."
)
"""Source: Clerk's documentation, "System limits", read August 2026."""


def page_maxima(catalog: Catalog) -> dict[str, list[str]]:
    """The lists by the greatest ``limit`` that they take; ``all at once`` for those without one.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> page_maxima(load())["100"]
        ['/api_keys', '/m2m_tokens']
    """
    found: dict[str, list[str]] = {}
    for operation in catalog.operations():
        if operation.list_shape is None:
            continue
        whole = operation.list_shape is ListShape.WHOLE
        found.setdefault("all at once" if whole else str(operation.page_maximum), []).append(operation.path)
    return {name: sorted(paths) for name, paths in found.items()}
