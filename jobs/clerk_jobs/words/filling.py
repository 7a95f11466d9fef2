"""Puts what a sentence names into an operation's path, query and body, and tells what was left over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from clerk_jobs.catalog import Json, Operation, Parameter, Schema
from clerk_jobs.catalog.check import parse_text
from clerk_jobs.words.frame import Frame
from clerk_jobs.words.lexicon import FILLERS, NOUNS, PREPOSITIONS, singular
from clerk_jobs.words.people import is_name
from clerk_jobs.words.profile import kind_of_parameter, profile_of
from clerk_jobs.words.sentence import VALUE

__all__ = ["Filled", "fill", "named_value"]

_FIELD_NAMES: Final[Mapping[str, str]] = {
    "name": r"called|named|titled|with (?:the )?name|(?:new )?name(?! )|name",
    "external_id": r"external[ _]?id",
    "username": r"user ?name",
    "max_allowed_memberships": r"max(?:imum)?(?: allowed)? member(?:ship)?s|member(?:ship)? limit|seat limit|seats",
    "expires_in_days": r"expires in days",
    "first_name": r"first[ _]?name|given name",
    "last_name": r"last[ _]?name|surname|family name",
    "description": r"description|described as",
    "primary_email_address_id": r"primary e-?mail(?: address)?",
    "primary_phone_number_id": r"primary phone(?: number)?",
    "email_address_query": r"(?:e-?mail(?: address)?(?:es)?) (?:containing|contains|like|ending (?:in|with)|at)",
    "name_query": r"(?:named|called|with (?:the )?name)",
    "role_set_key": r"role set",
}
"""How a field is named in a sentence, where its own name in words is not enough."""

_LINK: Final = r"(?: (?:to|is|as|of|be|should be|=|:))?"
_WORD: Final = r"[^\s<>,;?!]+"
_LENGTHS: Final = {"expires_in_seconds": 1, "seconds_until_expiration": 1, "expires_in_days": 86_400, "lifetime": 1,
                   "default_token_ttl": 1, "previous_token_ttl": 1}  # fmt: skip
_NO_NAME: Final = FILLERS | PREPOSITIONS | {"and", "with", "called", "named", "id", "org", "sent", "please"}
_KNOWN_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "enrollment_mode": ("manual_invitation", "automatic_invitation", "automatic_suggestion", "enterprise_sso"),
}
"""Values of fields whose schema is just text."""

_SHORT_FLAGS: Final = frozenset({"verified", "primary", "notify", "banned", "hibp", "allowlist", "blocklist"})
_OFF: Final = frozenset({"turn off", "switch off", "disable", "remove", "unset"})
_ON: Final = frozenset({"turn on", "switch on", "enable", "allow"})
_SEARCHING: Final = "for|matching|like|containing|about|named|called"


@dataclass
class Filled:
    """An operation with what the sentence gives it.

    Attributes:
        used: marks of the values that it took.
        taken: words that it took.
        users: several users of whom each is one call, where the path takes one.
    """

    operation: Operation
    path: dict[str, str] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    body: dict[str, Json] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    repeated: tuple[str, tuple[str, ...]] | None = None

    def missing_path(self) -> list[str]:
        """Path parameters without a value."""
        return [p.name for p in self.operation.path_parameters if p.name not in self.path]

    def missing_fields(self) -> list[str]:
        """Fields of the body that are demanded and not there."""
        if self.operation.body is None:
            return []
        schema = self.operation.body.schema
        return [name for name in (schema.items or schema).required if name not in self.body]

    def missing_query(self) -> list[str]:
        """Query parameters that are demanded and not there."""
        given = {name for name, _ in self.query}
        return [p.name for p in self.operation.query_parameters if p.required and p.name not in given]


def fill(operation: Operation, frame: Frame) -> Filled:
    """An operation with everything that the sentence gives it."""
    filled = Filled(operation)
    marks = re.findall(VALUE, frame.sentence.text)
    _fill_path(filled, frame, marks)
    if operation.body is not None:
        schema = operation.body.schema
        fields = schema.items if schema.type == "array" and schema.items is not None else schema
        _fill_fields(filled, frame, marks, fields)
    _fill_query(filled, frame, marks)
    return filled


def named_value(frame: Frame, name: str) -> tuple[str, str] | None:
    """The value that follows a field's name in the sentence: the mark or word, and what it means."""
    pattern = _FIELD_NAMES.get(name, re.escape(name).replace("_", "[ _-]"))
    for pair in frame.sentence.values("pair"):
        if pair.what.lower().replace("-", "_") == name or re.fullmatch(pattern, pair.what, re.IGNORECASE):
            return pair.text, pair.text
    owner = rf"(?: (?:of|for|on) {VALUE})?"
    found = frame.sentence.search(rf"(?:{pattern}){owner}{_LINK} ({VALUE}|{_WORD})")
    if found is None and name == "name":
        found = _name_after_thing(frame)
    if found is None:
        return None
    value = found[found.lastindex or 1]
    if value.lower() in _NO_NAME or (name != "name" and singular(value.lower()) in NOUNS):
        return None
    return value, frame.sentence.meant(value)


def _name_after_thing(frame: Frame) -> re.Match[str] | None:
    """ "create organization Acme Corp for …": what stands after the thing that is created, in capitals or alone."""
    if frame.actions[:1] != ("create",) or not frame.nouns:
        return None
    thing = "|".join(re.escape(name) for name, noun in NOUNS.items() if noun == frame.nouns[0])
    found = frame.sentence.search(rf"(?:{thing}) ((?-i:[A-Z0-9][\w&'.-]*(?: [A-Z0-9&][\w&'.-]*)*)|{_WORD})")
    return found if found is not None and is_name(found[1].split()[0]) else None


def _fill_path(filled: Filled, frame: Frame, marks: Iterable[str]) -> None:
    operation = filled.operation
    for parameter in operation.path_parameters:
        kind = kind_of_parameter(operation.path, parameter.name)
        fitting = [mark for mark in marks if mark not in filled.used and _is_id(frame, mark, kind)]
        if fitting:
            filled.path[parameter.name] = frame.sentence.token(fitting[0]).text
            filled.used.add(fitting[0])
            rest = [frame.sentence.token(mark).text for mark in fitting[1:]]
            if rest and parameter is operation.path_parameters[-1] and filled.repeated is None:
                filled.repeated = (parameter.name, (filled.path[parameter.name], *rest))
                filled.used.update(fitting[1:])
        elif parameter.schema.enum or parameter.name in ("provider", "slug", "template_name", "role_set_key_or_id"):
            _fill_named(filled, frame, parameter)


def _fill_named(filled: Filled, frame: Frame, parameter: Parameter) -> None:
    """A path parameter that is no id: a kind of template, a provider, a key."""
    words = frame.sentence.words()
    for choice in parameter.schema.enum:
        if str(choice) in words:
            filled.path[parameter.name] = str(choice)
    if parameter.name == "provider":
        known = next((word for word in words if word in ("google", "github", "facebook", "apple", "microsoft")), None)
        if known is not None:
            filled.path[parameter.name] = f"oauth_{known}"
    elif parameter.name not in filled.path:
        for mark in re.findall(VALUE, frame.sentence.text):
            if frame.sentence.token(mark).kind == "quoted" and mark not in filled.used:
                filled.path[parameter.name] = frame.sentence.token(mark).text
                filled.used.add(mark)
                break


def _is_id(frame: Frame, mark: str, kind: str) -> bool:
    token = frame.sentence.token(mark)
    if token.kind != "id" or not kind:
        return False
    # The invitations of an organization have been given both prefixes.
    return token.what == kind or {token.what, kind} == {"invitation", "organization_invitation"}


def _fill_fields(filled: Filled, frame: Frame, marks: list[str], schema: Schema) -> None:
    for name, child in schema.properties.items():
        if name.endswith("_metadata") or name in filled.body:
            continue
        value = _field_value(filled, frame, marks, name, child)
        if value is not None:
            filled.body[name] = value
    # A flag is set by its words, after everything else has taken its own.
    for name, child in schema.properties.items():
        if child.type == "boolean" and name not in filled.body:
            flag = _flag(frame, name)
            if flag is not None:
                filled.body[name] = flag


def _field_value(filled: Filled, frame: Frame, marks: list[str], name: str, schema: Schema) -> Json:
    value: Json = None
    given = named_value(frame, name) if schema.type not in ("boolean", "object") else None
    if name == "role" and frame.role:
        filled.used.update(mark for mark in marks if frame.sentence.token(mark).kind == "role")
        value = frame.role
    elif name in _LENGTHS and frame.length_s is not None:
        value = frame.length_s // _LENGTHS[name]
    elif given is not None and not _is_foreign(frame, name, given[0]):
        filled.used.update(mark for mark in marks if mark == given[0])
        filled.taken.update({*name.split("_"), given[1].lower()})
        value = _typed(schema, given[1])
    else:
        form = _form_of(filled.operation, name)
        fitting = [mark for mark in marks if mark not in filled.used and _fits(frame, mark, form)]
        taken = fitting if schema.type == "array" else fitting[:1]
        texts = [frame.sentence.token(mark).text for mark in taken]
        filled.used.update(taken)
        value = (texts if schema.type == "array" else texts[0]) if texts else _choice(filled, frame, schema, name)
    return value


def _is_foreign(frame: Frame, name: str, mark: str) -> bool:
    """Whether a value that stands after a field's name is plainly something else, as an id after "name"."""
    if not re.fullmatch(VALUE, mark):
        return False
    kind = frame.sentence.token(mark).kind
    if kind == "id":
        return not name.endswith(("_id", "_by", "subject", "key"))
    return (kind == "email") != (name in ("email_address", "identifier", "support_email", "from_email_address"))


def _form_of(operation: Operation, name: str) -> str:
    """What a value of a field looks like: a kind of token, or ``id:`` and the kind of thing."""
    singular_name = singular(name)
    forms = {
        "email_address": "email", "identifier": "email,phone,domain,quoted", "phone_number": "phone", "url": "url",
        "redirect_url": "url", "home_url": "url", "proxy_url": "url", "user_id": "id:user", "created_by": "id:user",
        "key": "role", "domain": "domain", "subject": "id:user,id:organization,id:machine",
    }  # fmt: skip
    if singular_name in forms:
        return forms[singular_name]
    if name == "name":
        core = profile_of(operation).core
        return "domain" if "domain" in core else "quoted"
    kind = kind_of_parameter(operation.path, name)
    return f"id:{kind}" if kind and name not in ("inviter_user_id", "requesting_user_id", "uploader_user_id") else ""


def _fits(frame: Frame, mark: str, form: str) -> bool:
    token = frame.sentence.token(mark)
    return any(
        (token.kind == "id" and part == f"id:{token.what}") or (token.kind == part) for part in form.split(",") if part
    )


def _typed(schema: Schema, text: str) -> Json:
    if schema.type == "array":
        inner: Json = [parse_text(schema.items or Schema(type="string"), text)]
        return inner
    if schema.type == "object":
        try:
            parsed: Json = json.loads(text)
        except ValueError:
            return text
        return parsed
    return parse_text(schema, text)


def _choice(filled: Filled, frame: Frame, schema: Schema, name: str) -> Json:
    """A value of an enumeration that stands in the sentence as it is, or with blanks for its underscores."""
    choices = schema.enum or (schema.items.enum if schema.items is not None else ()) or _KNOWN_VALUES.get(name, ())
    for choice in choices:
        if not isinstance(choice, str) or len(choice) <= 2 or choice.replace("_", " ") in NOUNS:
            continue
        if frame.sentence.has(re.escape(choice).replace("_", "[ _-]")):
            filled.taken.update(choice.split("_"))
            return [choice] if schema.type == "array" else choice
    return None


def _flag(frame: Frame, name: str) -> bool | None:
    """Whether a flag's words all stand in the sentence, and which way: off where the verb says so."""
    words = {_stem(word) for word in (*frame.sentence.words(), *frame.verb.split())}
    words |= {_stem(part) for noun in frame.nouns for part in noun.split("_")}
    wanted = [_stem(word) for word in name.removesuffix("_enabled").split("_")]
    if len(wanted) < 2 and name not in _SHORT_FLAGS:
        return None
    off = frame.verb in _OFF or frame.sentence.has("not|no|off|false")
    if wanted[0] == "block" and "block" not in words:
        # To switch off what a flag blocks is to switch on the flag.
        return off if set(wanted[1:]) <= words and frame.verb in _OFF | _ON else None
    return not off if set(wanted) <= words else None


def _stem(word: str) -> str:
    one = singular(word.lower())
    return re.sub(r"(?:ing|ed)$", "", one) if len(one) > 5 else one


def _fill_query(filled: Filled, frame: Frame, marks: list[str]) -> None:
    operation = filled.operation
    for parameter in operation.query_parameters:
        name = parameter.name
        if name in ("limit", "offset", "paginated", "order_by", "query", "starting_after", "type"):
            continue
        values = _query_values(filled, frame, marks, parameter)
        filled.query += [(name, value) for value in values]
    _fill_search(filled, frame, marks)
    _fill_page(filled, frame)


def _fill_search(filled: Filled, frame: Frame, marks: list[str]) -> None:
    """What is left over and may be a name is searched for, where the operation can search."""
    operation = filled.operation
    left = [mark for mark in marks if mark not in filled.used]
    for mark in left:
        kind = frame.sentence.token(mark).kind
        name = "email_address_query" if kind == "domain" and operation.parameter("email_address_query") else "query"
        if kind in ("quoted", "domain", "email") and operation.parameter(name) is not None:
            filled.query.append((name, frame.sentence.token(mark).text))
            filled.used.add(mark)
            return
    if operation.parameter("query") is None or left or not (frame.actions or frame.sentence.has(_SEARCHING)):
        return
    found = frame.sentence.search(rf"(?:{_SEARCHING}) ({_WORD}(?: [A-Z]{_WORD})*)")
    words = [found[1]] if found is not None else [word for word in frame.left_words() if word not in filled.taken]
    if len(words) == 1 and is_name(words[0].split()[0]) and not words[0].startswith("<"):
        filled.query.append(("query", words[0]))
        filled.taken.add(words[0].lower())


def _query_values(filled: Filled, frame: Frame, marks: list[str], parameter: Parameter) -> list[str]:
    name, schema = parameter.name, parameter.schema
    if frame.span is not None and name in (f"{frame.when}_after", f"{frame.when}_before"):
        moment = frame.span.after_ms if name.endswith("_after") else frame.span.before_ms
        return [] if moment is None else [str(moment)]
    if name == "role" and frame.role:
        filled.used.update(mark for mark in marks if frame.sentence.token(mark).kind == "role")
        return [frame.role]
    if schema.type == "boolean":
        word = frame.sentence.search(rf"(?:(not|un|non)[ -]?)?{re.escape(name)}")
        if word is not None:
            filled.taken.add(name)
        return [] if word is None else ["false" if word[1] else "true"]
    form = _form_of(filled.operation, name)
    fitting = [mark for mark in marks if mark not in filled.used and _fits(frame, mark, form)] if form else []
    if fitting:
        several = fitting if schema.type == "array" else fitting[:1]
        filled.used.update(several)
        return [frame.sentence.token(mark).text for mark in several]
    given = named_value(frame, name) if name not in ("status", "provider") else None
    if given is not None and not _is_foreign(frame, name, given[0]):
        filled.used.update(mark for mark in marks if mark == given[0])
        filled.taken.update({*name.split("_"), given[1].lower()})
        return [given[1]]
    choice = _choice(filled, frame, schema, name)
    return [str(choice if not isinstance(choice, list) else choice[0])] if choice is not None else []


def _fill_page(filled: Filled, frame: Frame) -> None:
    operation = filled.operation
    if operation.list_shape is None:
        return
    if frame.order and operation.parameter("order_by") is not None:
        filled.query.append(("order_by", frame.order))
    if frame.limit is not None and operation.page_maximum is not None:
        filled.query.append(("limit", str(frame.limit)))
    if frame.offset is not None and operation.parameter("offset") is not None:
        filled.query.append(("offset", str(frame.offset)))
