"""``--set key=value``: what it puts where, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from clerk_jobs.errors import JobFileError
from clerk_jobs.jobfile import InviteJob, load_job

NO_WAY = "cannot be set: the job file has no map or list at that path"
LEAST = (
    'name: beta\nkind: invite\nsource: people.csv\nemail: "{email}"\npublic_metadata: {list: [a, {b: c}]}\nlimits:\n'
)


def load(folder: Path, *overrides: tuple[str, str], text: str = LEAST) -> InviteJob:
    file = folder / "job.yaml"
    file.write_text(text)
    job = load_job(file, overrides)
    assert isinstance(job, InviteJob)
    return job


def test_values_are_put_at_their_paths(tmp_path: Path) -> None:
    job = load(
        tmp_path,
        ("limits.share", "0.5"),
        ("email", "{mail}"),
        ("errors.stop_after", "5%"),
        ("public_metadata.country", " NO "),
        ("public_metadata.number", "5"),
        ("public_metadata.text", '"5"'),
        ("public_metadata.single", "'it''s'"),
        ("public_metadata.empty", ""),
        ("public_metadata.list[0]", "{x?}"),
        ("public_metadata.list[1].b", "d"),
        ("public_metadata.map.below", "[1]"),
        ("source.csv", "other.csv"),
        text=LEAST.replace("people.csv", "{csv: people.csv}"),
    )
    assert (job.limits.share, job.errors.stop_after.share, job.source.path) == (0.5, 0.05, "other.csv")
    assert job.email.source == "{mail}"
    assert job.public_metadata is not None
    assert job.public_metadata.source == {
        "list": ["{x?}", {"b": "d"}],
        "country": "NO",
        "number": 5,
        "text": "5",
        "single": "it's",
        "empty": None,
        "map": {"below": "[1]"},
    }


def test_later_ones_win_and_mend_what_the_file_has_wrong(tmp_path: Path) -> None:
    text = LEAST.replace("beta", "-bad-")
    assert load(tmp_path, ("name", "a"), ("name", "b"), text=text).name == "b"


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (("", "x"), "--set: is not the path of a key; write --set limits.share=0.5"),
        (("a..b", "x"), "--set: is not the path of a key; write --set limits.share=0.5"),
        (("a[x]", "x"), "--set: is not the path of a key; write --set limits.share=0.5"),
        (("limits.share", "2"), "--set: limits.share: must be a number above 0 and at most 1"),
        (("limts.share", "1"), "--set: limts: is not a key here; did you mean limits?"),
        (("limits.shar", "1"), "--set: limits.shar: is not a key here; did you mean share?"),
        (("email", "{mail"), "--set: email: a brace that is never closed; write {{ for a plain brace"),
        (
            ("name", ".inf"),
            "--set: name: JSON has no infinite numbers and no NaN; write it in quotes to have it as text",
        ),
        (("name", '"a'), "--set: name: not valid YAML: found unexpected end of stream"),
        (("name", '"a": b'), "--set: name: must be one value"),
        (("name.x", "1"), f"--set: name.x: {NO_WAY}"),
        (("public_metadata.list[2]", "1"), f"--set: public_metadata.list[2]: {NO_WAY}"),
        (("public_metadata[0]", "1"), f"--set: public_metadata[0]: {NO_WAY}"),
    ],
)
def test_faults_name_the_option_and_the_key(tmp_path: Path, override: tuple[str, str], fault: str) -> None:
    with pytest.raises(JobFileError) as caught:
        load(tmp_path, override)
    assert str(caught.value) == fault
    assert (caught.value.faults[0].line, caught.value.faults[0].column) == (None, None)
