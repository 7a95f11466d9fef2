"""Writing metadata: merged deeply, or replaced field by field; at most 8 KB a field."""

from collections.abc import Mapping

import orjson

from .errors import refusal
from .fields import Fields, read_object
from .shelf import Record

METADATA_BYTES = 8192


def merged(record: Record, body: object, fields: Fields) -> Record:
    """A record with the metadata of a body merged into it.

    Raises:
        RefusalError: 422 where a field is unknown, no object, or too large once merged.
    """
    for name, value in read_object(body, fields).items():
        assert isinstance(value, dict)
        record[name] = merge(record.get(name) or {}, value)
        check_size(name, record[name])
    return record


def replaced(record: Record, body: object, fields: Fields) -> Record:
    """A record with each metadata field that a body gives in place of the former one.

    Raises:
        RefusalError: 422 where a field is unknown, no object, or too large.
    """
    for name, value in read_object(body, fields).items():
        check_size(name, value)
        record[name] = value
    return record


def check_size(name: str, metadata: object) -> None:
    """Refuse metadata above 8 KB, counted as compact JSON, each field by itself.

    Raises:
        RefusalError: 422 form_param_exceeds_allowed_size.
    """
    if len(orjson.dumps(metadata)) > METADATA_BYTES:
        raise refusal(
            422,
            "form_param_exceeds_allowed_size",
            "is too large",
            f"{name} must not take more than {METADATA_BYTES} bytes",
            param_name=name,
        )


def merge(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    """Merge metadata deeply: objects are merged, null removes a key, anything else replaces.

    Example:
        >>> merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None, "e": 4}, "d": [5]})
        {'a': {'c': 2, 'e': 4}, 'd': [5]}
    """
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = merge(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged
