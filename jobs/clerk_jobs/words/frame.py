"""What a sentence says that any operation could use: the verb, the things, times, order, number, role.

Each reading takes its words out, so that what is left are names and values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from clerk_jobs.words.lexicon import FILLERS, NOUNS, POLITE, PREPOSITIONS, VERBS, singular
from clerk_jobs.words.sentence import Sentence
from clerk_jobs.words.times import Span, take_length, take_span

__all__ = ["Frame", "find_verb", "read_frame"]

_VERB: Final = "|".join(re.escape(verb) for verb in sorted(VERBS, key=len, reverse=True))
_LONGEST_NOUN: Final = max(len(name.split()) for name in NOUNS)
_EXPIRY: Final = (
    r"expir(?:es?|ing|y|e)(?: in| after)?|valid for|good for|lasting(?: for)?|lasts(?: for)?|ttl(?: of)?|lifetime"
)
_NOT: Final = r"haven['’]?t|hasn['’]?t|have not|has not|not|never|no longer|didn['’]?t|inactive|dormant|without"  # noqa: RUF001
_WHEN: Final = (
    ("last_sign_in_at", r"(?:last )?(?:sign(?:ed|ing)?[- ]?in|logged[- ]?in|log[- ]?ins?|sign[- ]?ins?)"),
    ("last_active_at", r"(?:been )?(?:in)?activ(?:e|ity)|seen|online|dormant"),
    ("created_at", r"(?:were |was |been )?(?:created|signed up|sign up|joined|registered|added|new)"),
)
_ORDERS: Final = (
    (r"most recently active|recently active|latest activity", "-last_active_at"),
    (r"least recently active|longest inactive", "+last_active_at"),
    (r"most recent(?:ly)? (?:signed[- ]in|logged[- ]in|sign[- ]ins?|logins?)|recent(?:ly)? (?:signed|logged)[- ]in",
     "-last_sign_in_at"),
    (r"most recent(?:ly)? updated|recently (?:updated|changed)", "-updated_at"),
    (r"newest|latest|most recent(?:ly)?(?: created)?|recent(?:ly created)?", "-created_at"),
    (r"oldest|earliest", "+created_at"),
    (r"biggest|largest|most members", "-members_count"),
    (r"smallest|fewest members", "+members_count"),
)  # fmt: skip
_ORDER_FIELDS: Final = {
    "members_count": r"members?[ _]counts?|number of members|members|size",
    "created_at": r"creat(?:ion|ed)(?:[ _](?:date|time|at))?|sign[- ]?up date|age|date",
    "updated_at": r"updated(?:[ _]at)?|last update|update date",
    "last_sign_in_at": r"last (?:sign[- ]?in|login)|last_sign_in_at|sign[- ]?in date|login date",
    "last_active_at": r"last activ(?:e|ity)|last_active_at|activity",
    "email_address": r"e-?mail(?:[ _]address)?",
    "phone_number": r"phone(?:[ _]number)?",
    "first_name": r"first[ _]name",
    "last_name": r"last[ _]name|surname",
    "username": r"user ?name",
    "name": r"name|alphabet(?:ically)?",
}
_FIELD: Final = "|".join(f"(?P<{name}>{pattern})" for name, pattern in _ORDER_FIELDS.items())
_KNOWN_ROLES: Final = "admin|administrator|member|basic_member|owner|manager|viewer|editor|guest"
_AMOUNT: Final = (
    r"(?:limit|limited to|max|maximum|at most|up to|no more than|page size)(?: of| to)? (\d+)",
    r"(?:the )?(?:first|top|last|only|next) (\d+)",
    r"(\d+)(?= (?:most|newest|latest|oldest|recent|biggest|largest))",
    r"(?:newest|latest|oldest|recent|biggest|largest) (\d+)",
    r"(\d+) (?:at a time|per page|rows|results|records|entries)",
)


@dataclass
class Frame:
    """A sentence, read.

    Attributes:
        verb: as it was written, in lower case; empty for none.
        actions: what the verb may mean, the likeliest first.
        nouns: the things that are named, in order, and ``noun_words`` the words that name them.
        span: a stretch of time, and ``when`` the field that it is about.
        order: as ``order_by`` has it.
        length_s: how long something shall last.
        role: the key of a role.
    """

    sentence: Sentence
    verb: str = ""
    actions: tuple[str, ...] = ()
    nouns: list[str] = field(default_factory=list)
    noun_words: set[str] = field(default_factory=set)
    span: Span | None = None
    when: str = "created_at"
    limit: int | None = None
    offset: int | None = None
    order: str = ""
    every: bool = False
    length_s: int | None = None
    role: str = ""

    @property
    def names_thing(self) -> bool:
        """Whether it says anything about Clerk at all."""
        return bool(self.nouns) or any(
            token.kind in ("id", "email", "phone", "role") for token in self.sentence.tokens()
        )

    def left_words(self) -> list[str]:
        """Words that nothing has explained."""
        explained = {part for noun in self.nouns for part in noun.split("_")} | self.noun_words
        plain = FILLERS | POLITE | PREPOSITIONS
        words = [word for word in self.sentence.words() if word not in plain]
        return [word for word in words if word not in explained and singular(word) not in explained]


def read_frame(sentence: Sentence, now_ms: int) -> Frame:
    """Read a sentence, taking out what is understood."""
    frame = Frame(sentence)
    frame.length_s = take_length(sentence, _EXPIRY)
    _read_sorting(frame)
    _read_verb(frame)
    _read_times(frame, now_ms)
    _read_amount(frame)
    _read_order(frame)
    frame.every = sentence.take(r"all(?: of)?(?: the)?|every") is not None
    _read_role(frame)
    for thing, words in _nouns(sentence):
        frame.noun_words.update(words)
        if thing not in frame.nouns:
            frame.nouns.append(thing)
    if frame.role and not frame.nouns and (not frame.actions or {"get", "list", "count"} & set(frame.actions)):
        frame.nouns = ["membership"]  # "the admins of org_1" are its members
    return frame


def find_verb(text: str) -> re.Match[str] | None:
    """The first verb in a text, with what may politely stand before it."""
    # "users limit 10" says how many: there it is no verb.
    return re.search(rf"(?<![\w<:-])(?!limit \d)(?:{_VERB})(?![\w>-])", text, re.IGNORECASE)


def _read_verb(frame: Frame) -> None:
    sentence = frame.sentence
    lead = re.match(rf"(?:(?:{'|'.join(map(re.escape, sorted(POLITE)))})[ ,]+)*", sentence.text, re.IGNORECASE)
    start = lead.end() if lead is not None else 0
    found = find_verb(sentence.text[start:])
    if found is None:
        return
    frame.verb = " ".join(found[0].lower().split())
    frame.actions = VERBS[frame.verb]
    # A verb that is a thing too ("allowlist") stays readable as one.
    if frame.verb not in NOUNS:
        sentence.text = (
            f"{sentence.text[:start]}{sentence.text[start:][: found.start()]} {sentence.text[start:][found.end() :]}"
        )
        sentence.text = " ".join(sentence.text.split())


def _read_times(frame: Frame, now_ms: int) -> None:
    sentence = frame.sentence
    if frame.verb and not {"get", "list", "count"} & set(frame.actions):
        return
    when = next((name for name, pattern in _WHEN if sentence.has(pattern)), "created_at")
    frame.span = take_span(sentence, now_ms)
    if frame.span is None:
        return
    frame.when = when
    if when != "created_at" and sentence.take(_NOT) is not None and frame.span.before_ms is None:
        # Not active since then: last active before then.
        frame.span = Span(None, frame.span.after_ms)
    for name, pattern in _WHEN:
        if name == when:
            sentence.take(pattern)
    sentence.take(r"(?:signed|logged)(?: in)?")
    sentence.reasons.append(f"a time, for {frame.when}")


def _read_amount(frame: Frame) -> None:
    if frame.verb and not {"get", "list"} & set(frame.actions):
        return
    skipped = frame.sentence.take(r"(?:offset|skip(?:ping)?|after the first)(?: of)? (\d+)")
    frame.offset = int(skipped[1]) if skipped is not None else None
    for pattern in _AMOUNT:
        found = frame.sentence.search(pattern)
        if found is not None:
            frame.limit = int(found[1])
            kept = found[0].replace(found[1], "", 1)
            # "newest 5" still says which; "first 5" says no more than how many.
            frame.sentence.take(pattern)
            if re.search(r"newest|latest|oldest|recent|biggest|largest|last", kept, re.IGNORECASE):
                word = "newest" if re.search(r"last", kept, re.IGNORECASE) else kept.strip()
                frame.sentence.text = f"{word} {frame.sentence.text}"
            frame.sentence.reasons.append(f"{found[1]} rows")
            return
    found = re.match(r"(?:the )?(\d+) (?=[a-z])", frame.sentence.text, re.IGNORECASE)
    if found is not None:
        frame.limit = int(found[1])
        frame.sentence.text = frame.sentence.text[found.end() :]


def _read_sorting(frame: Frame) -> None:
    """ "sorted by username", "by member count": before the verb, because "count" is one."""
    sentence = frame.sentence
    down = sentence.has(r"desc(?:ending)?|top|most|highest|reversed?|newest first|latest first|z-a|z to a")
    found = sentence.take(
        rf"(?:(?:sort(?:ed)?|order(?:ed)?|rank(?:ed)?|arranged) )?by (?:their |the )?(?:{_FIELD})"
        r"(?: \(?(?P<direction>asc(?:ending)?|desc(?:ending)?)\)?(?: order)?)?"
        r"(?= ?[,.;?!]|$| and | then | limit| first| max)"
    )
    if found is None:
        return
    name = next(key for key in _ORDER_FIELDS if found[key])
    direction = (found["direction"] or "").lower()
    by_default = down or name.endswith(("_count", "_at"))
    descending = direction.startswith("desc") or (by_default and not direction)
    frame.order = f"{'-' if descending else '+'}{name}"
    sentence.reasons.append(f"order {frame.order}")


def _read_order(frame: Frame) -> None:
    sentence = frame.sentence
    if frame.order or (frame.verb and not {"get", "list"} & set(frame.actions)):
        return
    for pattern, order in _ORDERS:
        if sentence.take(rf"(?:the )?(?:{pattern})(?: first)?") is not None:
            frame.order = order
            sentence.reasons.append(f"order {order}")
            return


def _read_role(frame: Frame) -> None:
    sentence = frame.sentence
    if sentence.values("role"):
        frame.role = sentence.values("role")[0].text
        return
    found = sentence.search(r"as (?:an? |the )?(?:org(?:anization)? )?([a-z]\w+)(?= in| of| to|$| ?[,.;!?]| <)")
    if found is not None and (
        re.fullmatch(_KNOWN_ROLES, found[1], re.IGNORECASE) or _in_organization(sentence, found[1])
    ):
        sentence.take(re.escape(found[0]))
        frame.role = f"org:{'admin' if found[1].lower() == 'administrator' else found[1].lower()}"
    if not frame.role:
        found = sentence.search(r"(?:an? |org(?:anization)? )?(admin)(?:istrator)?s?")
        if found is not None and not sentence.has(r"admin portal"):
            sentence.take(r"(?:an? |org(?:anization)? )?admin(?:istrator)?s?(?: role)?")
            frame.role = "org:admin"
    if not frame.role and frame.verb in ("change", "set", "update", "promote", "demote", "make", "upgrade"):
        found = sentence.take(rf"(?:to|into) (?:an? |the )?({_KNOWN_ROLES})(?: role)?")
        frame.role = f"org:{found[1].lower()}" if found is not None else ""
    if frame.role:
        sentence.reasons.append(f"the role {frame.role}")


def _in_organization(sentence: Sentence, word: str) -> bool:
    """Whether an unknown word after "as" can only be a role: an organization is named, and the word is no thing."""
    return bool(sentence.ids("organization")) and word.lower() not in NOUNS


def _nouns(sentence: Sentence) -> Iterator[tuple[str, list[str]]]:
    """The things that are named, with the words that name them; of overlapping names the longest."""
    words = [word.lower() for word in sentence.text.split()]
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_NOUN, len(words) - place), 0, -1):
            piece = words[place : place + length]
            name = " ".join([*piece[:-1], singular(piece[-1])])
            thing = NOUNS.get(name) or NOUNS.get(" ".join(piece))
            if thing is not None:
                yield thing, piece
                place += length - 1
                break
        place += 1
