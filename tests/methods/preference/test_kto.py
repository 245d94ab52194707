"""KTO: its loss by hand, mismatched answers, what judges an answer, and preferences without any pair."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.preference.kto import KTO, kto_loss, with_mismatched
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.packing import Answer, Group, pack
from manyways.models.language_model import LanguageModel
from manyways.randomness import generator


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


@pytest.mark.quick
def test_loss_by_hand() -> None:
    """λ_D (1 − σ(β(r − z))) and λ_U (1 − σ(β(z − r))), where z is the mean of 1 and 4."""
    ratios, good = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([True, True, False])
    mismatched = torch.tensor([1.0, 4.0])
    expected = [2 * (1 - sigmoid(0.5 * (r - 2.5))) for r in (2, -1)] + [3 * (1 - sigmoid(0.5 * (2.5 - 0.5)))]
    assert float(kto_loss(ratios, good, mismatched, 0.5, 2, 3)) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.quick
def test_a_negative_divergence_counts_as_none() -> None:
    """z = max(0, …): at the reference, and wherever the estimate falls below it, every answer costs a half."""
    for good in (True, False):
        loss = kto_loss(torch.zeros(3), torch.full((3,), good), torch.tensor([-5.0, 1.0]), 0.1, 1, 1)
        assert float(loss) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.quick
def test_the_divergence_carries_no_gradient() -> None:
    mismatched = torch.tensor([1.0, 4.0], requires_grad=True)
    ratios = torch.zeros(2, requires_grad=True)
    kto_loss(ratios, torch.tensor([True, False]), mismatched, 0.1, 1, 1).backward()  # type: ignore[no-untyped-call]
    assert mismatched.grad is None
    assert ratios.grad is not None
    assert ratios.grad[0] < 0 < ratios.grad[1]


@pytest.mark.quick
def test_every_prompt_gets_the_answer_to_another() -> None:
    groups = [Group([row], (Answer([10 + row]), Answer([20 + row]))) for row in range(7)]
    for seed in (0, 1):
        mixed = with_mismatched(groups, 8, seed)
        others = [group.answers[-1].ids[0] - 10 for group in mixed]
        assert sorted(others) == list(range(7))
        assert all(other != row for row, other in enumerate(others))
        assert [group.answers[:2] for group in mixed] == [group.answers for group in groups]
    assert with_mismatched(groups, 8, 0)[0].answers[-1] != with_mismatched(groups, 8, 1)[0].answers[-1]


@pytest.mark.quick
def test_the_answer_to_another_is_cut_to_the_context() -> None:
    """A long one would not fit behind a long prompt; its own answer always does."""
    groups = [
        Group([1] * 6, (Answer([2, 3]),)),
        Group([4], (Answer([5, 6, 7, 8, 9], [True, False, True, True, True]),)),
    ]
    first, second = with_mismatched(groups, 8, 0)
    assert first.answers[1] == Answer([5, 6], [True, False])
    assert second.answers[1].ids == [2, 3]


@pytest.mark.quick
def test_one_row_has_no_other() -> None:
    with pytest.raises(DataError, match=r"there is 1 row to learn from"):
        with_mismatched([Group([1], (Answer([2]),))], 8, 0)


def test_a_batch_costs_what_its_answers_alone_cost(sums: Data, reader_of_sums: LanguageModel) -> None:
    method = KTO(batch_size=6, beta=0.3, desirable_weight=1.5, undesirable_weight=0.7, precision="float32")
    learner = method.begin(sums, reader_of_sums, 0)
    method.prepare(learner)
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter.mul_(1.1)

    def ratio(prompt: Any, answer: Answer) -> float:
        batch = pack([Group(prompt, [answer])], learner.padding)
        with torch.no_grad():
            now, then = (answer_log_probabilities(each, batch) for each in (learner.network, reader_of_sums.network))
        return float(now - then)

    judged, mismatched = [], []
    for row in learner.pick(learner.positions, 6, 2):
        group = learner.groups[row]
        chosen, rejected, other = group.answers
        judged += [ratio(group.prompt, chosen), ratio(group.prompt, rejected)]
        mismatched.append(ratio(group.prompt, other))
    good = torch.tensor([True, False] * 6)
    expected = kto_loss(torch.tensor(judged), good, torch.tensor(mismatched), 0.3, 1.5, 0.7)
    loss, parts = method.loss(learner, method.draw(learner, 2, generator(0, 2)))
    assert loss.item() == pytest.approx(float(expected), rel=1e-4)
    assert float(parts["divergence"]) == pytest.approx(np.mean(mismatched), abs=1e-4)


def judged(labels: list[Any], kind: Any = "category") -> Data:
    rows = len(labels)
    columns = [
        Column("prompt", "text", np.array([f"{row}+1=" for row in range(rows)], object)),
        Column("completion", "text", np.array([str(row + 1) for row in range(rows)], object)),
        Column("label", kind, np.array(labels)),
    ]
    return Data.from_columns(columns, {column.name: [column.name] for column in columns})


@pytest.mark.parametrize("labels", [[True, False, False, True], [1, 0, 0, 1], ["true", "False", "false", "TRUE"]])
def test_a_boolean_label_judges_an_answer(reader_of_sums: LanguageModel, labels: list[Any]) -> None:
    learner = KTO().begin(judged(labels), reader_of_sums, 0)
    said = [reader_of_sums.tokenizer.decode(group.prompt) for group in learner.groups]
    assert dict(zip(said, learner.good[:, 0].tolist(), strict=True)) == {
        "0+1=": True, "1+1=": False, "2+1=": False, "3+1=": True,
    }  # fmt: skip


def test_hidden_judgements_are_not_learned_from(reader_of_sums: LanguageModel) -> None:
    data = judged([True, False, False, True, True, False]).hide(np.array([0, 1]))
    learner = KTO().begin(data, reader_of_sums, 0)
    assert len(learner.groups) == 4
    assert int(learner.good.sum()) == 2
    model = KTO(batch_size=2).fit(data, reader_of_sums, budget=1)
    assert {tuple(row) for row in model.lineage.rows.tolist()} == {tuple(row) for row in data.ids[2:].tolist()}


@pytest.mark.parametrize(("labels", "kind"), [([True] * 3, "desirable"), ([0] * 3, "undesirable")])
def test_one_kind_of_answer_is_not_enough(reader_of_sums: LanguageModel, labels: list[Any], kind: str) -> None:
    with pytest.raises(NeedsError, match=rf"all 3 that are judged are {kind} by 'label'.*sft"):
        KTO().fit(judged(labels), reader_of_sums, budget=1)


def test_a_label_that_judges_nothing_is_refused(reader_of_sums: LanguageModel) -> None:
    with pytest.raises(NeedsError, match=r"'label' must be true where an answer is desirable.*holds 'bad', 'good'"):
        KTO().fit(judged(["good", "bad", "good"]), reader_of_sums, budget=1)


def test_answers_nobody_judged_are_refused(reader_of_sums: LanguageModel) -> None:
    data = judged([True, False])
    bare = replace(data, roles={role: names for role, names in data.roles.items() if role != "label"})
    with pytest.raises(NeedsError, match=r'completion="…" and label="…".*chosen="…"'):
        KTO().fit(bare, reader_of_sums, budget=1)


def test_a_model_is_scored_by_judged_answers(reader_of_sums: LanguageModel) -> None:
    """Of all pairs of a desirable and an undesirable answer the share whose desirable one is the more probable."""
    data = judged([True, False, False, True, True])
    assert reader_of_sums.metric_on(data) == "preference_accuracy"
    groups = reader_of_sums.reader().answers(data)
    with torch.no_grad():
        means = [
            float(answer_log_probabilities(reader_of_sums.network, pack([group], 0)))
            / len(group.answers[0].ids)
            for group in groups
        ]  # fmt: skip
    wins = [means[good] > means[bad] for good in (0, 3, 4) for bad in (1, 2)]
    scores = reader_of_sums.evaluate(data)
    assert scores["preference_accuracy"] == pytest.approx(np.mean(wins))
    assert "nats_per_token" in scores
    assert np.isnan(reader_of_sums.evaluate(judged([True, True]))["preference_accuracy"])


def unpaired(pairs: Data, flip: bool) -> Data:
    """Of every other question only the true answer, of the others only the false one, with a boolean label."""
    rows = pairs.training
    prompts, good, bad = (rows.take(name) for name in ("Question", "Best Answer", "Best Incorrect Answer"))
    true = np.arange(len(rows)) % 2 == 0
    columns = [
        Column("prompt", "text", prompts),
        Column("completion", "text", np.where(true, good, bad)),
        Column("label", "category", true ^ flip),
    ]
    return Data.from_columns(columns, {column.name: [column.name] for column in columns})


def test_true_answers_are_preferred_without_any_pair(truths: Data, storyteller: LanguageModel) -> None:
    """At the start 0.56 of the true answers to questions not learned from are the more probable ones."""
    start = storyteller.evaluate(truths.test)["preference_accuracy"]
    right, wrong = (
        KTO(learning_rate=2e-3, batch_size=32).fit(unpaired(truths, flip), storyteller, budget=30)
        for flip in (False, True)
    )
    assert right.evaluate(truths.test)["preference_accuracy"] > start + 0.04
    assert wrong.evaluate(truths.test)["preference_accuracy"] < start - 0.08


@pytest.mark.slow
def test_preferences_follow_pairs_too(truths: Data, falsehoods: Data, storyteller: LanguageModel) -> None:
    right, wrong = (
        KTO(learning_rate=2e-3).fit(data, storyteller, budget=120).evaluate(truths.test)["preference_accuracy"]
        for data in (truths, falsehoods)
    )
    assert right > 0.7
    assert wrong < 0.35
