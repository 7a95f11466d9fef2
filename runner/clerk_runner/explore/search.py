"""Finding operations by words, in any order, over path, operationId, phrase and tags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from clerk_jobs.catalog import Catalog, Operation
from clerk_jobs.catalog.phrase import words_of

__all__ = ["find_operation", "near_tags", "nearby", "search"]

_ENDINGS = (("ies", "y"), ("s", ""))


def search(catalog: Catalog, text: str) -> tuple[Operation, ...]:
    """The operations that all words of the text fit, those that fit best first.

    A tag's name gives the operations of that tag. A path (with or without real ids) gives those of that
    path and below it. A word fits where it is the beginning of a word of path, operationId, phrase or tag,
    in singular or plural.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> [operation.operation_id for operation in search(load(), "ban users")]
        ['BanUser', 'UsersBan']
    """
    tag = catalog.tag(text)
    if tag is not None:
        return catalog.tags()[tag]
    if text.startswith("/"):
        return _below(catalog, text)
    words = [_stem(word.lower()) for part in re.findall(r"[A-Za-z0-9]+", text) for word in words_of(part)]
    scored: list[tuple[int, int, Operation]] = []
    for place, operation in enumerate(catalog.operations()):
        known = _known_words(operation)
        if words and all(any(k.startswith(word) for k in known) for word in words):
            exact = sum(word in known for word in words)
            scored.append((-exact, len(known) * 1000 + place, operation))
    return tuple(operation for *_, operation in sorted(scored, key=lambda one: one[:2]))


def find_operation(catalog: Catalog, words: Sequence[str]) -> tuple[Operation, ...]:
    """The operations that a name means: an operationId (any case), ``METHOD /path``, or a path alone.

    A path alone can mean several, one for each method. None fits: an empty tuple.
    """
    if not words:
        return ()
    first = words[0]
    if len(words) > 1 and first.isalpha():
        found = catalog.find(first, _path(words[1]))
        return () if found is None else (found,)
    if "/" in first:
        path = _path(first)
        return tuple(o for method in catalog.methods(path) if (o := catalog.find(method, path)) is not None)
    nearest = catalog.nearest(first)
    return (catalog.operation(nearest[0]),) if nearest and nearest[0].lower() == first.lower() else ()


def near_tags(catalog: Catalog, text: str) -> tuple[str, ...]:
    """The tags that are most like a text, the likeliest first.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> near_tags(load(), "userz")
        ('Users',)
    """
    import difflib  # noqa: PLC0415 (only words that name nothing need it)

    by_lower = {tag.lower(): tag for tag in catalog.tags()}
    return tuple(by_lower[lower] for lower in difflib.get_close_matches(text.lower(), by_lower, 3, 0.7))


def nearby(catalog: Catalog, words: Sequence[str]) -> str:
    """What to do with words that fit nothing: the tag they are like, or the operations that some of them fit.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> nearby(load(), ["please", "frobnicate", "invitations"])
        'clerk-batch api list invitations'
    """
    tags = near_tags(catalog, " ".join(words))
    if tags:
        return f"did you mean {' or '.join(tags)}?"
    fitting = [word for word in words if len(word) > 2 and search(catalog, word)]
    while fitting and not search(catalog, " ".join(fitting)):
        fitting.pop(0)
    return shlex.join(["clerk-batch", "api", "list", *fitting]) if fitting else "clerk-batch api tags lists all tags"


def _path(text: str) -> str:
    """The path within an address: ``/users`` of ``https://api.clerk.com/v1/users?limit=1``."""
    without_host = re.sub(r"^https?://[^/]+", "", text)
    return "/" + without_host.partition("?")[0].strip("/")


def _below(catalog: Catalog, path: str) -> tuple[Operation, ...]:
    exact = find_operation(catalog, [path])
    steps = _path(path).split("/")
    below = tuple(
        operation
        for operation in catalog.operations()
        if len(operation.path.split("/")) >= len(steps)
        and all(t.startswith("{") or t == s for t, s in zip(operation.path.split("/"), steps, strict=False))
    )
    return (*exact, *(operation for operation in below if operation not in exact))


def _known_words(operation: Operation) -> set[str]:
    text = f"{operation.path} {operation.phrase} {' '.join(operation.tags)} {operation.method}".lower()
    words = {*re.findall(r"[a-z0-9]+", text), *(word.lower() for word in words_of(operation.operation_id))}
    return {_stem(word) for word in words}


def _stem(word: str) -> str:
    for ending, instead in _ENDINGS:
        if len(word) > 3 and word.endswith(ending) and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return word
