"""``api update``: fetches newer OpenAPI documents into the cache.

The documents come from Clerk's public repository, or from another address of the same layout: ``DATE.yml``
beside each other. No key and no token is sent. What has not changed is not sent again (ETag). The cache
changes only when every document that came is whole and can be compiled.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from clerk_jobs.catalog.compile import SpecError, compile_documents, parse_document
from clerk_jobs.catalog.facts import pack_facts
from clerk_runner.errors import StoppedError, UsageError
from clerk_runner.explore.library import Library
from clerk_runner.explore.prose import collect, pack
from clerk_runner.folders import write_private
from clerk_runner.loopback import is_loopback
from clerk_runner.proxies import proxy_for

__all__ = ["DEFAULT_SOURCE", "Fetched", "Source", "UpdateReport", "update"]

DOCUMENTS: Final = "https://raw.githubusercontent.com/clerk/openapi-specs/main/bapi"
LISTING: Final = "https://api.github.com/repos/clerk/openapi-specs/contents/bapi"
MAX_DOCUMENT: Final = 20_000_000
"""Bytes of one document; the largest has 0.7 million today."""
MAX_VERSIONS: Final = 100
TOTAL_S: Final = 60.0
CONNECT_S: Final = 10.0
AT_ONCE: Final = 4

_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.ya?ml")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the documents are.

    Attributes:
        documents: address below which ``DATE.yml`` is.
        listing: address of a JSON array of file names, or of objects with a ``name``, as GitHub lists a
            folder.
    """

    documents: str
    listing: str

    @staticmethod
    def at(address: str) -> Source:
        """A source at one address, with the listing beside the documents as ``index.json``.

        Raises:
            UsageError: the address is neither https nor on this machine.
        """
        try:
            parts = urlsplit(address)
        except ValueError:
            parts = urlsplit("")
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        if not secure or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise UsageError(
                "the source of the documents is not an https address",
                code="source_malformed",
                hint=f"give the address of a folder, such as {DOCUMENTS}",
            )
        base = address.rstrip("/")
        return Source(base, f"{base}/index.json")


DEFAULT_SOURCE: Final = Source(DOCUMENTS, LISTING)
"""Clerk's public repository of OpenAPI documents, https://github.com/clerk/openapi-specs (MIT licence)."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one version: ``new``, ``changed``, ``unchanged``, or ``missing`` where the source
    lacks it."""

    version: str
    outcome: str


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did.

    Attributes:
        note: why the list of versions is not the source's own; empty where it is.
    """

    versions: tuple[Fetched, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    etag: str | None = None


async def update(library: Library, source: Source = DEFAULT_SOURCE) -> UpdateReport:
    """Fetches what is new or changed, and compiles it.

    Raises:
        StoppedError: the source cannot be reached, or what came is no OpenAPI document; the cache stays as
            it was.
    """
    index = library.index()
    same = index.get("documents", {}) if index.get("source") == source.documents else {}
    before = {version: entry for version, entry in same.items() if library.document_file(version).is_file()}
    timeout = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S)
    headers = {"User-Agent": "clerk-batch", "Accept": "*/*"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        versions, note = await _versions(session, source, library)
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = {
                version: group.create_task(_document(session, room, source, version, before), name=version)
                for version in versions
            }
    answers: dict[str, _Answer] = {}
    for version, task in tasks.items():
        answer = task.result()
        if isinstance(answer, StoppedError):
            raise answer
        answers[version] = answer
    return _keep(library, source, before, answers, note)


async def _versions(session: aiohttp.ClientSession, source: Source, library: Library) -> tuple[list[str], str]:
    """The versions that the source lists, else those that are known anyhow, with the reason."""
    known = [entry.version for entry in library.versions()]
    answer = await _get(session, source.listing, None)
    if answer.status != 200:
        return known, f"the list of versions answered {answer.status}, so only known versions were looked for"
    try:
        entries = json.loads(answer.body)
        names = [entry["name"] if isinstance(entry, dict) else entry for entry in entries]
        found = sorted({match[1] for name in names if (match := _FILE.fullmatch(name))})
    except (ValueError, TypeError, KeyError):
        return known, "the list of versions could not be read, so only known versions were looked for"
    if not found:
        return known, "the list of versions names none, so only known versions were looked for"
    return found[-MAX_VERSIONS:], ""


async def _document(
    session: aiohttp.ClientSession,
    room: asyncio.Semaphore,
    source: Source,
    version: str,
    before: Mapping[str, Any],
) -> _Answer | StoppedError:
    """One document; a failure is a value, because an exception would cancel the other fetches half-way."""
    async with room:
        try:
            return await _get(session, f"{source.documents}/{version}.yml", before.get(version, {}).get("etag"))
        except StoppedError as error:
            return error


async def _get(session: aiohttp.ClientSession, address: str, etag: str | None) -> _Answer:
    headers = {"If-None-Match": etag} if etag else {}
    host = urlsplit(address).netloc
    try:
        proxy = proxy_for(address, os.environ)
        async with session.get(address, headers=headers, allow_redirects=False, proxy=proxy) as response:
            if response.status != 200:
                return _Answer(response.status)
            body = await _bounded(response, address)
            return _Answer(200, body, response.headers.get("ETag"))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StoppedError(
            f"{host} cannot be reached ({type(error).__name__}); the documents that are here still work",
            code="unreachable",
            hint="try again later, or name another address with --source",
        ) from error


async def _bounded(response: aiohttp.ClientResponse, address: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_DOCUMENT:
            raise StoppedError(
                f"{address} is larger than {MAX_DOCUMENT // 1_000_000} MB, which no such document is",
                code="document_too_large",
                hint="check the address given with --source",
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _keep(
    library: Library, source: Source, before: Mapping[str, Any], answers: Mapping[str, _Answer], note: str
) -> UpdateReport:
    """Compiles all documents at hand, and only then changes the cache: the index last, which names what
    belongs."""
    outcomes: list[Fetched] = []
    texts: dict[str, bytes] = {}
    entries: dict[str, dict[str, Any]] = {}
    for version, answer in answers.items():
        if answer.status == 200:
            texts[version] = answer.body
            outcome = "changed" if version in before else "new"
            entries[version] = {"etag": answer.etag}
        elif answer.status == 304 and version in before:
            texts[version] = library.document_file(version).read_bytes()
            outcome = "unchanged"
            entries[version] = dict(before[version])
        elif answer.status == 404:
            outcome = "missing"
        else:
            raise StoppedError(
                f"the source answered {answer.status} for version {version}; nothing was changed",
                code="source_refused",
                hint="try again later, or name another address with --source",
            )
        outcomes.append(Fetched(version, outcome))
    # Facts that were damaged are made anew from documents that did not change.
    if any(entry.outcome in ("new", "changed") for entry in outcomes) or library.cached != texts.keys():
        _write(library, source, texts, entries)
    return UpdateReport(tuple(outcomes), note)


def _write(
    library: Library, source: Source, texts: Mapping[str, bytes], entries: Mapping[str, Mapping[str, Any]]
) -> None:
    try:
        documents = {version: parse_document(_decoded(text), f"{version}.yml") for version, text in texts.items()}
        _check_names(documents)
        facts = pack_facts(compile_documents(documents.values()))
        descriptions = {version: pack(collect(document)) for version, document in documents.items()}
    except (SpecError, KeyError, TypeError, AttributeError) as error:
        raise StoppedError(
            f"what was fetched is not usable: {error}; nothing was changed",
            code="document_malformed",
            hint="try again later, or name another address with --source",
        ) from error
    library.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    for version, text in texts.items():
        write_private(library.document_file(version), text)
        write_private(library.prose_file(version), descriptions[version])
    write_private(library.facts_file, facts)
    index = {"source": source.documents, "fetched_at": int(time.time()), "documents": entries}
    write_private(library.index_file, json.dumps(index, indent=1).encode())


def _check_names(documents: Mapping[str, Mapping[str, Any]]) -> None:
    for version, document in documents.items():
        if str(document["info"]["version"]) != version:
            raise SpecError(f"{version}.yml says that it is version {document['info']['version']}")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", errors="replace")
