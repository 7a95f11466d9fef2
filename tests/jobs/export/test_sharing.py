"""Sharing slices where nobody has anything to share."""

from __future__ import annotations

from clerk_jobs.export.sharing import Sharing


def test_nothing_is_taken_while_every_slice_waits_for_its_proof() -> None:
    """Hundreds of users are missing from what was counted, because they were deleted: no reason to look for a part."""
    sharing = Sharing.cut(0, 4_000, 4, page_size=50, total=4_000)
    for each in sharing.slices.values():
        each.state = "check"
    assert sharing.take_part() is None
    assert len(sharing.slices) == 4


def test_users_that_no_density_explains_are_looked_for_in_the_longest_time() -> None:
    sharing = Sharing.cut(0, 4_000, 1, page_size=50, total=4_000)
    sharing.slices[0].per_ms = 0.0
    shared = sharing.take_part()
    assert shared is not None
    giver, part = shared
    assert (giver.low_ms, giver.high_ms, part.low_ms, part.high_ms) == (0, 2_000, 2_000, 4_000)


def test_the_rest_of_a_slice_is_asked_for_while_its_page_is_on_its_way() -> None:
    """Else the end of an export is a chain of short pages, each of them an answer long."""
    sharing = Sharing.cut(0, 4_000, 1, page_size=50, total=4_000)
    one = sharing.slices[0]
    one.per_ms, one.hoped = 1.0, 60.0
    one.high_ms = 60
    shared = sharing.take_part()
    assert shared is not None
    giver, part = shared
    # The page on its way brings 50 rows, and so certainly those of 40 milliseconds.
    assert (giver.low_ms, giver.high_ms, part.low_ms, part.high_ms, part.hoped) == (0, 40, 40, 60, 20.0)


def test_what_fits_into_the_page_on_its_way_is_not_shared() -> None:
    sharing = Sharing.cut(0, 40, 1, page_size=50, total=None)
    sharing.slices[0].per_ms = 1.0
    assert sharing.take_part() is None
