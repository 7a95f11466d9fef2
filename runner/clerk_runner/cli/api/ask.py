"""``api ask``: a sentence becomes calls, which are shown with the reasons, and then go the way of ``api call``."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import click

from clerk_jobs.catalog import Json
from clerk_jobs.catalog.prepare import CallRefusedError, Inputs, missing, prepare
from clerk_jobs.words import Planned, Question, Topic, Unclear, Understood, understand
from clerk_runner.cli.api import prompt
from clerk_runner.cli.api.options import CallOptions, call_options, gather
from clerk_runner.cli.api.output import write_json
from clerk_runner.cli.api.session import CallSession, refusal
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.text import examples, plain
from clerk_runner.errors import Exit, UsageError
from clerk_runner.explore.code import as_command
from clerk_runner.explore.search import nearby

__all__ = ["ask"]

_HOW = re.compile(r"\s*how (?:to|(?:do|can|could|would|should|may|must) (?:i|we|you|one))\s+", re.IGNORECASE)
"""Begins a question after the way, which is no request to go it."""

_CARRIED = re.compile(r"\{(\d+)\.id\}")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=examples("api ask get user john_doe", "api ask users created in the last 7 days --explain"),
)
@click.argument("words", nargs=-1, required=True)
@click.option("--explain", is_flag=True, help="Show what is understood, send nothing.")
@call_options
@click.pass_context
def ask(context: click.Context, words: Sequence[str], options: CallOptions, *, explain: bool) -> int:
    """Say what you want in words: "get user john_doe", "users created in the last 7 days".

    Shows the call it understood, and why, before it sends it; a write asks first, as `api call` does. When the words
    fit several calls, it asks which one. Rules on this machine match the words; they are sent nowhere.
    """
    state: ApiState = context.obj
    text = " ".join(words)
    asks_how = _HOW.match(text)
    understood = understand(text[asks_how.end() :] if asks_how else text, state.catalog, int(time.time() * 1000))
    if isinstance(understood, Topic):
        return _topic(context, understood)
    if isinstance(understood, Unclear):
        raise UsageError(understood.text, code="not_understood", hint=nearby(state.catalog, words))
    if isinstance(understood, Question):
        understood = _answered(understood)
    if explain and options.as_json:
        write_json({"calls": [_call_json(call) for call in understood.calls], "reasons": list(understood.reasons)})
        return Exit.DONE
    for number, call in enumerate(understood.calls, 1):
        click.echo(plain(f"{number}. {_line(call)}" if len(understood.calls) > 1 else _line(call)), err=True)
    for reason in understood.reasons:
        click.echo(plain(f"   {reason}"), err=True)
    if not asks_how:
        return Exit.DONE if explain else _Asked(state, options).make(understood.calls)
    for name in dict.fromkeys(call.operation.operation_id for call in understood.calls):
        click.echo(f"   clerk-batch api show {name}", err=True)
    return Exit.DONE


class _Asked:
    """Makes the calls of one sentence, carrying ids from one to the next."""

    def __init__(self, state: ApiState, options: CallOptions) -> None:
        self._options = options
        self._session = CallSession(state, options, os.environ)
        self._ids: list[str] = []

    def make(self, calls: Sequence[Planned]) -> int:
        """Make them all; returns the exit code of the first that does not succeed."""
        planned = [self._with_options(call, last=call is calls[-1]) for call in calls]
        self._refuse_early(calls, planned)
        for number, (call, inputs) in enumerate(zip(calls, planned, strict=True)):
            looked_up = number + 1 < len(calls) and call.operation.list_shape is not None
            self._session.quiet = looked_up
            self._session.every = call.every
            code = self._session.perform(call.operation, self._carried(inputs))
            if code != Exit.DONE:
                return code
            if not self._options.sends:
                self._ids.append(f"ID_OF_ANSWER_{number + 1}")
            elif looked_up:
                self._ids.append(self._only_row(call))
            else:
                self._ids.append(_id_of(self._session.answer))
            if not looked_up:
                self._offer(call)
        return Exit.DONE

    def _with_options(self, call: Planned, *, last: bool) -> Inputs:
        """What was understood, and for the last call what the options say besides."""
        if not last:
            return Inputs(call.path, call.query, call.body)
        inputs = gather(call.operation, call.path, call.query, self._options)
        if inputs.body is None or call.body is None:
            return replace(inputs, body=call.body if inputs.body is None else inputs.body)
        if isinstance(inputs.body, Mapping) and isinstance(call.body, Mapping):
            return replace(inputs, body={**call.body, **inputs.body})
        return inputs

    def _refuse_early(self, calls: Sequence[Planned], planned: Sequence[Inputs]) -> None:
        """Refuse what cannot work before anything is sent, so that no sentence is done by half."""
        for call, inputs in zip(calls, planned, strict=True):
            path = {name: _CARRIED.sub("carried", value) for name, value in inputs.path.items()}
            if prompt.interactive() and missing(call.operation, inputs):
                continue
            try:
                prepare(call.operation, replace(inputs, path=path), check=self._options.check)
            except CallRefusedError as error:
                raise refusal(call.operation, error) from error
        if self._options.sends:
            self._session.require([call.operation for call in calls])

    def _carried(self, inputs: Inputs) -> Inputs:
        path = {name: self._fill(value) for name, value in inputs.path.items()}
        return replace(inputs, path=path, body=self._fill_in(inputs.body))

    def _fill(self, text: str) -> str:
        return _CARRIED.sub(lambda found: self._ids[int(found[1]) - 1], text)

    def _fill_in(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._fill(value)
        if isinstance(value, Mapping):
            return {name: self._fill_in(one) for name, one in value.items()}
        return [self._fill_in(one) for one in value] if isinstance(value, list) else value

    def _only_row(self, call: Planned) -> str:
        """The id of the one that was looked up.

        Raises:
            UsageError: there is none, or there are several: nothing is written to anybody by guess.
        """
        shape = call.operation.list_shape
        rows = (shape.rows(self._session.answer) if shape is not None else None) or ()
        if len(rows) == 1:
            return _id_of(rows[0])
        found = f"{len(rows)} fit" if rows else "nobody fits"
        raise UsageError(
            f"{found}, so nothing was written",
            code="target_unclear",
            hint=f"find the id first: {_command(_with_fallback(call) if not rows else call)}",
        )

    def _offer(self, call: Planned) -> None:
        """Where nobody was found by a name, offer to search for it everywhere."""
        shape = call.operation.list_shape
        if not call.fallback or not self._options.sends or shape is None or shape.rows(self._session.answer):
            return
        wider = _with_fallback(call)
        click.echo(plain(f"Nobody has that name. Perhaps: {_command(wider)}"), err=True)
        if prompt.interactive() and prompt.ask_yes("Search for it?"):
            self._session.perform(wider.operation, Inputs(wider.path, wider.query))


def _topic(context: click.Context, topic: Topic) -> int:
    from clerk_runner.cli.limits import limits  # noqa: PLC0415 (another command, and seldom)

    click.echo(f"clerk-batch {topic.command}", err=True)
    context.invoke(limits)
    return Exit.DONE


def _answered(question: Question) -> Understood:
    """The choice that somebody makes.

    Raises:
        UsageError: nobody can be asked, or nothing was chosen.
    """
    lines = [
        " then ".join(_line(call) for call in choice.calls) + f"  ({'; '.join(choice.reasons)})"
        for choice in question.choices
    ]
    if prompt.interactive():
        click.echo(plain(question.text), err=True)
        chosen = prompt.ask_choice("Which one", [plain(line) for line in lines])
        if chosen is not None:
            return question.choices[chosen]
    hint = "\n  ".join([*lines, "say it more exactly, or use clerk-batch api call"])
    raise UsageError(question.text, code="ambiguous", hint=hint)


def _line(call: Planned) -> str:
    body = "" if call.body is None else f" {_short(call.body)}"
    return f"{call.operation.phrase}: {call}{body}"


def _short(body: Json) -> str:
    import json  # noqa: PLC0415 (small, and only here)

    return json.dumps(body, ensure_ascii=False)


def _call_json(call: Planned) -> dict[str, Json]:
    return {
        "operation": call.operation.operation_id,
        "method": call.operation.method,
        "path": str(call).split(" ", 1)[1].partition("?")[0],
        "query": [list(pair) for pair in call.query],
        "body": call.body,
        "all": call.every,
    }


def _with_fallback(call: Planned) -> Planned:
    return replace(call, query=call.fallback or call.query)


def _command(call: Planned) -> str:
    return as_command(prepare(call.operation, Inputs(call.path, call.query, call.body), check=False))


def _id_of(answer: Json) -> str:
    found = answer.get("id") if isinstance(answer, Mapping) else None
    return found if isinstance(found, str) else ""
