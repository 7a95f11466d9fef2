"""The package's front: its names are there, and each costs only its own module."""

from __future__ import annotations

import subprocess
import sys

import pytest

import clerk_limits


@pytest.mark.parametrize("name", clerk_limits.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(clerk_limits, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = clerk_limits.Nothing  # type: ignore[attr-defined]


def test_looking_up_a_documented_limit_brings_in_no_gate() -> None:
    script = "import sys, clerk_limits; clerk_limits.LIMITS; print('clerk_limits.gate' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
