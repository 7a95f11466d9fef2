"""Compiles Clerk's OpenAPI documents to facts: ``python -m clerk_jobs.catalog.compile FOLDER [FILE]``.

FOLDER holds the documents, one a version, named ``YYYY-MM-DD.yml``. Only facts come out: names, types and
bounds. Descriptions, summaries and examples stay behind. The result depends on the documents' content
alone.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from clerk_jobs.catalog.facts import FACTS_FILE, Facts, Interner, pack_facts
from clerk_jobs.catalog.phrase import phrase_of, words_of
from clerk_jobs.errors import ClerkBatchError

__all__ = ["SpecError", "compile_documents", "compile_folder", "parse_document"]

METHODS: Final = ("get", "post", "put", "patch", "delete")
MAX_REFERENCES: Final = 32
"""References that lead to each other before they reach something."""
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
# Copied as they are; the same names are used in the facts. A flag that is false says nothing.
_VALUES: Final = (
    "type", "format", "enum", "default", "pattern", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "required",
)  # fmt: skip
_FLAGS: Final = ("nullable", "deprecated", "exclusiveMinimum", "uniqueItems")


class SpecError(ClerkBatchError):
    """A file is not an OpenAPI document that the catalogue can be made from."""


def parse_document(text: str, where: str) -> Mapping[str, Any]:
    """One OpenAPI document, parsed.

    Args:
        where: names the text in error messages.

    Raises:
        SpecError: it is no YAML, has no operations, or does not name its version as a date.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(text, Loader=loader)  # noqa: S506 (both are safe loaders)
    except yaml.YAMLError as error:
        raise SpecError(f"{where} is not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict) or not document["paths"]:
        raise SpecError(f"{where} is not an OpenAPI document: it has no paths")
    info = document.get("info")
    if not isinstance(info, dict) or not _VERSION.fullmatch(str(info.get("version", ""))):
        raise SpecError(f"{where} does not name its version as a date in info.version")
    return document


def compile_folder(folder: Path) -> Facts:
    """The facts of every ``*.yml`` document in a folder.

    Raises:
        SpecError: there is none, or one of them cannot be used.
    """
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise SpecError(f"{folder} holds no OpenAPI document (*.yml)")
    return compile_documents(parse_document(file.read_text(encoding="utf-8"), file.name) for file in files)


def compile_documents(documents: Iterable[Mapping[str, Any]]) -> Facts:
    """The facts of several documents, what they share stored once.

    Raises:
        SpecError: an operation or a reference is not as OpenAPI has it.
    """
    facts = Facts.empty()
    pools = {name: Interner(getattr(facts, name)) for name in ("schemas", "parameters", "responses", "operations")}
    for document in sorted(documents, key=lambda d: str(d["info"]["version"])):
        version = str(document["info"]["version"])
        try:
            facts.versions[version] = [*_Compiler(document, pools).operations()]
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise SpecError(f"the document of version {version} is not as expected: {error!r}") from error
    return facts


class _Compiler:
    """Reads one document into pools that all documents share."""

    def __init__(self, document: Mapping[str, Any], pools: Mapping[str, Interner]) -> None:
        self._document = document
        self._pools = pools
        self._components: dict[str, dict[str, Any]] = {}

    def operations(self) -> Iterator[int]:
        for path, members in self._document["paths"].items():
            shared = members.get("parameters", [])
            for method in METHODS:
                if method in members:
                    yield self._pools["operations"].add(self._operation(method.upper(), path, members[method], shared))

    def _operation(self, method: str, path: str, source: Mapping[str, Any], shared: list[Any]) -> dict[str, Any]:
        name = str(source["operationId"])
        tags = [str(tag) for tag in source["tags"]]
        group = source.get("x-speakeasy-group", "_".join(words_of(tags[0].replace(" ", ""))).lower())
        record: dict[str, Any] = {
            "method": method,
            "path": path,
            "id": name,
            "tags": tags,
            "parameters": [self._parameter(p) for p in [*shared, *source.get("parameters", [])]],
            "responses": [
                self._response(status, source["responses"][status])
                for status in sorted(source["responses"], key=str)
                if str(status).isdecimal()
            ],
            "phrase": phrase_of(method, path, name),
            "sdk": f"{group}.{source.get('x-speakeasy-name-override', name)}",
        }
        if source.get("deprecated"):
            record["deprecated"] = True
        if "requestBody" in source:
            record["body"] = self._body(self._resolved(source["requestBody"])[0])
        return record

    def _parameter(self, source: Mapping[str, Any]) -> int:
        resolved, _ = self._resolved(source)
        record: dict[str, Any] = {
            "name": resolved["name"],
            "in": resolved["in"],
            "required": bool(resolved.get("required", False)),
            "schema": self._schema(resolved.get("schema", {})),
        }
        if resolved.get("deprecated"):
            record["deprecated"] = True
        if resolved.get("explode") is False:
            record["explode"] = False
        return self._pools["parameters"].add(record)

    def _body(self, source: Mapping[str, Any]) -> dict[str, Any]:
        media_type, content = next(iter(source["content"].items()))
        return {
            "required": bool(source.get("required", False)),
            "media": media_type,
            "schema": self._schema(content.get("schema", {})),
        }

    def _response(self, status: object, source: Mapping[str, Any]) -> int:
        resolved, component = self._resolved(source)
        record: dict[str, Any] = {"status": int(str(status))}
        if component is not None:
            record["component"] = component
        content = resolved.get("content", {}).get("application/json")
        if content is not None and "schema" in content:
            record["schema"] = self._schema(content["schema"])
        return self._pools["responses"].add(record)

    def _schema(self, source: Mapping[str, Any]) -> int:
        return self._stored(self._flat(source))

    def _stored(self, flat: Mapping[str, Any]) -> int:
        """Stores a flat schema, children first, so that a schema's number is greater than its children's."""
        record = dict(flat)
        if "properties" in flat:
            record["properties"] = [[name, self._stored(child)] for name, child in flat["properties"].items()]
        for key in ("oneOf", "anyOf"):
            if key in flat:
                record[key] = [self._stored(child) for child in flat[key]]
        for key in ("items", "additional"):
            if isinstance(flat.get(key), dict):
                record[key] = self._stored(flat[key])
        if isinstance(flat.get("additional"), bool):
            record["closed"] = not record.pop("additional")
        return self._pools["schemas"].add(record)

    def _flat(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """The schema with references resolved and ``allOf`` merged, children too."""
        resolved, component = self._resolved(source)
        if component is not None:
            if component not in self._components:
                # Stands in for the schema while it is being read: a schema that holds itself ends here.
                self._components[component] = {"component": component}
                self._components[component] = {**self._flat(resolved), "component": component}
            return self._components[component]
        flat = {key: resolved[key] for key in _VALUES if resolved.get(key) is not None}
        flat |= {key: True for key in _FLAGS if resolved.get(key)}
        if "properties" in resolved:
            flat["properties"] = {name: self._flat(child) for name, child in resolved["properties"].items()}
        if "items" in resolved:
            flat["items"] = self._flat(resolved["items"])
        additional = resolved.get("additionalProperties")
        if additional is not None:
            flat["additional"] = self._flat(additional) if isinstance(additional, dict) else bool(additional)
        for key in ("oneOf", "anyOf"):
            if key in resolved:
                flat[key] = [self._flat(child) for child in resolved[key]]
        if "discriminator" in resolved:
            flat["discriminator"] = resolved["discriminator"]["propertyName"]
        return _merged([*map(self._flat, resolved.get("allOf", []))], _without_wrapper(flat))

    def _resolved(self, source: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
        """What a reference points to, and the last name on the way there."""
        component = None
        for _ in range(MAX_REFERENCES):
            if "$ref" not in source:
                return source, component
            target: Any = self._document
            for step in str(source["$ref"]).removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            component = str(source["$ref"]).rpartition("/")[2]
            source = target
        raise ValueError(f"the reference to {component} leads in a circle")


def _without_wrapper(flat: dict[str, Any]) -> dict[str, Any]:
    """A ``oneOf`` of a single schema says no more than that schema, beside being nullable."""
    alternatives = flat.get("oneOf", [])
    if len(alternatives) != 1:
        return flat
    rest = {key: value for key, value in flat.items() if key not in ("oneOf", "discriminator")}
    return {**alternatives[0], **rest}


def _merged(parts: list[dict[str, Any]], own: dict[str, Any]) -> dict[str, Any]:
    """One schema that says what ``parts`` and ``own`` say together; what is said later holds."""
    if not parts:
        return own
    merged: dict[str, Any] = {}
    for part in [*parts, own]:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = list(dict.fromkeys([*merged.get("required", []), *part.get("required", [])]))
        merged |= part
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
    if len(parts) > 1 or "properties" in own:
        merged.pop("component", None)
    return merged


def main(arguments: list[str] | None = None) -> int:
    """Compiles a folder of documents into the package's own facts, or into another file."""
    parser = argparse.ArgumentParser(prog="python -m clerk_jobs.catalog.compile", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the documents are (*.yml)")
    parser.add_argument("file", type=Path, nargs="?", default=FACTS_FILE, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        facts = compile_folder(options.folder)
    except (SpecError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (this is a command)
        return 2
    options.file.write_bytes(pack_facts(facts))
    for version, numbers in facts.versions.items():
        print(f"{version}: {len(numbers)} operations")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
