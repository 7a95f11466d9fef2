"""Metadata as values: what merging, folding and taking back mean, for any trees at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clerk_jobs.call import State
from clerk_jobs.metadata.screen import decode_changes, encode_changes
from clerk_jobs.metadata.trees import (
    ABSENT,
    changes_between,
    digest_of,
    folded,
    has_anew,
    holds,
    is_exact,
    merged,
    patch_between,
    project,
    put,
    same,
    size_of,
    spelled,
    value_at,
)
from clerk_jobs.metadata.undo import judge

KEYS = st.sampled_from("abc")
LEAVES = st.one_of(st.booleans(), st.integers(-2, 2), st.floats(-2, 2), st.text("xy", max_size=2), st.just([None, 1]))


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(
        KEYS, st.recursive(leaves, lambda below: st.dictionaries(KEYS, below, max_size=3), max_leaves=6), max_size=3
    )


STORED = trees(LEAVES)
PATCHES = trees(st.one_of(LEAVES, st.none()))


@given(STORED, PATCHES)
def test_merging_the_same_again_changes_nothing(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merged(tree, patch)
    assert same(merged(once, patch), once)


@given(STORED, PATCHES, PATCHES)
def test_a_tree_holds_what_would_change_nothing_of_it(
    tree: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    both = folded(first, second)
    for patch in (first, both):
        assert holds(tree, patch) == same(merged(tree, patch), tree)
        assert holds(merged(tree, patch), patch)


@given(STORED, PATCHES, PATCHES)
def test_a_folded_patch_does_what_both_do_in_their_order(
    tree: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    both = folded(first, second)
    wanted = merged(merged(tree, first), second)
    assert same(merged(tree, both), wanted)
    # The same in words that Clerk knows, and again once it is there.
    assert same(merged(tree, spelled(tree, both)), wanted)
    assert same(merged(wanted, both), wanted)
    # Whatever changes was looked at.
    assert same(project(tree, both), project(wanted, both)) == same(tree, wanted)


@given(STORED, st.lists(PATCHES, min_size=3, max_size=4))
def test_many_rows_fold_to_what_they_do_one_after_the_other(tree: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    wanted, both = tree, rows[0]
    for row in rows:
        wanted = merged(wanted, row)
    for row in rows[1:]:
        both = folded(both, row)
    assert same(merged(tree, both), wanted)
    assert same(merged(tree, spelled(tree, both)), wanted)


def test_an_object_after_a_removal_does_not_meet_what_was_there() -> None:
    both = folded({"a": None}, {"a": {"b": 1, "gone": None}})
    assert has_anew(both)
    assert spelled({"a": {"old": {"x": 1}, "b": 2}}, both) == {"a": {"old": None, "b": 1}}


@given(STORED, STORED)
def test_a_patch_between_two_trees_leads_from_one_to_the_other(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert same(merged(one, patch_between(one, other)), other)


@given(STORED, PATCHES)
def test_what_a_merge_changed_can_be_put_back_exactly(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    after = merged(tree, patch)
    changes = decode_changes(encode_changes({"public_metadata": tree}, {"public_metadata": after}))
    judged = judge({"public_metadata": after}, changes, force=False)
    assert (judged.left, judged.inexact) == ([], [])
    assert same(merged(after, judged.patch.get("public_metadata", {})), tree)
    # Once it is back there is nothing to do.
    assert judge({"public_metadata": tree}, changes, force=False).patch == {}


@given(STORED, STORED)
def test_changes_are_the_places_that_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    for change in changes_between(one, other):
        before, after = value_at(one, change.path), value_at(other, change.path)
        assert before is change.before
        assert after is change.after
    assert same(one, other) == (not list(changes_between(one, other)))


@given(STORED, PATCHES)
def test_what_a_patch_does_not_touch_is_not_in_the_projection(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    part = project(tree, patch)
    assert set(part) <= set(patch)
    for change in changes_between(tree, merged(tree, patch)):
        if change.before is not ABSENT:
            assert value_at(part, change.path) is change.before


def test_types_matter() -> None:
    values: list[Any] = [1, 1.0, True, "1", None, [], {}]
    for place, one in enumerate(values):
        for other in values[place + 1 :]:
            assert not same(one, other)
            assert digest_of(one) != digest_of(other)
    assert size_of({"é": 1}) == len('{"é":1}'.encode())


def test_what_cannot_be_put_back_is_known() -> None:
    assert is_exact({"a": [{"b": 1}], "c": 1.5})
    assert not is_exact({"a": {"b": None}})
    assert is_exact([1e19])
    patch: dict[str, Any] = {}
    put(patch, ("a", "b"), ABSENT)
    assert patch == {"a": {"b": None}}
    assert value_at({"a": 1}, ("a", "b")) is ABSENT


def test_a_value_that_somebody_changed_is_left_unless_it_is_forced() -> None:
    changes = decode_changes([["public_metadata", ["plan"], ["free"], ["pro"]], ["public_metadata", ["n"], [None], []]])
    now = {"public_metadata": {"plan": "enterprise"}}
    judged = judge(now, changes, force=False)
    assert (judged.left, judged.inexact, judged.patch) == (["public_metadata.plan"], ["public_metadata.n"], {})
    assert judge(now, changes, force=True).patch == {"public_metadata": {"plan": "free"}}
    many = judge(now, [*changes[:1]] * 5, force=False).outcome(1, State.DONE, "user_1")
    assert "and 2 more" in many.message
