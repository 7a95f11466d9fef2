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
