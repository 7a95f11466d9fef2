"""The strict part of YAML: 1.2 scalars, and what is refused although YAML allows it."""

from __future__ import annotations

import pytest

from clerk_jobs.jobfile.nodes import Broken, Scalar, key_path, plain
from clerk_jobs.jobfile.parsing import parse
from clerk_jobs.jobfile.scalars import resolve
from clerk_jobs.values import Json

QUOTES = 'a text that begins with a brace needs quotes, "{email}"'
UNQUOTED = f"YAML reads braces without quotes as a map; {QUOTES}"
TAB = "found character '\\t' that cannot start any token; indent with blanks, not with tabs"
DASH = 'sequence entries are not allowed here; standard input is written in quotes, "-"'
TEXTS = """
    NO yes on Off y 2026-05-12 2026-05-12T10:00:00Z 12:30 1:30:00 012 -007 08 01.5 1_000 0b11 0x 0o8 1e + . ..5
    1.2.3 nulL tRue = 5% 120s <<
"""


def read(text: str) -> Json:
    root, faults = parse(text, "job.yaml")
    assert not faults
    assert root is not None
    return plain(root)


def faults(text: str) -> list[str]:
    return [str(fault).removeprefix("job.yaml:") for fault in parse(text, "job.yaml")[1]]


@pytest.mark.parametrize("text", TEXTS.split())
def test_texts_stay_texts(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("True", True),
        ("FALSE", False),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("18446744073709551615", 2**64 - 1),
        ("0o17", 15),
        ("0xfF", 255),
        ("1.0", 1.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("1e3", 1000.0),
        ("0.1E-2", 0.001),
    ],
)
def test_the_core_schema_is_resolved(text: str, value: Json) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (".inf", "JSON has no infinite numbers and no NaN"),
        ("-.INF", "JSON has no infinite numbers and no NaN"),
        (".NaN", "JSON has no infinite numbers and no NaN"),
        ("18446744073709551616", "the number is beyond 64 bits"),
        ("-9223372036854775809", "the number is beyond 64 bits"),
        ("0x1" + "0" * 16, "the number is beyond 64 bits"),
        ("1e999", "the number is too large"),
        ("1" * 5000, "the number is too long"),
        ("0x" + "f" * 5000, "the number is too long"),
    ],
)
def test_numbers_that_json_cannot_carry_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        resolve(text)
    assert faults(f"a: {text}\n") == [f"1:4: a: {reason}; write it in quotes to have it as text"]


def test_quoted_and_block_scalars_are_texts() -> None:
    text = "a: '1'\nb: \"true\"\nc: |\n  1\nd: >-\n  x\n  y\n"
    assert read(text) == {"a": "1", "b": "true", "c": "1\n", "d": "x y"}


def test_keys_are_texts() -> None:
    assert read("2024: a\nNO: b\ntrue: c\n'<<': d\n") == {"2024": "a", "NO": "b", "true": "c", "<<": "d"}


def test_documents_may_have_marks() -> None:
    assert read("%YAML 1.2\n---\na: [1, {b: c}]\n...\n") == {"a": [1, {"b": "c"}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {email}\n", [f"1:4: a: {UNQUOTED}"]),
        ("a: { seats:int }\n", [f"1:4: a: {UNQUOTED}"]),
        ("a: {x?}\n", [f"1:6: not valid YAML: expected ',' or '}}', but got '?'; {QUOTES}"]),
        ("a: {b: {x}, c: [{y}]}\n", [f"1:8: a.b: {UNQUOTED}", f"1:17: a.c[0]: {UNQUOTED}"]),
        ("a: {{x}}\n", [f"1:5: a: {UNQUOTED}"]),
        (
            "a: {x} and more\n",
            [f"1:4: a: {UNQUOTED}", f"1:8: not valid YAML: expected <block end>, but found '<scalar>'; {QUOTES}"],
        ),
    ],
)
def test_forgotten_quotes_are_recognised(text: str, expected: list[str]) -> None:
    assert faults(text)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\nb: *x\n", ["1:4: a: anchors are not allowed; write the value out where it is needed"]),
        ("b: *x\n", ["1:4: b: aliases are not allowed; write the value out"]),
        ("a: !!str 1\n", ["1:4: a: tags are not allowed; texts are written in quotes"]),
        ("a: !<tag:x> [1]\n", ["1:4: a: tags are not allowed; texts are written in quotes"]),
        ("a: !!python/object/apply:os.system [x]\n", ["1:4: a: tags are not allowed; texts are written in quotes"]),
        ("a: ! x\n", ["1:4: a: tags are not allowed; texts are written in quotes"]),
        ("a: 1\n<<: {b: 2}\n", ["2:1: merge keys are not allowed; write the keys out"]),
        ("a: 1\nb: 2\na: 3\n", ["3:1: a: the key appears twice, first on line 1"]),
        ("a: {b: 1, 'b': 2}\n", ["1:11: a.b: the key appears twice, first on line 1"]),
        ("? [a]\n: 1\n", ["1:3: a key must be a text"]),
        ("? &k a\n: 1\n", ["1:3: anchors are not allowed; write the value out where it is needed"]),
        ("a: 1\n---\nb: 1\n", ["2:1: a second document; a job file holds one job"]),
        ('a: "\\ud800"\n', ["1:4: a: an escape that is half a character"]),
        ('"\\udc00": 1\n', ["1:1: an escape that is half a character"]),
        ("a: '\n", ["2:1: not valid YAML: found unexpected end of stream"]),
        ("\ta: 1\n", [f"1:1: not valid YAML: {TAB}"]),
        ("a: @x\n", ["1:4: not valid YAML: found character '@' that cannot start any token"]),
        ("source: -\n", [f"1:9: not valid YAML: {DASH}"]),
        ("a: b\x00c\n", ["1:5: a control character; remove it, or write it as an escape in quotes"]),
        ("a: 1\nb: \x1b[2J\n", ["2:4: a control character; remove it, or write it as an escape in quotes"]),
        ('a: "\\UFFFFFFFF"\n', ["1:1: not valid YAML after this: a number out of range"]),
        ("%YAML 1." + "9" * 5000 + "\n---\na\n", ["1:1: not valid YAML after this: a number out of range"]),
    ],
)
def test_what_yaml_allows_and_a_job_file_does_not(text: str, expected: list[str]) -> None:
    assert faults(text)[: len(expected)] == expected


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{b: " * 50_000, "- " * 100_000, "? " * 50_000])
def test_depth_is_bounded(text: str) -> None:
    assert faults(text)[-1].endswith(": nested more than 32 levels deep")


def test_a_bomb_of_aliases_does_not_expand() -> None:
    levels = "".join(f"l{level + 1}: &l{level + 1} [{', '.join([f'*l{level}'] * 9)}]\n" for level in range(20))
    told = faults(f"l0: &l0 [x]\n{levels}")
    assert len(told) == 1 + 20 * 10
    assert all("anchors are not allowed" in fault or "aliases are not allowed" in fault for fault in told)


def test_what_stands_beside_a_fault_is_read() -> None:
    root, told = parse("a: !!x 1\nb: 2\n", "job.yaml")
    assert len(told) == 1
    assert root is not None
    assert plain(root) == {"a": None, "b": 2}


def test_places_of_texts_are_those_of_their_characters() -> None:
    root, _ = parse("a: plain\nb: 'quoted'\nc: \"esc\\x41ped\"\nd: |\n  block\n", "job.yaml")
    assert root is not None
    assert not isinstance(root, Scalar | Broken)
    assert hasattr(root, "entries")
    nodes = {key: node for key, (_, node) in root.entries.items()}
    columns = {
        key: node.text_place.column if node.text_place else None
        for key, node in nodes.items()
        if isinstance(node, Scalar)
    }
    assert columns == {"a": 4, "b": 5, "c": None, "d": None}


def test_paths_of_keys() -> None:
    assert key_path("", "a") == "a"
    assert key_path("a", "b-c_d") == "a.b-c_d"
    assert key_path("a", 3) == "a[3]"
    assert key_path("a", "b.c\x1b") == "a.'b.c\\x1b'"
