"""The one free-form entry: what the words after ``clerk-batch api`` mean.

``read_words`` is pure. It takes the API version out of the words, wherever it stands, and turns everything
that is no subcommand into one: a tag is listed, ``METHOD /path`` is called, the same with ``help`` is
shown, other words are asked. A slip in a subcommand's name is suggested and never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

from clerk_runner.errors import UsageError

__all__ = ["METHODS", "WITH_VALUE", "read_words", "take_version"]

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_VERSION: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.ya?ml)?")
_VERSION_OPTIONS: Final = ("--version", "--api-version")
_HELP: Final = ("-h", "--help", "help")
# Options of our commands that take a value: the value is no word of the entry.
WITH_VALUE: Final = frozenset(
    {
        "-d", "--data", "--file", "--query", "-q", "--field", "-p", "--path", "--as", "--confirm", "--limit",
        "--offset", "--max-wait", "--source",
    }
)  # fmt: skip


# Words that begin a sentence and look like a subcommand.
_SENTENCE: Final = frozenset({"how", "who", "what", "add", "all", "ban", "lock", "unlock", "last", "update", "task"})


def take_version(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The API version that is named, if one is, and the words without it; after ``--`` nothing is looked at.

    Raises:
        UsageError: the option is there without a date.

    Example:
        >>> take_version(["Users", "version", "2025-11-10.yml"])
        ('2025-11-10', ['Users'])
    """
    version: str | None = None
    rest: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        following = words[place + 1] if place + 1 < len(words) else ""
        name, equals, value = word.partition("=")
        if word == "--":
            return version, [*rest, *words[place:]]
        if name in _VERSION_OPTIONS:
            version = _version(value if equals else following)
            place += 1 if equals else 2
        elif word.lower() == "version" and _VERSION.fullmatch(following):
            version = _version(following)
            place += 2
        else:
            rest.append(word)
            place += 1
    return version, rest


def read_words(
    words: Sequence[str],
    commands: Collection[str],
    tag_of: Callable[[str], str | None],
    operation_of: Callable[[str], str | None],
) -> tuple[str, ...]:
    """The subcommand, with its arguments, that the words mean; empty where they ask for the usage text.

    Args:
        commands: the names of the subcommands.
        tag_of: the tag that a text names, if it names one.
        operation_of: the operationId that a text names, if it names one.

    Raises:
        UsageError: a subcommand is misspelt.

    Example:
        >>> read_words(["GET", "/users", "help"], ["call", "show"], lambda _: None, lambda _: None)
        ('show', 'GET', '/users')
    """
    plain = [word for word in _plain_words(words) if word not in _HELP]
    if not plain:
        return ()
    if words[0] in _HELP and plain[0] in commands:
        return (plain[0], "--help")
    helping = any(word in _HELP for word in words)
    kept = [word for word in words if word not in _HELP]
    if plain[0] in commands:
        return tuple(_commanded([plain[0], *_without(words, plain[0])], plain, helping=helping))
    tag = None if plain[0].startswith("/") else tag_of(" ".join(plain))
    if tag is not None:
        options = [word for word in kept if word.startswith("-")]
        return ("list", tag, *options)
    return tuple(_free(plain, kept, commands, operation_of, helping=helping))


def _commanded(words: Sequence[str], plain: Sequence[str], *, helping: bool) -> Sequence[str]:
    """A subcommand, unless its name is the verb of a sentence, or its call is only looked at."""
    if plain[0] == "update" and len(plain) > 1:
        return ["ask", *words]  # the subcommand takes no words
    if helping and plain[0] in ("call", "show") and len(plain) > 1:
        return _shown(plain[1:], words)
    return [plain[0], "--help"] if helping and len(plain) == 1 else words


def _shown(named: Sequence[str], words: Sequence[str]) -> list[str]:
    """Looking at what would be called: the options of the call mean nothing then."""
    return ["show", *named, *(word for word in words if word == "--json")]


def _free(
    plain: Sequence[str],
    kept: Sequence[str],
    commands: Collection[str],
    operation_of: Callable[[str], str | None],
    *,
    helping: bool,
) -> list[str]:
    first = plain[0]
    if first.upper() in METHODS and _is_path(first, plain[1:]):
        if helping:
            return _shown([first.upper(), *plain[1:]], kept)
        return ["call", first.upper(), *_without(kept, first)]
    if first.startswith("/"):
        return ["list", *kept]
    operation = operation_of(first)
    if operation is not None:
        return _shown([operation, *plain[1:]], kept)
    import difflib  # noqa: PLC0415 (only words that name nothing need it)

    near = difflib.get_close_matches(first.lower(), [*commands], 1, 0.75)
    if near and len(first) > 2 and first.lower() not in _SENTENCE:
        raise UsageError(
            f"there is no command {first!r}", code="command_unknown", hint=f"did you mean: clerk-batch api {near[0]}"
        )
    return ["ask", *kept, *(["--explain"] if helping else [])]


def _is_path(method: str, following: Sequence[str]) -> bool:
    """Whether a path follows the method; a method in capitals may be followed by a path without its slash."""
    path = following[0] if following else ""
    return path.startswith(("/", "http://", "https://", "v1/")) or (method.isupper() and "/" in path)


def _without(words: Sequence[str], word: str) -> list[str]:
    """The words without the first that is this one."""
    place = words.index(word)
    return [*words[:place], *words[place + 1 :]]


def _plain_words(words: Sequence[str]) -> list[str]:
    plain: list[str] = []
    value_follows = False
    for word in words:
        if not value_follows and not (word.startswith("-") and len(word) > 1):
            plain.append(word)
        value_follows = word in WITH_VALUE
    return plain


def _version(text: str) -> str:
    found = _VERSION.fullmatch(text)
    if found is None:
        raise UsageError(
            "--version takes the date of an API version", code="version_malformed", hint="clerk-batch api versions"
        )
    return found[1]
