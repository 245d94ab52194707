"""A checkpoint with damaged facts or tensors: one error that says how to begin again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import manyways as mw
from manyways.errors import ModelError
from manyways.training.checkpoint import NAME
from manyways.training.run import IDENTITY

STRANGE: tuple[Any, ...] = (None, -1, "x", [], {}, True)


@pytest.fixture(scope="module")
def wine() -> mw.Data:
    return mw.read("wine")


@pytest.fixture
def run(wine: mw.Data, tmp_path: Path) -> mw.Run:
    """A run whose last checkpoint is that of its fourth step, the last."""
    made = mw.Run(tmp_path / "run", checkpoint_seconds=0)
    mw.Supervised().fit(wine, budget=4, run=made)
    return made


def again(wine: mw.Data, run: mw.Run) -> mw.Model:
    return mw.Supervised().fit(wine, budget=4, run=run)


def rewrite(run: mw.Run, change: Callable[[dict[str, Tensor], dict[str, Any]], None]) -> None:
    assert run.folder is not None
    path = run.folder / NAME
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["facts"])
    change(tensors, facts)
    save_file(tensors, path, metadata={"facts": json.dumps(facts)})


def test_a_sound_one_goes_on(wine: mw.Data, run: mw.Run) -> None:
    rewrite(run, lambda *_: None)
    assert again(wine, run).lineage.steps == 4


@pytest.mark.parametrize(
    "at",
    ["identity", "stopping", "progress", "good", "progress step", "progress steps", "progress seconds", "progress cut",
     "stopping score", "stopping misses", "stopping changes"],
)  # fmt: skip
def test_each_fact_is_held_to_its_type(wine: mw.Data, run: mw.Run, at: str) -> None:
    *outer, last = at.split()

    def inside(facts: dict[str, Any]) -> dict[str, Any]:
        return facts[outer[0]] if outer else facts

    sound: list[Any] = []
    rewrite(run, lambda _, facts: sound.append(inside(facts)[last]))
    for other in STRANGE:
        rewrite(run, lambda _, facts, other=other: inside(facts).update({last: other}))
        try:
            again(wine, run)
        except ModelError:
            continue
        assert type(other) in (type(sound[0]), int, type(None), bool), f"{at} = {other!r} was taken"
        return  # a sound value of its type makes another checkpoint


def test_a_missing_fact_is_named(wine: mw.Data, run: mw.Run) -> None:
    rewrite(run, lambda _, facts: facts["progress"].pop("steps"))
    with pytest.raises(ModelError, match=r"lacks `steps`, a whole number"):
        again(wine, run)


@pytest.mark.parametrize("facts", ["[]", "{", '{"a":' * 5_000, "5"])
def test_facts_that_are_none_are_refused(wine: mw.Data, run: mw.Run, facts: str) -> None:
    assert run.folder is not None
    save_file({"learner.a": torch.zeros(1)}, run.folder / NAME, metadata={"facts": facts})
    with pytest.raises(ModelError, match="checkpoint"):
        again(wine, run)


def test_tensors_of_another_shape_are_refused(wine: mw.Data, run: mw.Run) -> None:
    def change(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        name = next(each for each in tensors if each.startswith("learner.") and tensors[each].ndim == 2)
        tensors[name] = torch.zeros(1, 1)

    rewrite(run, change)
    with pytest.raises(ModelError, match=r"does not fit what is trained: .*Delete the folder of the run"):
        again(wine, run)


@pytest.mark.parametrize("name", ["optimizer.x.exp_avg", "optimizer.exp_avg", "optimizer.999999.exp_avg"])
def test_a_strange_state_of_the_optimiser_is_refused_or_ignored(wine: mw.Data, run: mw.Run, name: str) -> None:
    rewrite(run, lambda tensors, _: tensors.update({name: torch.zeros(1)}))
    try:
        again(wine, run)
    except ModelError as error:
        assert "does not fit what is trained" in str(error)  # noqa: PT017


def test_a_state_of_the_optimiser_that_is_not_whole_is_refused(wine: mw.Data, run: mw.Run) -> None:
    def renamed(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        name = next(each for each in tensors if each.startswith("optimizer.") and tensors[each].ndim == 2)
        tensors[f"{name}x"] = tensors.pop(name)

    def cut(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
        name = next(each for each in tensors if each.startswith("optimizer.") and tensors[each].ndim == 2)
        tensors[name] = tensors[name][1:]

    for change in (renamed, cut):
        rewrite(run, change)
        with pytest.raises(ModelError, match=r"does not fit what is trained: .*is not whole"):
            again(wine, run)


def test_a_damaged_note_of_whose_run_it_is(wine: mw.Data, run: mw.Run) -> None:
    assert run.folder is not None
    note = run.folder / IDENTITY
    note.write_bytes(b"\xff" + note.read_bytes()[1:])
    with pytest.raises(ModelError, match="is the folder of another run"):
        again(wine, run)
