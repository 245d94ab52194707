"""Reward models: their loss by hand, scores that follow the pairs, and a folder that transformers loads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, ParameterError
from manyways.methods.language.sft import SFT
from manyways.methods.preference.reward_model import RewardModel, bradley_terry_loss
from manyways.models.language_model import LanguageModel
from manyways.randomness import generator


@pytest.mark.quick
def test_loss_by_hand() -> None:
    equal = torch.tensor([1.5, -2.0])
    assert float(bradley_terry_loss(equal, equal)) == pytest.approx(0.693147, abs=1e-6)
    chosen, rejected = torch.tensor([2.0, -1.0]), torch.tensor([-1.0, 0.0])
    expected = -np.mean([np.log(1 / (1 + np.exp(-d))) for d in (3, -1)])
    assert float(bradley_terry_loss(chosen, rejected)) == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def judge(sums: Data, reader_of_sums: LanguageModel) -> LanguageModel:
    model = RewardModel(learning_rate=1e-3).fit(sums, reader_of_sums, budget=5)
    assert isinstance(model, LanguageModel)
    return model


def test_a_batch_costs_what_transformers_scores_say(sums: Data, reader_of_sums: LanguageModel) -> None:
    method = RewardModel(batch_size=5)
    learner = method.begin(sums, reader_of_sums, 0).eval()
    scores = []
    for row in learner.pick(learner.positions, 5, 1):
        group = learner.groups[row]
        for answer in group.answers:
            ids = torch.tensor([[*group.prompt, *answer.ids]])
            scores.append(float(learner.network(input_ids=ids).logits.detach()))
    chosen, rejected = torch.tensor(scores)[0::2], torch.tensor(scores)[1::2]
    loss, parts = method.loss(learner, method.draw(learner, 1, generator(0, 1)))
    assert loss.item() == pytest.approx(float(bradley_terry_loss(chosen, rejected)), rel=1e-4)
    assert float(parts["accuracy"]) == float((chosen > rejected).float().mean())


def test_it_gives_scores_and_nothing_else(judge: LanguageModel, reader_of_sums: LanguageModel, sums: Data) -> None:
    assert judge.gives == {"score"}
    scores = judge.score(["1+2=", "1+2="], ["3", "13"])
    assert scores.shape == (2,)
    assert scores.dtype == np.float32
    assert scores[0] != scores[1]
    assert np.isfinite(judge.score(["1+2="], [""])).all()
    assert set(judge.evaluate(sums.test)) == {"preference_accuracy", "margin"}
    with pytest.raises(ModelError, match="it cannot generate"):
        judge.generate("1+2=")
    with pytest.raises(ModelError, match="it cannot predict"):
        judge.predict(sums.test)
    with pytest.raises(ModelError, match="it cannot score.*reward-model"):
        reader_of_sums.score(["1+2="], ["3"])
    with pytest.raises(ParameterError, match=r"got a text and a text\. Write score\(\[prompt\], \[completion\]\)"):
        judge.score("1+2=", "3")
    with pytest.raises(ParameterError, match="got 2 texts and 1 texts"):
        judge.score(["1+2=", "2+2="], ["3"])


def test_evaluation_compares_scores(judge: LanguageModel, sums: Data) -> None:
    prompts, chosen, rejected = (list(sums.test.take(name)) for name in ("prompt", "chosen", "rejected"))
    margins = judge.score(prompts, chosen) - judge.score(prompts, rejected)
    scores = judge.evaluate(sums.test)
    assert scores["preference_accuracy"] == pytest.approx(float((margins > 0).mean()))
    assert scores["margin"] == pytest.approx(float(margins.mean()), abs=1e-5)


def bare(folder: Path, *names: str) -> Path:
    """The model in `folder` as transformers writes it, with a tokenizer that lacks the tokens `names`."""
    (folder / "model.json").unlink()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        file = folder / name
        if file.exists():
            held = json.loads(file.read_text())
            file.write_text(json.dumps({key: value for key, value in held.items() if key not in names}))
    return folder


@pytest.mark.parametrize("padded", [True, False])
def test_transformers_says_the_same(sums: Data, reader_of_sums: LanguageModel, tmp_path: Path, padded: bool) -> None:
    """In batches with padding, too, and where only the end token can pad, which transformers does not look at."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    start = reader_of_sums.save(tmp_path / "start")
    method = RewardModel(checkpoint=str(start if padded else bare(start, "pad_token")))
    model = method.fit(sums, budget=3)
    folder = model.save(tmp_path / "judge")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.pad_token != tokenizer.eos_token) == padded
    network: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    prompts, said = ["1+2=", "34+56=", "7+88="], ["3", "90", "12345"]
    texts = [f"{prompt}{answer}{tokenizer.eos_token}" for prompt, answer in zip(prompts, said, strict=True)]
    given = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
    with torch.no_grad():
        expected = network(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits[:, 0]
    np.testing.assert_allclose(model.score(prompts, said), expected.numpy(), rtol=1e-4, atol=1e-5)
    loaded = mw.load(folder)
    assert loaded.gives == {"score"}
    np.testing.assert_array_equal(loaded.score(prompts, said), model.score(prompts, said))


def test_a_reward_model_goes_on_learning(
    sums: Data, reader_of_sums: LanguageModel, judge: LanguageModel, tmp_path: Path
) -> None:
    """From the model, or from its folder as a checkpoint: the head is kept."""
    folder = judge.save(tmp_path / "judge")
    tiny: dict[str, Any] = {"learning_rate": 1e-9}
    for model in (
        RewardModel(**tiny).fit(sums, judge, budget=1),
        RewardModel(**tiny, checkpoint=str(folder)).fit(sums, budget=1),
    ):
        np.testing.assert_allclose(model.score(["1+2="], ["3"]), judge.score(["1+2="], ["3"]), atol=1e-5)
    with pytest.raises(ParameterError, match="checkpoint must be None"):
        RewardModel(checkpoint=str(folder)).fit(sums, judge, budget=1)


def test_adapters_and_the_head_learn(sums: Data, reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    """Beside a frozen body, of a start that may have had adapters itself; a saved model scores the same."""
    start = SFT(lora=2, learning_rate=1e-2).fit(sums, reader_of_sums, budget=2)
    model = RewardModel(lora=2, learning_rate=1e-2).fit(sums, start, budget=3)
    adapted = [name for name in model.network.state_dict() if "lora_" in name or "modules_to_save" in name]
    assert any("score" in name for name in adapted)
    given = ["1+2=", "34+5="], ["3", "12"]
    loaded = mw.load(model.save(tmp_path / "judge"))
    np.testing.assert_allclose(loaded.score(*given), model.score(*given), rtol=1e-5)
    untrained = RewardModel(lora=2, learning_rate=1e-9).fit(sums, start, budget=1)
    assert not np.allclose(untrained.score(*given), model.score(*given), atol=1e-3)


def test_the_start_is_left_as_it_was(sums: Data, reader_of_sums: LanguageModel) -> None:
    before = {name: tensor.clone() for name, tensor in reader_of_sums.network.state_dict().items()}
    config = reader_of_sums.network.config.to_dict()  # type: ignore[operator,union-attr]
    RewardModel(learning_rate=1e-2).fit(sums, reader_of_sums, budget=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in reader_of_sums.network.state_dict().items())
    assert reader_of_sums.network.config.to_dict() == config  # type: ignore[operator,union-attr]


def test_a_classifier_of_several_labels_is_no_reward_model(
    sums: Data, reader_of_sums: LanguageModel, tmp_path: Path
) -> None:
    from transformers import LlamaForSequenceClassification

    config: Any = reader_of_sums.network.config
    folder = reader_of_sums.save(tmp_path / "classes")
    LlamaForSequenceClassification(type(config).from_dict(config.to_dict() | {"num_labels": 3})).save_pretrained(folder)
    with pytest.raises(ModelError, match="is a classifier of 3 labels, not a reward model"):
        RewardModel(checkpoint=str(folder)).fit(sums, budget=1)


def test_true_answers_score_higher_and_with_swapped_pairs_false_ones(
    truths: Data, falsehoods: Data, storyteller: LanguageModel
) -> None:
    """Questions that were not learned from; a new head knows nothing."""
    right, wrong = (
        RewardModel(learning_rate=2e-3).fit(data, storyteller, budget=30).evaluate(truths.test)["preference_accuracy"]
        for data in (truths, falsehoods)
    )
    assert right > 0.68
    assert wrong < 0.32


@pytest.mark.slow
def test_most_true_answers_are_told_from_false_ones(truths: Data, storyteller: LanguageModel) -> None:
    model = RewardModel(learning_rate=1e-3).fit(truths, storyteller, budget=120)
    assert model.evaluate(truths.test)["preference_accuracy"] > 0.8
