"""A call as a command or program of somebody's own: it reads the key from the environment, so none is
shown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

from clerk_jobs.call import Call

__all__ = ["LANGUAGES", "as_code", "as_command"]


def as_code(call: Call, language: str, *, api_url: str, api_version: str) -> str:
    """The call in a language of ``LANGUAGES``."""
    address = f"{api_url}/v1{call.path}" + (f"?{urlencode(call.query)}" if call.query else "")
    return LANGUAGES[language](call, address, api_version)


def as_command(call: Call, *, api_version: str | None = None) -> str:
    """The call as a command of this tool, ready to paste.

    Example:
        >>> from clerk_jobs.catalog import load
        >>> from clerk_jobs.catalog.prepare import Inputs, prepare
        >>> as_command(prepare(load().operation("GetUserList"), Inputs(query=[("limit", "5")])))
        'clerk-batch api call GET /users --query limit=5'
    """
    words = ["clerk-batch", "api", "call", call.method, call.path]
    for name, value in call.query:
        words += ["--query", f"{name}={value}"]
    if call.body is not None:
        words += ["-d", json.dumps(call.body, ensure_ascii=False)]
    if api_version is not None:
        words += ["--version", api_version]
    return shlex.join(words)


def _curl(call: Call, address: str, api_version: str) -> str:
    lines = [
        f"curl -X {call.method} {shlex.quote(address)}",
        '-H "Authorization: Bearer $CLERK_SECRET_KEY"',
        f"-H 'Clerk-API-Version: {api_version}'",
    ]
    if call.body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(call.body, ensure_ascii=False))}"]
    return " \\\n  ".join(lines)


def _python(call: Call, address: str, api_version: str) -> str:
    body = "" if call.body is None else ",\n    data=json.dumps(body).encode()"
    content = "" if call.body is None else ',\n        "Content-Type": "application/json"'
    return (
        "import json\nimport os\nimport urllib.request\n\n"
        + ("" if call.body is None else f"body = {call.body!r}\n")
        + f"request = urllib.request.Request(\n    {address!r},\n    method={call.method!r}{body},\n    headers={{\n"
        f'        "Authorization": f"Bearer {{os.environ[\'CLERK_SECRET_KEY\']}}",\n'
        f'        "Clerk-API-Version": {api_version!r}{content},\n    }},\n)\n'
        "with urllib.request.urlopen(request) as response:\n    print(json.load(response))"
    )


def _js(call: Call, address: str, api_version: str) -> str:
    content = "" if call.body is None else '\n    "Content-Type": "application/json",'
    body = "" if call.body is None else f"\n  body: JSON.stringify({json.dumps(call.body, ensure_ascii=False)}),"
    return (
        f"const response = await fetch({json.dumps(address)}, {{\n  method: {json.dumps(call.method)},\n  headers: {{\n"
        "    Authorization: `Bearer ${process.env.CLERK_SECRET_KEY}`,\n"
        f'    "Clerk-API-Version": {json.dumps(api_version)},{content}\n  }},{body}\n}});\n'
        "console.log(await response.json());"
    )


LANGUAGES: Final[Mapping[str, Callable[[Call, str, str], str]]] = {"curl": _curl, "python": _python, "js": _js}
"""What a call can be written in."""
