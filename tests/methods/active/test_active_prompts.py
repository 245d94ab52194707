"""ActivePrompts: prompts on which a language model disagrees with itself are answered first."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import AnswersAwaited, NeedsError
from manyways.methods.active.active_prompts import ActivePrompts, as_answers, as_questions
from manyways.methods.bases.acquisition.disagreement import answer_distance, answer_entropy
from manyways.methods.language.pretrain import Pretrain
from manyways.methods.language.sft import SFT
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.training.run import Run

BASE = SFT(batch_size=8, learning_rate=1e-3)


@pytest.fixture(scope="module")
def sums() -> Data:
    return mw.read("arithmetic").select(np.arange(120)).with_test(0.2)


@pytest.fixture(scope="module")
def reader(sums: Data) -> Model:
    return Pretrain(tokenizer="characters", context=32, size=0.35, batch_size=16).fit(sums, budget=40)


def blank(data: Data, kept: int) -> Data:
    """`data` of which only the first completions are there."""
    (name,) = data.roles["completion"]
    column = data.columns[name]
    values = np.array(column.values[np.arange(len(column))], object)
    training = np.flatnonzero(data.part == 0)
    values[training[kept:]] = ""
    return replace(data, columns={**data.columns, name: replace(column, values=values)})


@pytest.mark.quick
def test_disagreement_by_hand() -> None:
    assert answer_entropy(["Paris.", "paris", " PARIS "]) == 0
    assert answer_entropy(["a", "b", "a", "b"]) == pytest.approx(np.log(2))
    assert answer_distance(["red b", "RED  b!"]) == 0
    assert answer_distance(["red b", "red c", "d"]) == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.quick
def test_blank_completions_are_questions_and_answers_are_completions(sums: Data) -> None:
    asked = as_questions(blank(sums, 10))
    assert asked.training.labelled.sum() == 10
    assert not asked.has("completion")
    answered = as_answers(asked)
    assert len(answered.training) == 10
    assert answered.roles["completion"] == sums.roles["completion"]


def test_it_asks_where_its_samples_disagree(sums: Data, reader: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """With samples that are all alike but for some prompts, those are asked about; and only their answers learned."""
    calls: list[Data] = []

    def oracle(rows: Data) -> list[str]:
        calls.append(rows)
        return [str(eval(text.rstrip("="))) for text in rows.take("prompt").tolist()]

    unsure = {str(text) for text in sums.training.take("prompt")[-20:]}

    def generate(self: LanguageModel, prompts: list[str], **options: Any) -> list[str]:
        return [f"{at}" if text in unsure else "7" for at, text in enumerate(prompts)]

    monkeypatch.setattr(LanguageModel, "generate", generate)
    method = ActivePrompts(base=BASE, questions=8, rounds=2, samples=3, oracle=oracle)
    model = method.fit(blank(sums, 10), reader, budget="9 steps")
    assert [len(rows) for rows in calls] == [4, 4]
    assert all(str(text) in unsure for rows in calls for text in rows.take("prompt"))
    assert [parent.steps for parent in model.lineage.parents[:2]] == [3, 3]
    assert len(model.lineage.rows) == 18
    calls.clear()
    replace(method, strategy="random").fit(blank(sums, 10), reader, budget="9 steps")
    assert not all(str(text) in unsure for rows in calls for text in rows.take("prompt"))


def test_samples_are_of_the_latest_model(sums: Data, reader: Model) -> None:
    """Answers that are a label may be hidden, and are revealed; without any the start's samples choose the first."""
    hidden = as_questions(sums)
    bare = hidden.hide(np.arange(len(hidden)))
    method = ActivePrompts(base=BASE, questions=6, rounds=2, samples=3, longest=4)
    model = method.fit(bare, reader, budget="4 steps")
    assert len(model.lineage.rows) == 6
    assert isinstance(model, LanguageModel)
    assert method.fit(bare, reader, budget="4 steps").lineage.rows.tolist() == model.lineage.rows.tolist()
    assert method.fit(bare, reader, budget="4 steps", seed=1).lineage.rows.tolist() != model.lineage.rows.tolist()


def test_a_person_answers_prompts_in_a_file(sums: Data, reader: Model, tmp_path: Path) -> None:
    import json

    path = tmp_path / "questions.json"
    method = ActivePrompts(base=BASE, questions=4, rounds=1, samples=2, longest=4, oracle=mw.QuestionFile(path))
    few = blank(sums, 10)
    with pytest.raises(AnswersAwaited, match="4 rows"):
        method.fit(few, reader, budget="2 steps", run=Run(tmp_path / "run"))
    entries = json.loads(path.read_text("utf-8"))
    assert all(entry["prompt"].endswith("=") for entry in entries)
    path.write_text(json.dumps([{**entry, "answer": 5} for entry in entries]), "utf-8")
    assert len(method.fit(few, reader, budget="2 steps", run=Run(tmp_path / "run")).lineage.rows) == 14


def test_what_it_cannot_ask_is_said(sums: Data, reader: Model) -> None:
    with pytest.raises(NeedsError, match="every training row has one"):
        ActivePrompts().fit(sums, reader)
    with pytest.raises(NeedsError, match="asks for 10 labels, and 0 training rows have a hidden label"):
        ActivePrompts().fit(blank(sums, 10), reader)
    with pytest.raises(NeedsError, match="such as sft; got supervised"):
        ActivePrompts(base=mw.Supervised())
    with pytest.raises(NeedsError, match="starts from a model"):
        ActivePrompts(oracle=len).fit(blank(sums, 10))
