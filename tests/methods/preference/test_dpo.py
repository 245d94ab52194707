"""DPO: its losses by hand, a reference that stays, and preferences that follow the pairs."""

from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.methods.preference.dpo import DPO, dpo_loss, ipo_loss
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.scoring import of_each_answer
from manyways.models.language_model import LanguageModel
from manyways.randomness import generator


@pytest.mark.quick
def test_at_the_reference_the_losses_are_those_of_the_papers() -> None:
    same = torch.tensor([0.0, -3.0, 2.0])
    assert float(dpo_loss(same, same, 0.1)) == pytest.approx(0.693147, abs=1e-6)
    assert float(dpo_loss(same, same, 0.1, 0.3)) == pytest.approx(0.693147, abs=1e-6)
    assert float(ipo_loss(same, same, 0.1)) == pytest.approx(25, abs=1e-5)


@pytest.mark.quick
def test_losses_by_hand() -> None:
    chosen, rejected = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 1.0])
    likely = [1 / (1 + np.exp(-0.5 * d)) for d in (5, -2)]
    assert float(dpo_loss(chosen, rejected, 0.5)) == pytest.approx(-np.mean(np.log(likely)), abs=1e-6)
    smoothed = [-0.8 * np.log(p) - 0.2 * np.log(1 - p) for p in likely]
    assert float(dpo_loss(chosen, rejected, 0.5, 0.2)) == pytest.approx(np.mean(smoothed), abs=1e-6)
    assert float(ipo_loss(chosen, rejected, 0.5)) == pytest.approx((4**2 + 3**2) / 2)


def alone(network: Any, prompt: list[int], answer: list[int]) -> float:
    """log p of an answer by one pass over prompt and answer."""
    ids = torch.tensor([[*prompt, *answer]])
    logits = network(input_ids=ids).logits[0].detach().log_softmax(1)
    return sum(float(logits[at - 1, ids[0, at]]) for at in range(len(prompt), ids.shape[1]))


@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo"])
def test_a_batch_costs_what_its_sequences_alone_cost(sums: Data, reader_of_sums: LanguageModel, loss_type: Any) -> None:
    """With a policy that has moved away from the start, which is the reference."""
    method = DPO(batch_size=5, loss_type=loss_type, beta=0.4, precision="float32")
    learner = method.begin(sums, reader_of_sums, 0)
    method.prepare(learner)
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter.mul_(1.1)
    batch = method.draw(learner, 3, generator(0, 3))
    ratios = []
    for row in learner.pick(learner.positions, 5, 3):
        group = learner.groups[row]
        assert len(group.answers) == 2
        for answer in group.answers:
            given = list(group.prompt), list(answer.ids)
            ratio = alone(learner.network, *given) - alone(reader_of_sums.network, *given)
            ratios.append(ratio / len(answer.ids) if loss_type == "ipo" else ratio)
    chosen, rejected = torch.tensor(ratios)[0::2], torch.tensor(ratios)[1::2]
    assert float((chosen - rejected).abs().min()) > 1e-3
    expected = ipo_loss(chosen, rejected, 0.4) if loss_type == "ipo" else dpo_loss(chosen, rejected, 0.4)
    loss, parts = method.loss(learner, batch)
    assert loss.item() == pytest.approx(float(expected), rel=1e-4)
    assert float(parts["accuracy"]) == float((chosen > rejected).float().mean())
    assert float(parts["margin"]) == pytest.approx(0.4 * float((chosen - rejected).mean()), rel=1e-3)


def test_the_policy_starts_at_the_reference_in_spite_of_dropout(sums: Data, reader_of_sums: LanguageModel) -> None:
    from dataclasses import replace

    from transformers import GPT2Config, GPT2LMHeadModel

    size = len(reader_of_sums.tokenizer)
    torch.manual_seed(0)
    dropping = GPT2LMHeadModel(
        GPT2Config(vocab_size=size, n_positions=32, n_embd=32, n_layer=1, n_head=2, bos_token_id=None, eos_token_id=1)
    )
    method = DPO(batch_size=8)
    learner = method.begin(sums, replace(reader_of_sums, network=dropping), 0)
    learner.train()
    assert learner.training
    method.prepare(learner)
    loss, parts = method.loss(learner, method.draw(learner, 0, generator(0)))
    assert loss.item() == pytest.approx(np.log(2), abs=1e-3)
    assert abs(float(parts["margin"])) < 2e-3


def test_the_reference_is_asked_once_and_stays(sums: Data, reader_of_sums: LanguageModel) -> None:
    """It is part of what a checkpoint keeps, and that of every row and not only of those of a batch."""
    method = DPO(batch_size=4, precision="float32")
    learner = method.begin(sums, reader_of_sums, 0)
    assert bool(learner.reference.isnan().all())
    method.prepare(learner)
    assert learner.state_dict()["reference"].shape == (len(sums.training), 2)
    before = learner.reference.clone()
    row = int(before.sum(1).argmin())
    expected = [
        alone(reader_of_sums.network, list(learner.groups[row].prompt), list(a.ids))
        for a in learner.groups[row].answers
    ]
    np.testing.assert_allclose(before[row].numpy(), expected, rtol=1e-4)
    loss = method.loss(learner, method.draw(learner, 0, generator(0)))[0]
    loss.backward()  # type: ignore[no-untyped-call]
    assert not learner.reference.requires_grad
    assert torch.equal(learner.reference, before)


def test_adapters_learn_beside_the_reference(sums: Data, reader_of_sums: LanguageModel) -> None:
    """With dropout of their own, which leaves the policy at the reference at first: they say nothing then."""
    method = DPO(batch_size=8, lora=4, lora_dropout=0.5, precision="float32", learning_rate=1e-2)
    learner = method.begin(sums, reader_of_sums, 0)
    learner.train()
    method.prepare(learner)
    batch = method.draw(learner, 0, generator(0))
    assert method.loss(learner, batch)[0].item() == pytest.approx(np.log(2), abs=1e-6)
    model = method.fit(sums, reader_of_sums, budget=5)
    assert model.evaluate(sums.training)["margin"] != reader_of_sums.evaluate(sums.training)["margin"]
    learner.network.load_state_dict(model.network.state_dict())
    first, second = (float(method.loss(learner, batch)[0].detach()) for _ in range(2))
    assert first != second, "the adapters drop nothing while they learn"
    learner.eval()
    first, second = (float(method.loss(learner, batch)[0].detach()) for _ in range(2))
    assert first == second


def preferred(model: LanguageModel, start: LanguageModel, data: Data) -> float:
    """The share of pairs of which training made the chosen answer the more probable one, against the start."""
    groups = start.reader().pairs(data)
    now, then = (
        of_each_answer(each.network, groups, each.tokenizer.pad_token_id, answer_log_probabilities)
        for each in (model, start)
    )
    ratios = now - then
    return float((ratios[0::2] > ratios[1::2]).float().mean())


def trained(data: Data, start: LanguageModel, steps: int, **fields: Any) -> LanguageModel:
    model = DPO(learning_rate=2e-3, **fields).fit(data, start, budget=steps)
    assert isinstance(model, LanguageModel)
    return model


def test_true_answers_are_preferred_and_with_swapped_pairs_false_ones(
    truths: Data, falsehoods: Data, storyteller: LanguageModel
) -> None:
    """Questions that were not learned from: at the start 0.56 of the true answers are the more probable ones."""
    start = storyteller.evaluate(truths.test)["preference_accuracy"]
    assert 0.5 < start < 0.6
    right, wrong = (trained(data, storyteller, 30) for data in (truths, falsehoods))
    assert right.evaluate(truths.test)["preference_accuracy"] > start + 0.05
    assert wrong.evaluate(truths.test)["preference_accuracy"] < 0.45
    assert preferred(right, storyteller, truths.test) > 0.7
    assert preferred(wrong, storyteller, truths.test) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"loss_type": "ipo"}, {"label_smoothing": 0.1}])
def test_preferences_follow_the_pairs(
    truths: Data, falsehoods: Data, storyteller: LanguageModel, fields: dict[str, Any]
) -> None:
    """0.56 at the start; swapped pairs reach 0.32 at most, two standard errors of 198 pairs below their bound."""
    right, wrong = (trained(data, storyteller, 120, **fields) for data in (truths, falsehoods))
    assert right.evaluate(truths.test)["preference_accuracy"] > 0.7
    assert wrong.evaluate(truths.test)["preference_accuracy"] < 0.39
    assert preferred(right, storyteller, truths.test) > 0.7
    assert preferred(wrong, storyteller, truths.test) < 0.3
