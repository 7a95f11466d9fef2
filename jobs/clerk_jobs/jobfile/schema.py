"""The JSON Schema of job files, for editors."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from typing import Any

import msgspec

from clerk_jobs.export.columns import TYPES
from clerk_jobs.jobfile.export_fields import WantedColumn
from clerk_jobs.jobfile.kinds import KINDS, STEP_KINDS
from clerk_jobs.jobfile.steps_job import MOST_STEPS, SHARED, WHOLE
from clerk_jobs.references import STEP_NAME

__all__ = ["job_schema"]

_ATTRIBUTE = re.compile(r"^    (\w+): ((?:.*\n?)(?:(?:        .*)?\n?)*)", re.MULTILINE)


def job_schema() -> dict[str, Any]:
    """Describe job files of every kind in JSON Schema 2020-12.

    It is strict: unknown keys are errors, and a typed field takes its type or a text with a placeholder. What
    depends on several keys (a role without an organization) is only found by loading.
    """
    schema = msgspec.json.schema(functools.reduce(operator.or_, KINDS))
    components: dict[str, Any] = schema["$defs"]
    described: dict[str, str] = {}
    for kind in KINDS:
        component = components[kind.__name__]
        described |= _attributes(kind.__base__.__doc__ if kind.__base__ else None)
        for name in kind.given:
            del component["properties"][name]
            component["required"].remove(name)
    _describe(schema, described)
    components[WantedColumn.__name__] = _column(components[WantedColumn.__name__])
    components["StepsJob"] = _steps_schema(components)
    schema["anyOf"].append({"$ref": "#/$defs/StepsJob"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "clerk-batch job file",
    } | schema


def _column(whole: dict[str, Any]) -> dict[str, Any]:
    """A column as it may be written: a path, ``name: path``, or with its type."""
    whole = whole | {"required": ["path"], "additionalProperties": False}
    whole["properties"]["type"] = {"enum": list(TYPES)}
    for name, words in (("name", "names the column; its path unless given"), ("path", "where the value is, with dots")):
        whole["properties"][name]["description"] = words
    short = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1}
    return {"description": whole.pop("description"), "anyOf": [{"type": "string", "minLength": 1}, short, whole]}


def _steps_schema(components: dict[str, Any]) -> dict[str, Any]:
    """A job with steps: each is one of the kinds, without what is the whole job's, and may have a key."""
    named, whole = {}, components[KINDS[0].__name__]["properties"]
    for kind in STEP_KINDS:
        schema = components[kind.__name__]
        own = {key: value for key, value in schema["properties"].items() if key not in SHARED}
        own["name"] = {"type": "string", "pattern": f"^(?:{STEP_NAME})$", "description": "names the step."}
        own["key"] = {"type": "string", "minLength": 1, "description": "names its rows for later steps."}
        named[kind.__name__] = {**schema, "properties": own}
    steps = {
        "type": "array",
        "items": {"anyOf": list(named.values())},
        "minItems": 1,
        "maxItems": MOST_STEPS,
        "description": "in their order; one begins when all rows of the one before have ended.",
    }
    return {
        "title": "StepsJob",
        "description": "Several jobs after each other, as one run.",
        "type": "object",
        "properties": {"name": whole["name"], **{key: whole[key] for key in WHOLE}, "steps": steps},
        "required": ["name", "steps"],
        "additionalProperties": False,
    }


def _describe(schema: Any, inherited: dict[str, str]) -> None:
    """Move what a model's docstring says of its attributes to the schemas of these attributes."""
    if isinstance(schema, list):
        for each in schema:
            _describe(each, inherited)
    if not isinstance(schema, dict):
        return
    docstring = schema.get("description")
    if isinstance(docstring, str) and "properties" in schema:
        schema["description"] = inspect.cleandoc(docstring).partition("\n")[0]
        words = inherited | _attributes(docstring)
        for name, property_schema in schema["properties"].items():
            if name in words:
                property_schema["description"] = words[name]
    for each in list(schema.values()):
        _describe(each, inherited)


def _attributes(docstring: str | None) -> dict[str, str]:
    _, _, listed = inspect.cleandoc(docstring or "").partition("Attributes:\n")
    return {name: " ".join(words.split()) for name, words in _ATTRIBUTE.findall(listed)}
