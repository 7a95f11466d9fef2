"""One call from its inputs to its answer, in the order of the exit codes.

What the user has to mend (2), the key (3), the scopes (3), the schema (2), the confirmation (3), and only then the
send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click

from clerk_jobs.call import Call, Reply
from clerk_jobs.catalog import Catalog, Json, Operation
from clerk_jobs.catalog.prepare import CallRefusedError, Inputs, missing, prepare
from clerk_runner.cli.api import prompt
from clerk_runner.cli.api.attended import run_attended
from clerk_runner.cli.api.metadata import name_kinds, stop_metadata_update
from clerk_runner.cli.api.options import CallOptions, with_fields
from clerk_runner.cli.api.output import JsonArray, write_json
from clerk_runner.cli.api.showing import exit_of, say_all, show_failure, show_success
from clerk_runner.cli.api.state import ApiState
from clerk_runner.cli.text import plain
from clerk_runner.credentials import Credentials, address, discover
from clerk_runner.errors import AccessError, Exit, RunnerError, UsageError
from clerk_runner.explore.announce import Surroundings, announcement, deletion_id, redacted
from clerk_runner.explore.answers import SHOWN_ROWS, failure_lines, found_lines, telling_read
from clerk_runner.explore.calling import Caller, MayHaveHappened, PageRefused, open_caller
from clerk_runner.explore.code import as_code
from clerk_runner.explore.replacing import loss_lines, read_before
from clerk_runner.safety import Consent, Scope, require_consent, require_scopes, scope_line

__all__ = ["CallSession", "needed_scopes", "refusal"]

MAX_FINDINGS = 20


class CallSession:
    """Performs calls for one command.

    Args:
        environ: where key, address and scopes are looked for.
    """

    def __init__(self, state: ApiState, options: CallOptions, environ: Mapping[str, str]) -> None:
        """Nothing is asked yet."""
        self._state = state
        self._options = options
        self._environ = environ
        self._consent = Consent(
            yes=options.yes, admin=options.admin, ask=prompt.ask_yes if prompt.interactive() else None
        )
        self._credentials: Credentials | None = None
        self._granted: dict[Scope, bool] = {}
        self.answer: Json = None
        """The body of the last answer."""
        self.quiet = False
        """Whether an answer is a step to the next call, and not shown."""
        self.every = False
        """Whether the words ask for every page, as ``--all`` does."""

    @property
    def host(self) -> str:
        """The host that calls go to, whether or not there is a key."""
        return urlsplit(self._api_url).netloc

    @property
    def catalog(self) -> Catalog:
        """The catalogue of the version that is sent."""
        return self._state.catalog

    def perform(self, operation: Operation, inputs: Inputs) -> int:
        """Check, announce, ask, send and show one call; returns the exit code.

        Raises:
            RunnerError: it was not sent, or nobody knows what became of it.
        """
        self._refuse_early(operation, inputs)
        if not self._options.sends:
            self._show_only(self._prepared(operation, inputs))
            return Exit.DONE
        self.credentials()
        bypassed = self.require([operation])
        call = self._prepared(operation, self._completed(operation, inputs))
        if operation.method != "GET":
            # Between two loops, not inside of one: there Ctrl-C would not end a question.
            self._announce(operation, call, bypassed=bypassed)
            self._confirm(operation, call)
        tells = telling_read(self.catalog, operation, call) if operation.method != "GET" else ""
        return run_attended(self._carry_out(operation, call, tells), writing=operation, tells=tells)

    def require(self, operations: Sequence[Operation]) -> bool:
        """Ask once for the scopes that operations need; returns whether they were bypassed.

        Raises:
            AccessError: there is no key, or a scope is missing.
        """
        needed: set[Scope] = {scope for one in operations for scope in needed_scopes(one)}
        lacking = sorted(needed - self._granted.keys(), reverse=True)
        if lacking:
            bypassed = require_scopes(self.credentials(), lacking, self._consent)
            self._granted |= dict.fromkeys(lacking, bypassed)
        return any(self._granted[scope] for scope in needed)

    def credentials(self) -> Credentials:
        """Key, address and scopes; on a terminal the key is asked for where there is none, for this command only.

        Raises:
            AccessError: there is no key.
        """
        if self._credentials is None:
            self._credentials = self._discovered()
        return self._credentials

    def _discovered(self) -> Credentials:
        try:
            return discover(self._environ, Path.cwd())
        except AccessError as error:
            if error.code != "key_missing" or not prompt.interactive():
                raise
            click.echo(plain(str(error)), err=True)
            typed = prompt.ask_hidden("Secret key, for this call only").strip()
            if not typed:
                raise
            return discover({**self._environ, "CLERK_SECRET_KEY": typed}, Path.cwd())

    @property
    def _api_url(self) -> str:
        try:
            return discover(self._environ, Path.cwd()).api_url
        except AccessError:
            return address(self._environ)

    def _refuse_early(self, operation: Operation, inputs: Inputs) -> None:
        if operation.body is not None and operation.body.media_type != "application/json":
            raise UsageError(
                f"{operation} uploads a file, which only curl can send",
                code="upload_unsupported",
                hint=f"curl -X {operation.method} {self._api_url}/v1{operation.path} "
                '-H "Authorization: Bearer $CLERK_SECRET_KEY" -F file=@image.png',
            )
        if self._options.all_pages and operation.list_shape is None:
            raise UsageError(f"{operation} is not a list, so --all does not apply", code="no_list", hint="leave it out")
        stop_metadata_update(operation, inputs, replacing=self._options.replace)

    def _completed(self, operation: Operation, inputs: Inputs) -> Inputs:
        """The inputs with what is missing asked for, where somebody can be asked."""
        inputs = name_kinds(operation, inputs)
        if not prompt.interactive():
            return inputs
        for lack in missing(operation, inputs):
            value = prompt.ask_text(f"{lack.name} ({lack.place}, required)")
            if not value:
                continue
            if lack.place == "path":
                inputs = replace(inputs, path={**inputs.path, lack.name: value})
            elif lack.place == "query":
                inputs = replace(inputs, query=(*inputs.query, (lack.name, value)))
            else:
                inputs = with_fields(operation, inputs, [f"{lack.name}={value}"])
        return inputs

    def _prepared(self, operation: Operation, inputs: Inputs) -> Call:
        try:
            return prepare(operation, inputs, check=self._options.check)
        except CallRefusedError as error:
            raise refusal(operation, error) from error

    def _show_only(self, call: Call) -> None:
        if self._options.language is not None:
            version = self.catalog.version
            click.echo(as_code(call, self._options.language, api_url=self._api_url, api_version=version))
            return
        shown = {"method": call.method, "url": f"{self._api_url}/v1{call.path}", "query": [list(p) for p in call.query]}
        headers = {"Authorization": "Bearer ***", "Clerk-API-Version": self.catalog.version}
        write_json({**shown, "headers": headers, "body": redacted(call.body)})

    def _announce(self, operation: Operation, call: Call, *, bypassed: bool) -> None:
        credentials = self.credentials()
        where = Surroundings(
            host=credentials.host,
            key=credentials.key.kind.value,
            api_version=self.catalog.version,
            scopes=scope_line(credentials, bypassed=bypassed),
        )
        say_all(announcement(operation, call, where))
        before = read_before(self.catalog, operation, call)
        if before is not None:
            say_all(loss_lines(before, run_attended(self._read(before)), call))

    async def _read(self, call: Call) -> Reply:
        async with self._caller(call) as caller:
            return await caller.send(call)

    def _caller(self, call: Call) -> AbstractAsyncContextManager[Caller]:
        wait_s = self._options.max_wait_s
        invites = (call.template,) if call.method == "POST" else ()
        return open_caller(
            self.credentials(), self.catalog.version, self._state.home, invites=invites, max_wait_s=wait_s
        )

    async def _carry_out(self, operation: Operation, call: Call, tells: str) -> int:
        async with self._caller(call) as caller:
            if (self._options.all_pages or self.every) and operation.list_shape is not None:
                return await self._walk(caller, operation, call)
            bodyless = operation.success is None or operation.success.schema is None
            try:
                reply = await caller.send(call, bodyless=bodyless)
            except MayHaveHappened as error:
                error.hint = f"it is not sent again; check whether it happened: {tells}" if tells else error.hint
                raise
            if caller.doubted and not reply.ok:
                say_all(["an earlier answer was lost: it may have been done then" + (tells and f"; see: {tells}")])
            return self._show_reply(operation, call, reply)

    def _confirm(self, operation: Operation, call: Call) -> None:
        if operation.method == "DELETE":
            wanted = deletion_id(operation, call)
            typed = ""
            if not self._options.confirm and prompt.interactive():
                typed = prompt.ask_text(f"Type {plain(wanted)} to delete it").strip()
            if typed == wanted:
                return
            if wanted not in self._options.confirm:
                raise AccessError(
                    "nothing was sent: a DELETE needs the id of what it destroys",
                    code="confirmation_missing",
                    hint=f"add --confirm {wanted}",
                )
        require_consent("Send it?", self._consent)

    async def _walk(self, caller: Caller, operation: Operation, call: Call) -> int:
        """Every page, written as it comes: memory does not grow with the list."""
        pages = caller.pages(operation, call)
        try:
            rows = await anext(pages)
        except PageRefused as error:
            return show_failure(operation, error.reply, as_json=self._options.as_json)
        shown, count = rows[:SHOWN_ROWS], len(rows)
        with JsonArray() as array:
            array.extend(rows)
            # What came is on stdout already, as an array: why there is no more goes beside it.
            try:
                async for rows in pages:
                    array.extend(rows)
                    shown = [*shown, *rows[: SHOWN_ROWS - len(shown)]]
                    count += len(rows)
            except PageRefused as error:
                say_all(failure_lines(operation, error.reply))
                return exit_of(error.reply)
            except RunnerError as error:
                say_all(filter(None, (str(error), error.hint)))
                return error.exit
        self.answer = shown
        say_all(found_lines(operation, shown, count))
        return Exit.DONE

    def _show_reply(self, operation: Operation, call: Call, reply: Reply) -> int:
        if not reply.ok:
            return show_failure(operation, reply, as_json=self._options.as_json)
        self.answer = reply.value
        show_success(operation, call, reply, quiet=self.quiet)
        return Exit.DONE


def refusal(operation: Operation, error: CallRefusedError) -> UsageError:
    """A call that does not fit its documents, as an error that names every fault on a line of its own."""
    advice = f"clerk-batch api show {operation.operation_id}"
    lines = [*map(str, error.findings[:MAX_FINDINGS])]
    if len(error.findings) > MAX_FINDINGS:
        lines.append(f"... and {len(error.findings) - MAX_FINDINGS} more")
    ways = {"path": "-p NAME=VALUE", "query": "--query NAME=VALUE", "body": "--field NAME=VALUE or all of it with -d"}
    lacking = dict.fromkeys(ways[finding.place] for finding in error.findings if finding.code == "missing")
    if lacking:
        lines.append(f"give what is missing with {', '.join(lacking)}")
    lines.append(advice)
    return UsageError(f"{operation} cannot be called like this", code="call_refused", hint="\n  ".join(lines))


def needed_scopes(operation: Operation) -> tuple[Scope, ...]:
    """The scopes that an operation needs: none for a GET, ``write``, and for a DELETE ``delete`` besides."""
    if operation.method == "GET":
        return ()
    return ("write", "delete") if operation.method == "DELETE" else ("write",)
