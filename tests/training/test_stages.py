"""Stages over sub-corpora, and curricula in the methods of language models."""

from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.bases.language import LanguageLearner
from manyways.training.samplers import sampler_text

CHARACTERS: dict[str, Any] = {"tokenizer": "characters", "context": 16, "size": 0.1, "batch_size": 8}


def corpora(count: int = 60, task: bool = True) -> Data:
    """Short prompts, long ones, and texts of two corpora, of growing difficulty."""
    simple = np.arange(count) % 2 == 0
    prompts = np.array(["a" * (1 + row % 7) + "=" if simple[row] else "b" * 8 + "=" for row in range(count)], object)
    columns = [
        Column("prompt", "text", prompts),
        Column("completion", "text", np.array(["ok" if each else "no no" for each in simple], object)),
        Column("text", "text", np.array([("see spot run. " if each else "lemma: x. ") * 3 for each in simple], object)),
        Column("task", "category", np.where(simple, "simple", "domain").astype(object)),
        Column("grade", "number", np.arange(count, dtype=float)),
    ]  # fmt: skip
    roles = {"prompt": ["prompt"], "completion": ["completion"], "text": ["text"], "difficulty": ["grade"]}
    return Data.from_columns(columns, {**roles, **({"task": ["task"]} if task else {})}, name="corpora")


@pytest.fixture(scope="module")
def start() -> mw.Model:
    return mw.Pretrain(**CHARACTERS, sampler="curriculum").fit(corpora(), budget=2)


def learner_of(method: Any, data: Data, start: Any = None, steps: int = 100) -> LanguageLearner:
    learner: LanguageLearner = method.begin(data, start, 0)
    learner.steps = steps
    return learner


def picked(learner: Any, steps: range) -> np.ndarray:
    return np.concatenate([learner.pick(learner.positions, 10, step) for step in steps])


def test_stages_come_one_after_the_other_with_some_of_before(start: mw.Model) -> None:
    data = corpora()
    sampler = "stages(simple, domain, shares=[3, 1], keep=0.2)"
    learner = learner_of(mw.SFT(sampler=sampler), replaced(data, difficulty=None), start)
    simple = data.columns["task"].values == "simple"
    assert simple[picked(learner, range(75))].all()
    later = simple[picked(learner, range(75, 100))]
    assert later.mean() == pytest.approx(0.2)
    assert learner.sampler.facts()["stages"] == {"simple": 75, "domain": 100}
    assert set(picked(learner, range(3))) == set(np.flatnonzero(simple)), "each once before any again"
    model = mw.SFT(sampler=sampler, batch_size=4).fit(replaced(data, difficulty=None), start, budget=8)
    assert model.lineage.facts["stages"] == {"simple": 6, "domain": 8}
    assert "mixture" not in model.lineage.facts


def replaced(data: Data, **roles: Any) -> Data:
    given = {name: columns for name, columns in {**data.roles, **roles}.items() if columns}
    return Data.from_columns(data.columns.values(), given, name=data.name)


def test_windows_of_running_text_are_of_the_stage_of_their_row() -> None:
    data = replaced(corpora(), difficulty=None)
    data = data.select(np.argsort(data.take("task") == "simple", kind="stable"))
    learner: Any = learner_of(mw.Pretrain(**CHARACTERS, sampler="stages(simple, domain)"), data)
    windows = learner.pick(learner.windows, 8, 0)
    text = learner.tokenizer.decode(learner.stream[windows[0] * 16 : windows[0] * 16 + 16].tolist())
    assert "lemma" not in text
    assert set(learner.row_of[windows]) <= set(np.flatnonzero(data.take("task") == "simple"))
    assert set(learner.row_of[learner.pick(learner.windows, 8, 99)]) <= set(
        np.flatnonzero(data.take("task") == "domain")
    )


def test_language_methods_take_easy_rows_first(start: mw.Model) -> None:
    data = corpora(task=False)
    by_column: Any = learner_of(mw.SFT(sampler="curriculum(start=0.2)"), data, start)
    assert set(picked(by_column, range(1))) <= set(range(12))
    plain = replaced(data, difficulty=None)
    by_length: Any = learner_of(mw.SFT(sampler="curriculum(difficulty=length, start=0.2)"), plain, start)
    lengths = by_length.lengths()[0]
    assert lengths[picked(by_length, range(1))].max() < np.median(lengths)
    masked: Any = learner_of(mw.MaskedLM(**CHARACTERS, sampler="curriculum(difficulty=rarity, start=0.3)"), plain)
    assert len(set(masked.pick(masked.positions, 8, 0)) & set(masked.positions)) == 8
    windows: Any = learner_of(mw.Pretrain(**CHARACTERS, sampler="curriculum(start=0.1)"), data)
    assert windows.row_of[windows.pick(windows.windows, 4, 0)].max() < 12
    with pytest.raises(NeedsError, match="does not use the role difficulty"):
        mw.SFT().fit(data, start, budget=2)
    with pytest.raises(NeedsError, match="is of methods that learn one label of rows"):
        mw.SFT(sampler="curriculum(difficulty=loss, small_steps=1)").fit(plain, start, budget=3)
    with pytest.raises(NeedsError, match="has none of single rows"):
        mw.SFT(sampler="self-paced").fit(plain, start, budget=3)


def test_a_curriculum_of_several_tasks_rests_on_their_mixture(start: mw.Model) -> None:
    data = corpora()
    learner: Any = learner_of(mw.SFT(mix="equal", sampler="curriculum(start=0.2)"), data, start)
    rows = picked(learner, range(1))
    assert rows.max() < 14
    assert 3 <= (data.columns["task"].values[rows] == "simple").sum() <= 7, "the easiest of each"


def test_what_are_no_stages_is_refused(start: mw.Model) -> None:
    data = replaced(corpora(), difficulty=None)
    for sampler, message in (
        ("stages(simple, domian)", "No training row is of the stage 'domian'; .*Did you mean 'domain'"),
        ("stages(simple)", "The stages leave out 'domain' of 'task'. Name it, too"),
    ):
        with pytest.raises(DataError, match=message):
            mw.SFT(sampler=sampler).fit(data, start, budget=2)
    with pytest.raises(NeedsError, match='needs to know the stage of each row. Name the column: task="…"'):
        mw.SFT(sampler="stages").fit(replaced(data, task=None), start, budget=2)
    with pytest.raises(DataError, match="Stages are two or more"):
        mw.SFT(sampler="stages").fit(data.select(np.arange(0, 60, 2)), start, budget=2)
    with pytest.raises(ParameterError, match="must be one for each of 2 stages"):
        mw.SFT(sampler="stages(a, b, shares=[1])")
    with pytest.raises(ParameterError, match="must name each stage once"):
        mw.SFT(sampler="stages(a, a)")
    assert (
        sampler_text("stages('a b', c, shares=[1, 2], base=epochs)") == "stages('a b', c, base=epochs, shares=(1, 2))"
    )
