"""SelfTraining around SFT: prompts without a completion are answered, and good answers are learned."""

from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.semi_supervised._answers import Asking, answered_part, with_answers, without_answer
from manyways.models.language_model import LanguageModel

SFT = mw.SFT(batch_size=8)


def letters(answered: int = 20, count: int = 40) -> Data:
    """Prompts of a letter, answered by the same letter twice; only the first ones are."""
    prompts = np.array(["abcdefgh"[row % 8] + "=" for row in range(count)], object)
    completions = np.array([prompt[0] * 2 for prompt in prompts], object)
    texts = np.array([prompt + text for prompt, text in zip(prompts, completions, strict=True)], object)
    completions[answered:] = [None, "  "] * ((count - answered) // 2)
    columns = [Column(name, "text", values) for name, values in
               (("prompt", prompts), ("completion", completions), ("text", texts))]  # fmt: skip
    return Data.from_columns(columns, {name: [name] for name in ("prompt", "completion", "text")}, name="letters")


@pytest.fixture(scope="module")
def start() -> LanguageModel:
    """A model that has read the letters, and so answers some prompts rightly."""
    model = mw.Pretrain(tokenizer="characters", context=16, size=0.1, batch_size=8).fit(letters(), budget=250)
    assert isinstance(model, LanguageModel)
    return model


def doubled(prompts: list[str], completions: list[str]) -> list[float]:
    return [float(text.strip() == prompt[0] * 2) for prompt, text in zip(prompts, completions, strict=True)]


def test_answers_that_the_reward_likes_are_learned_and_stated(start: LanguageModel) -> None:
    data = letters()
    seen: list[Data] = []
    fit = mw.SFT.learn

    def watched(self: mw.SFT, rows: Data, *rest: Any) -> Any:
        seen.append(rows)
        return fit(self, rows, *rest)

    method = mw.SelfTraining(base=SFT, reward=doubled, samples=8, longest=4, temperature=1.0, rounds=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mw.SFT, "learn", watched)
        model = method.fit(data, start, budget=160)
    first, second = seen
    assert len(first) == 20
    guesses = model.lineage.facts["guesses"]
    assert model.lineage.facts["asked"] == 20
    assert 0 < len(guesses) == model.lineage.facts["answered"] == len(second) - 20
    assert min(guesses) >= 20
    added = second.columns["completion"].take(np.array(guesses))
    prompts = data.columns["prompt"].take(np.array(guesses))
    assert all(text.strip() == prompt[0] * 2 for prompt, text in zip(prompts, added, strict=True))
    assert data.columns["completion"].values[20] is None, "the data stay as they were"
    assert model.lineage.steps == 160
    assert "generate" in model.gives


def test_confidence_is_the_mean_probability_of_the_tokens(start: LanguageModel) -> None:
    data = letters()
    every = with_answers(data, start, Asking(2, 4, 1.0, None, 0.0), "cpu", 3)
    rows = np.setdiff1d(without_answer(data), without_answer(every))
    assert len(rows) > 5
    again = with_answers(data, start, Asking(2, 4, 1.0, None, 0.0), "cpu", 3)
    assert every.columns["completion"].take(rows).tolist() == again.columns["completion"].take(rows).tolist()
    confidences = []
    for row in rows:
        prompt, text = (str(every.columns[name].values[row]) for name in ("prompt", "completion"))
        ids = start.tokenizer(prompt + text, add_special_tokens=False)["input_ids"] + [start.tokenizer.eos_token_id]
        with torch.no_grad():
            log_probs = start.network(input_ids=torch.tensor([ids])).logits.log_softmax(-1)[0]
        asked = len(start.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        own = [float(log_probs[at - 1, ids[at]]) for at in range(asked, len(ids))]
        confidences.append(np.exp(np.mean(own)))
    ordered = np.sort(confidences)
    widest = int(np.diff(ordered).argmax())
    middle = float(ordered[widest : widest + 2].mean())
    sure = with_answers(data, start, Asking(2, 4, 1.0, None, middle), "cpu", 3)
    kept = np.setdiff1d(without_answer(data), without_answer(sure))
    assert set(kept) == {row for row, each in zip(rows, confidences, strict=True) if each >= middle}


def test_no_answer_above_the_threshold_changes_nothing(start: LanguageModel) -> None:
    data = letters()
    model = mw.SelfTraining(base=SFT, threshold=1 - 1e-9, longest=4, rounds=2).fit(data, start, budget=8)
    alone = SFT.fit(answered_part(data), start, budget=4)
    assert model.lineage.facts["answered"] == 0
    for ours, theirs in zip(model.network.parameters(), alone.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_it_chains_and_refuses_what_it_cannot_learn(start: LanguageModel) -> None:
    chain = mw.parse_method("pretrain >> self-training(base=sft(batch_size=4), samples=2) >> dpo")
    assert "self-training(base=sft(batch_size=4), samples=2)" in str(chain)
    assert mw.parse_method(str(chain)) == chain
    method = mw.SelfTraining(base=SFT)
    for answered, message in ((40, "needs prompts without a completion, and all 40"), (0, "needs some completions")):
        with pytest.raises(NeedsError, match=message):
            method.fit(letters(answered), start, budget=6)
    with pytest.raises(NeedsError, match="needs prompts, some of which have a completion"):
        method.fit(mw.read("digits"), start, budget=6)
    with pytest.raises(NeedsError, match="it starts from a model"):
        method.fit(letters(), budget=6)
    with pytest.raises(ParameterError, match=r"SelfTraining\.samples is of answers to prompts, which base=sft learns"):
        mw.SelfTraining(samples=2)
    with pytest.raises(ParameterError, match="reward must be"):
        mw.SelfTraining(base=SFT, reward="no such")
