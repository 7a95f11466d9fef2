"""``api browse``: tags, operations, detail, fill in, confirm, call, without leaving the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import click

from clerk_jobs.catalog import Operation, Schema
from clerk_jobs.catalog.check import check_value, parse_text
from clerk_jobs.catalog.prepare import Inputs
from clerk_runner.cli.api import prompt
from clerk_runner.cli.api.options import CallOptions, call_options, with_fields
from clerk_runner.cli.api.output import write_sections
from clerk_runner.cli.api.picker import ask_value, pick
from clerk_runner.cli.api.session import CallSession
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.text import examples, plain
from clerk_runner.errors import Exit, RunnerError, UsageError
from clerk_runner.explore.shape import bounds_text, type_text
from clerk_runner.explore.sheet import sheet

__all__ = ["browse"]

_Step = Literal["call", "dry-run", "back"]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=examples("api browse", "api browse --dry-run"),
)
@call_options
@click.pass_obj
def browse(state: ApiState, options: CallOptions) -> int:
    """Walk through the tags, look at an operation, fill it in, and call it. Escape goes a step back."""
    if not prompt.interactive():
        raise UsageError(
            "browse needs a terminal", code="no_terminal", hint="clerk-batch api list, clerk-batch api show"
        )
    _Browser(state, options).run()
    return Exit.DONE


class _Browser:
    """Where somebody is in the catalogue."""

    def __init__(self, state: ApiState, options: CallOptions) -> None:
        self._state = state
        self._options = options

    def run(self) -> None:
        """Tags, until somebody goes back from them."""
        tags = self._state.catalog.tags()
        rows = [f"{tag:32} {len(operations)}" for tag, operations in tags.items()]
        while (place := pick(f"Tags of API version {self._state.catalog.version}", rows)) is not None:
            self._tag(list(tags)[place], list(tags.values())[place])

    def _tag(self, tag: str, operations: Sequence[Operation]) -> None:
        width = max(len(one.path) for one in operations)
        rows = [f"{one.method:6} {one.path:{width}}  {one.phrase}" for one in operations]
        while (place := pick(tag, rows)) is not None:
            self._operation(operations[place])

    def _operation(self, operation: Operation) -> None:
        version = self._state.catalog.version
        prose = self._state.library.prose(version).get(operation.operation_id)
        write_sections(sheet(operation, version, prose))
        click.echo()
        steps: list[_Step] = ["call", "dry-run", "back"]
        words = ["Fill it in and call it", "Fill it in and show the request", "Back"]
        place = pick(str(operation), words)
        step = "back" if place is None else steps[place]
        if step != "back":
            self._perform(operation, replace(self._options, dry_run=self._options.dry_run or step == "dry-run"))

    def _perform(self, operation: Operation, options: CallOptions) -> None:
        inputs = self._filled(operation)
        try:
            CallSession(self._state, options, os.environ).perform(operation, inputs)
        except RunnerError as error:
            # What one call ends with does not end the walk.
            click.echo(plain(f"{error}\n  {error.hint}".rstrip(), keep="\n"), err=True)

    def _filled(self, operation: Operation) -> Inputs:
        """What is demanded is asked for, and then whatever else somebody wants to give."""
        path = {one.name: ask_value(one.name, _complaint(one.schema)) or "" for one in operation.path_parameters}
        inputs = Inputs({name: value for name, value in path.items() if value})
        optional: list[tuple[str, str, Schema]] = []
        for parameter in operation.query_parameters:
            if parameter.required:
                inputs = _given(operation, inputs, "query", parameter.name, parameter.schema)
            else:
                optional.append(("query", parameter.name, parameter.schema))
        schema = operation.body.schema if operation.body is not None else Schema()
        for name, child in schema.properties.items():
            if name in schema.required:
                inputs = _given(operation, inputs, "body", name, child)
            else:
                optional.append(("body", name, child))
        return self._with_optional(operation, inputs, optional)

    def _with_optional(self, operation: Operation, inputs: Inputs, optional: list[tuple[str, str, Schema]]) -> Inputs:
        while optional:
            rows = [
                "(done)",
                *(f"{name:36} {type_text(child):24} {bounds_text(child)}" for _, name, child in optional),
            ]
            place = pick("Add another field?", rows)
            if not place:
                break
            where, name, child = optional[place - 1]
            inputs = _given(operation, inputs, where, name, child)
            if child.type != "array":
                del optional[place - 1]
        return inputs


def _given(operation: Operation, inputs: Inputs, place: str, name: str, schema: Schema) -> Inputs:
    value = ask_value(name, _complaint(schema))
    if value is None:
        return inputs
    if place == "query":
        return replace(inputs, query=(*inputs.query, (name, value)))
    return with_fields(operation, inputs, [f"{name}={value}"])


def _complaint(schema: Schema) -> Callable[[str], str]:
    """What is wrong with a text as a value of a schema; arrays take their elements one by one, objects JSON."""
    inner = schema.items if schema.type == "array" and schema.items is not None else schema

    def complain(text: str) -> str:
        if inner.type in (None, "object"):
            return ""
        return "; ".join(finding.message for finding in check_value(inner, parse_text(inner, text)))

    return complain
