"""The cookbook is true: every recipe is played against the simulator, and comes out as it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from clerk_testing.recipes import EXAMPLES, RECIPES, play, without_chance


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.relative_to(EXAMPLES)))
def test_a_recipe_comes_out_as_it_says(recipe: Path, tmp_path: Path) -> None:
    played = 0
    for step, ended in play(recipe, tmp_path):
        assert ended.returncode == step.exit, (step.command, ended.stdout, ended.stderr)
        if step.printed is not None:
            assert without_chance(ended.stdout) == step.printed, (step.command, ended.stderr)
            played += 1
    assert played, "a recipe says what comes of it"
    for expected in recipe.glob("expected/*"):
        assert (tmp_path / recipe.name / expected.name).read_bytes() == expected.read_bytes(), expected.name


def test_the_list_of_recipes_is_whole() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for recipe in RECIPES:
        assert f"]({recipe.relative_to(EXAMPLES)})" in page, recipe


@pytest.mark.parametrize("name", ["cronjob.yml", "github-actions.yml"])
def test_what_others_schedule_is_sound(name: str) -> None:
    text = (EXAMPLES / "exports" / name).read_text(encoding="utf-8")
    (document,) = yaml.safe_load_all(text)
    assert isinstance(document, dict)
    assert "clerk-batch" in text
    assert "sk_" not in text, "a key is a secret of the scheduler's"


def test_a_pod_finds_its_state_folder_as_it_left_it() -> None:
    """By default each start of a pod lets the group write into all of a volume: such a state folder is refused."""
    job = yaml.safe_load((EXAMPLES / "exports" / "cronjob.yml").read_text(encoding="utf-8"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    recipe = (EXAMPLES / "exports" / "Containerfile").read_text(encoding="utf-8")
    assert f"useradd --uid {pod['securityContext']['runAsUser']} " in recipe
    assert f"--tag {pod['containers'][0]['image']} " in recipe
