"""From a sentence to calls, by rules over the catalogue: no network, no model, and nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from clerk_jobs.catalog import Catalog
from clerk_jobs.words.choose import MARGIN, Candidate, candidates
from clerk_jobs.words.context import Context
from clerk_jobs.words.filling import Filled
from clerk_jobs.words.frame import Frame, find_verb, read_frame
from clerk_jobs.words.lexicon import POLITE
from clerk_jobs.words.people import lookup, people
from clerk_jobs.words.rules import RULES
from clerk_jobs.words.sentence import VALUE, Sentence
from clerk_jobs.words.understanding import Planned, Question, Topic, Unclear, Understanding, Understood

__all__ = ["understand"]

_LIMITS: Final = (
    r"rate[ -]?limits?|request limits?|api limits?|quotas?|throttl\w+|how (?:many|fast) (?:requests|calls)|"
    r"how (?:fast|quickly|often) (?:can|may|am)"
)
_PROVISOS: Final = (
    r"do not|don['’]?t|not|never|except|excluding|but|unless|if|only|until|tomorrow|tonight|later|"  # noqa: RUF001
    r"next (?:week|month|monday)"
)
"""What makes a write something else, or a write of another day: asked about before anything is done."""
_DURATION: Final = r"(?:\d+|an?|one|two|three|few) (?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)"
_LEAST: Final = 3.0
"""A best candidate below this explains too little to be believed."""

_HARMLESS: Final = frozenset(
    {
        "out", "away", "off", "up", "go", "once", "in", "completely", "permanently", "forever", "account",
    }
)  # fmt: skip
_NEGATIONS: Final = frozenset(
    {
        "not", "never", "no", "without", "except", "neither", "haven't", "hasn't", "don't", "isn't",
    }
)  # fmt: skip
_CHOICES: Final = 4
_NOTHING: Final = "No operation fits these words; clerk-batch api list WORDS finds operations by name."


def understand(text: str, catalog: Catalog, now_ms: int) -> Understanding:
    """What a sentence asks for.

    Args:
        now_ms: the time that "yesterday" is counted from, unix milliseconds.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> understood = understand("get user john_doe", load(), 0)
        >>> [str(call) for call in understood.calls]
        ['GET /users?username=john_doe']
    """
    whole = Sentence.of(text)
    if whole.has(_LIMITS) and not whole.values("id"):
        return Topic("limits")
    context = Context(catalog)
    done: list[Understood] = []
    clauses = list(_clauses(whole))
    for clause in clauses:
        said = clause.text
        result = _with_provisos(_understand_clause(clause, context, now_ms), said, clause.text)
        if not isinstance(result, Understood):
            if len(clauses) > 1 and isinstance(result, Question):
                choices = tuple(_joined([*done, choice]) for choice in result.choices)
                return Question(result.text, choices)
            return result
        done.append(result)
        context = _after(context, result)
    return _joined(done)


def _with_provisos(result: Understanding, said: str, left: str) -> Understanding:
    """What was understood; a write that is asked for on a condition, or not at all, becomes a question.

    Args:
        said: the clause, and ``left`` what nothing has taken of it.
    """
    if not isinstance(result, Understood) or all(call.operation.method == "GET" for call in result.calls):
        return result
    bodies = " ".join(str(call.body) for call in result.calls if call.body is not None)
    words = [found[0] for found in re.finditer(rf"(?<![\w<:-])(?:{_PROVISOS})(?![\w>-])", said, re.IGNORECASE)]
    words += [found[0] for found in re.finditer(rf"(?<![\w<:-])(?:{_DURATION})(?![\w>-])", left, re.IGNORECASE)]
    unread = [word for word in dict.fromkeys(words) if word not in bodies]
    return _asked_again(unread, result) if unread else result


def _asked_again(words: Sequence[str], understood: Understood) -> Question:
    return Question(f"These words were not understood: {', '.join(words)}. Is this still what you mean?", (understood,))


def _joined(parts: Sequence[Understood]) -> Understood:
    calls = tuple(call for part in parts for call in part.calls)
    return Understood(calls, tuple(dict.fromkeys(reason for part in parts for reason in part.reasons)))


def _clauses(whole: Sentence) -> Iterator[Sentence]:
    """The sentence, cut where a new verb follows "and", "then" or a comma, once there has been a verb."""
    text = whole.text
    cuts = [0]
    for found in re.finditer(r"(?: ?[,;.] | )(?:and then|then|and|also|afterwards)? ?(?=\S)", text):
        separated = re.search(r"[,;]|and|then|also|afterwards", found[0])
        rest = text[found.end() :]
        verb = find_verb(_without_politeness(rest))
        starts = verb is not None and verb.start() == 0
        if separated and starts and find_verb(text[cuts[-1] : found.start()]) is not None and _acts(rest):
            cuts.append(found.end())
    for begin, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
        clause = Sentence(())
        clause.text = re.sub(r"[\s,;.]*(?:\b(?:and|then))?[\s,;.]*$", "", text[begin:end])
        clause.adopt(whole)
        yield clause


def _without_politeness(text: str) -> str:
    return re.sub(rf"^(?:(?:{'|'.join(sorted(POLITE))}) )+", "", text, flags=re.IGNORECASE)


def _acts(rest: str) -> bool:
    """Whether the verb has something to act on: "new", "open" and the like are words of other sentences too."""
    verb = find_verb(_without_politeness(rest))
    target = re.search(rf"{VALUE}|\b(?:them|him|her|it)\b", rest, re.IGNORECASE)
    return verb is not None and target is not None and verb[0].lower() not in ("what", "who", "which", "limit")


def _after(context: Context, result: Understood) -> Context:
    """The context for the next clause."""
    last = result.calls[-1]
    calls = context.calls + len(result.calls)
    made_organization = last.operation.operation_id == "CreateOrganization"
    organization = f"{{{calls}.id}}" if made_organization else last.path.get("organization_id", context.organization)
    user = f"{{{calls}.id}}" if last.operation.operation_id == "CreateUser" else last.path.get("user_id", context.user)
    return replace(context, calls=calls, organization=organization, user=user, made=made_organization or context.made)


def _understand_clause(clause: Sentence, context: Context, now_ms: int) -> Understanding:
    frame = read_frame(clause, now_ms)
    for rule in RULES:
        result = rule(frame, context)
        if result is not None:
            return result
    found = candidates(context.catalog, frame)
    if "count" in frame.actions and (not found or found[0].score < _LEAST):
        return _counted(frame, context)
    if not found or found[0].score < _LEAST:
        return Unclear(_NOTHING)
    best = [one for one in found if one.score > found[0].score - MARGIN][:_CHOICES]
    if len(best) == 1:
        return _checked(best[0], frame, context)
    return Question("Which of these is meant?", tuple(_planned(one, frame, context) for one in best))


def _checked(candidate: Candidate, frame: Frame, context: Context) -> Understanding:
    """The one candidate, unless words that nothing explains might mean something else."""
    filled = candidate.filled
    operation = filled.operation
    understood = _planned(candidate, frame, context)
    changes = operation.method in ("PATCH", "PUT") and operation.body is not None
    if changes and not filled.body and operation.body is not None:
        fields = ", ".join((operation.body.schema.items or operation.body.schema).properties)
        return Unclear(f"{operation.phrase}: what is to be changed? It can change {fields}.")
    known = {*filled.taken, *_HARMLESS}
    if len(understood.calls) > 1:
        known |= {word for _, value in people(frame) for word in value.lower().split()}
    left = [word for word in frame.left_words() if word not in known]
    telling = operation.method == "DELETE" or any(word in _NEGATIONS for word in frame.sentence.words())
    if left and telling:
        return _asked_again(left, understood)
    return understood


def _counted(frame: Frame, context: Context) -> Understanding:
    """How many there are of what has no operation that counts: a list of one says it in ``total_count``."""
    frame.actions = ("list",)
    found = candidates(context.catalog, frame)
    if not found or found[0].score < _LEAST:
        return Unclear(_NOTHING)
    filled = found[0].filled
    operation = filled.operation
    if operation.parameter("paginated") is not None:
        filled.query.append(("paginated", "true"))
    if operation.page_maximum is not None:
        filled.query.append(("limit", "1"))
    return Understood((_plan(filled, frame, filled.path),), ("total_count in the answer is the number",))


def _planned(candidate: Candidate, frame: Frame, context: Context) -> Understood:
    filled = candidate.filled
    lookups: list[Planned] = []
    if "user_id" in filled.missing_path() and (found := people(frame)):
        lookups = [lookup(context.catalog, found[:1])]
        filled.path["user_id"] = context.carried()
    if "organization_id" in filled.missing_path() and context.organization:
        filled.path["organization_id"] = context.organization
    if "user_id" in filled.missing_path() and context.user:
        filled.path["user_id"] = context.user
    calls = [_plan(filled, frame, filled.path)]
    if filled.repeated is not None:
        name, values = filled.repeated
        calls = [_plan(filled, frame, {**filled.path, name: value}) for value in values]
    return Understood((*lookups, *calls), (filled.operation.phrase, *frame.sentence.reasons))


def _plan(filled: Filled, frame: Frame, path: dict[str, str]) -> Planned:
    operation = filled.operation
    body = None
    if operation.body is not None and (filled.body or operation.body.schema.required):
        body = [filled.body] if operation.body.schema.type == "array" else dict(filled.body)
    every = frame.every and operation.list_shape is not None and frame.limit is None
    return Planned(operation, path, tuple(filled.query), body, every=every)
