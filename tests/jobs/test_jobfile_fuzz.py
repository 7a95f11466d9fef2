"""Whatever stands in a job file, loading it gives a job or a `JobFileError`, never anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clerk_jobs.errors import JobFileError
from clerk_jobs.jobfile import InviteJob, Job, load_job

GOOD = """\
name: beta-invites
kind: invite
source: {csv: people.csv, delimiter: ";"}
email: "{email}"
organization: "{org_id}"
role: org:member
public_metadata: {cohort: "{cohort}", seats: "{seats:int}", tags: [a, 'b {x?}']}
notify: true
limits: {share: 0.7, quota_share: 0.9, per_hour: 50}
errors: {stop_after: 5%}
reconcile: {quarantine: 120s}
"""
# One folder serves all examples of a test: each example writes the one file anew.
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
trees = st.recursive(
    scalars | st.sampled_from(["{email}", "120s", "5%", "people.csv", "{x:int}", "both"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*InviteJob.__struct_fields__, "kind", "share", "csv"]) | st.text(max_size=6)


def attempt(folder: Path, data: bytes, *overrides: tuple[str, str]) -> Job | JobFileError:
    file = folder / "job.yaml"
    file.write_bytes(data)
    try:
        return load_job(file, overrides)
    except JobFileError as error:
        return error


def check(result: Job | JobFileError) -> None:
    if isinstance(result, JobFileError):
        assert result.faults
        assert all(fault.message for fault in result.faults)
        assert all((fault.line is None) == (fault.column is None) for fault in result.faults)
        assert "\x1b" not in str(result)
    else:
        assert json.loads(result.effects_identity())


@reuse
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    check(attempt(tmp_path, data))


@reuse
@given(text=st.text(max_size=200) | st.text(alphabet="ab:{}[]-?!&*|>'\"\\% \n\t#,~<0.x", max_size=60))
@example(text="? - ? - a")
@example(text="a: |\n\tb")
@example(text="!<")
@example(text='"\\x')
@example(text="%TAG ! a\n--- !b c")
def test_any_text(tmp_path: Path, text: str) -> None:
    check(attempt(tmp_path, text.encode("utf-8", "surrogatepass")))


@reuse
@given(data=st.data())
def test_a_good_file_with_a_few_changes(tmp_path: Path, data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.text(alphabet="{}[]:?'\"\\ \n\t-,&*!%0aé\x1b", max_size=3)) + text[at + cut :]
    check(attempt(tmp_path, text.encode()))


@reuse
@given(tree=st.dictionaries(keys, trees, max_size=8))
def test_any_values_under_any_keys(tmp_path: Path, tree: dict[str, object]) -> None:
    text = json.dumps({"name": "a", "kind": "invite", "source": "p.csv", "email": "{email}"} | tree)
    check(attempt(tmp_path, text.encode()))


@reuse
@given(path=st.text(max_size=12) | keys.map(lambda key: f"{key}.x"), value=st.text(max_size=12))
@example(path="public_metadata.a", value='"\\UFFFFFFFF"')
@example(path="limits[999999999999]", value="")
def test_any_override(tmp_path: Path, path: str, value: str) -> None:
    check(attempt(tmp_path, GOOD.encode(), (path, value)))


@pytest.mark.parametrize("text", ["&a [*a]", "{" * 5000, "- " * 5000, "a: " * 5000, "? " * 5000, "\n" * 100_000])
def test_awkward_files(tmp_path: Path, text: str) -> None:
    assert isinstance(attempt(tmp_path, text.encode()), JobFileError)
