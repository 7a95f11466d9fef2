"""No bytes from outside bring down what reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_testing.fuzzing import FUZZED

CASES = Path(__file__).parent / "cases"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([200, 400, 404, 429]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "data", "errors", "code", "message", "meta", "email_address", "email_addresses", "status"]
            )
            | st.sampled_from(
                ["object", "created_at", "total_count", "public_user_data", "user_id", "public_metadata"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_every_target_has_bytes_to_begin_with_and_stands_them() -> None:
    for target, seeds in FUZZED.values():
        assert seeds
        for seed in seeds:
            target(seed)


@pytest.mark.parametrize("name", FUZZED)
def test_what_was_found_once_is_stood_now(name: str) -> None:
    for case in sorted((CASES / name).glob("*")):
        FUZZED[name][0](case.read_bytes())


@pytest.mark.parametrize("name", FUZZED)
def test_any_bytes(name: str) -> None:
    target, seeds = FUZZED[name]

    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=120) | st.tuples(st.sampled_from(seeds), st.binary(max_size=9)).map(b"".join))
    def check(data: bytes) -> None:
        target(data)

    check()


@pytest.mark.parametrize("name", ["answer", "page", "talk"])
def test_any_json(name: str) -> None:
    target, _ = FUZZED[name]

    @settings(max_examples=150, deadline=None)
    @given(JSON, st.binary(min_size=2, max_size=2))
    def check(value: object, status: bytes) -> None:
        target((status if name == "answer" else b"") + json.dumps(value).encode())

    check()
