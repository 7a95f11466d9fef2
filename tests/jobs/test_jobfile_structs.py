"""A new kind of job is a new Struct: types, bounds, readers and rules are enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import pytest
from msgspec import Meta, Struct, field

from clerk_jobs.jobfile.nodes import MapNode
from clerk_jobs.jobfile.parsing import parse
from clerk_jobs.jobfile.reading import UNREAD, Complaint, Reading, Rule
from clerk_jobs.jobfile.structs import read_struct


def _page_size_goes_with_pages(pages: bool, page_size: int) -> Iterator[Complaint]:
    if not pages and page_size != 100:
        yield Complaint("page_size", "needs pages", "add pages: true", at="pages")


class Where(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    banned: bool | None = None
    before: int | None = None


class Export(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="export"):
    rules: ClassVar[tuple[Rule, ...]] = (_page_size_goes_with_pages,)
    given: ClassVar[frozenset[str]] = frozenset({"folder"})

    output: Annotated[str, Meta(min_length=1, max_length=10)]
    columns: list[Annotated[str, Meta(pattern="^[a-z.]+$")]] = field(default_factory=list)
    where: Where | Literal["all"] | list[Where] = "all"
    title: Annotated[str, Meta(min_length=2)] = "export"
    mark: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    level: Literal[1, 2, 3] = 1
    pages: bool = True
    page_size: Annotated[int, Meta(ge=1, lt=501)] = 100
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    folder: str


def read(text: str) -> tuple[object, list[str]]:
    root, faults = parse(text, "f")
    assert isinstance(root, MapNode)
    reading = Reading(folder=None, faults=faults)  # type: ignore[arg-type]  # no field here is a path
    result = read_struct(Export, root, "", reading, {"folder": "here"})
    return result, [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("", Export(output="a", folder="here")),
        ("columns: [a.b, c]", Export(output="a", columns=["a.b", "c"], folder="here")),
        ("where: {banned: true, before: 5}", Export(output="a", where=Where(banned=True, before=5), folder="here")),
        ("where: [{}, {before: 1}]", Export(output="a", where=[Where(), Where(before=1)], folder="here")),
        ("where: all", Export(output="a", folder="here")),
        ("mark: ;\nlevel: 3\nshare: 1", Export(output="a", mark=";", level=3, share=1.0, folder="here")),
    ],
)
def test_a_struct_is_read_by_its_types(added: str, expected: Export) -> None:
    assert read(f"kind: export\noutput: a\n{added}\n") == (expected, [])


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ("columns: a", "f:2:10: columns: must be a list"),
        ("columns: [a, B, 3]", "f:2:14: columns[1]: must be a text that matches ^[a-z.]+$"),
        ("where: {banned: 1}", "f:2:17: where.banned: must be true or false"),
        ("where: some", "f:2:8: where: must be one of all"),
        ("where: [5]", "f:2:9: where[0]: must be a map of keys and values"),
        ("title: a", "f:2:8: title: must be a text of at least 2 characters"),
        ("mark: ab", "f:2:7: mark: must be one character"),
        ("level: 4", "f:2:8: level: must be one of 1, 2, 3"),
        ("level: true", "f:2:8: level: must be one of 1, 2, 3"),
        ("page_size: 501", "f:2:12: page_size: must be a whole number at least 1 and below 501"),
        ("page_size: 5.0", "f:2:12: page_size: must be a whole number at least 1 and below 501"),
        ("share: 0", "f:2:8: share: must be a number above 0 and at most 1"),
        ("pages: 'true'", "f:2:8: pages: must be true or false"),
        ("pages: false\npage_size: 5", "f:3:12: page_size: needs pages; add pages: true"),
        ("folder: there", "f:2:1: folder: is not a key here"),
        ("banned: true", "f:2:1: banned: is not a key here"),
    ],
)
def test_what_does_not_fit_is_told_in_words(added: str, fault: str) -> None:
    result, faults = read(f"output: a\n{added}\n")
    assert result is UNREAD
    assert faults[0] == fault


def test_a_text_has_its_bounds() -> None:
    assert read("output: ''\n")[1] == ["f:1:9: output: must be a text of 1 to 10 characters"]
    assert read("output: 12345678901\n")[1] == [
        "f:1:9: output: must be a text of 1 to 10 characters; write it in quotes"
    ]


def test_a_rule_waits_for_all_of_its_fields() -> None:
    assert read("output: a\npages: no\npage_size: 5\n")[1] == ["f:2:8: pages: must be true or false"]


def test_a_rule_may_point_at_another_field() -> None:
    text = "output: a\npages: false\n"

    class Pointing(Export, frozen=True, kw_only=True):
        rules = (lambda pages: iter([Complaint("page_size", "is missing", at="pages")]),)

    root, _ = parse(text, "f")
    assert isinstance(root, MapNode)
    reading = Reading(folder=None)  # type: ignore[arg-type]  # no field here is a path
    assert read_struct(Pointing, root, "", reading, {"folder": ""}) is UNREAD
    assert str(reading.faults[0]) == "f:2:8: page_size: is missing"
