"""FixMatch: its loss by hand, and unlabelled rows that make the model better."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.data.targets import ClassTarget
from manyways.errors import ParameterError
from manyways.methods.semi_supervised.fixmatch import ClassBalance, FixMatch, estimated_shares, pseudo_label_loss
from manyways.randomness import generator

from ..steps import Step, move_average


@pytest.mark.quick
def test_loss_by_hand() -> None:
    """Of three rows one has no weight; it counts in the mean, but adds nothing. Another has a quarter."""
    weak = torch.tensor([[4.0, 0.0], [0.0, 3.0], [0.1, 0.0]])
    strong = torch.tensor([[1.0, 2.0], [0.5, 0.0], [9.0, -9.0]])
    first = math.log(math.exp(1) + math.exp(2)) - 1
    second = math.log(math.exp(0.5) + 1) - 0
    target, weights = ClassTarget("y", ("a", "b")), torch.tensor([[1.0], [1.0], [0.0]])
    loss = pseudo_label_loss(target, weak.softmax(1), strong, weights)
    assert float(loss) == pytest.approx((first + second) / 3)
    loss = pseudo_label_loss(target, weak.softmax(1), strong, weights * torch.tensor([[0.25], [1.0], [1.0]]))
    assert float(loss) == pytest.approx((0.25 * first + second) / 3)


@pytest.mark.quick
def test_guesses_carry_no_gradient(digits: Data) -> None:
    """The gradient with guesses as they are made is that with the same guesses as constants."""
    method = FixMatch(batch_size=8, unlabelled_ratio=2, threshold=0.0, align_classes=False)
    learner = method.begin(digits.with_labels(40, draw="stratified"), None, 0).eval()
    batch = method.draw(learner, 0, generator(0))
    with torch.no_grad():
        guesses = learner.network(batch["weak"]).softmax(1)
    outputs = learner.network(batch["taught"])
    target = learner.target
    taught = pseudo_label_loss(target, guesses, outputs[8:], torch.ones(16, 1))
    wanted = target.loss(outputs[:8], batch["labels"]) + taught
    weights = list(learner.network.parameters())
    expected = torch.autograd.grad(wanted, weights)
    for ours, theirs in zip(torch.autograd.grad(method.loss(learner, batch)[0], weights), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.quick
def test_balance_lifts_the_classes_that_are_guessed_too_rarely() -> None:
    """Labels are one of class 0 for three of class 1; all guesses were of class 0 for a long time."""
    labels = torch.tensor([0, 1, 1, 1] * 1000)
    balance = ClassBalance(ClassTarget("y", ("a", "b")), labels)
    guesses = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    torch.testing.assert_close(balance(guesses), guesses)
    for _ in range(1000):
        balance(torch.tensor([[0.5, 0.5]]))
        balance.follow()
    torch.testing.assert_close(balance.guessed, torch.tensor([0.5, 0.5]))
    expected = torch.tensor([[0.9 * 0.5, 0.1 * 1.5], [0.25, 0.75]])
    torch.testing.assert_close(balance(guesses), expected / expected.sum(1, keepdim=True), rtol=2e-3, atol=0)


@pytest.mark.quick
def test_shares_of_few_labels_are_drawn_towards_even_ones() -> None:
    """By hand: λ = (1 − Σp²) / ((n − 1) Σ(1/C − p)²), at most 1; a class that no label is of stays at 0."""
    target = ClassTarget("y", tuple("abcd"))

    def shares(*counts: int) -> list[float]:
        return estimated_shares(target, torch.arange(4).repeat_interleave(torch.tensor(counts))).tolist()

    assert shares(3, 2, 2, 1) == pytest.approx([0.25] * 4), "chance alone may have made these"
    drawn = np.array([12, 4, 3, 1]) / 20
    weight = (1 - (drawn**2).sum()) / (19 * ((drawn - 0.25) ** 2).sum())
    assert 0 < weight < 1
    assert shares(12, 4, 3, 1) == pytest.approx((weight / 4 + (1 - weight) * drawn).tolist())
    assert shares(1200, 400, 300, 100) == pytest.approx(drawn.tolist(), abs=0.003)
    assert shares(3, 3, 2, 0) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert shares(0, 1, 0, 0) == [0, 1, 0, 0]


@pytest.mark.quick
@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (0.999999, 0.0)])
def test_threshold_decides_who_teaches(digits: Data, threshold: float, share: float) -> None:
    method = FixMatch(batch_size=8, unlabelled_ratio=2, threshold=threshold)
    learner = method.begin(digits.with_labels(40), None, 0)
    with torch.no_grad():
        _, parts = method.loss(learner, method.draw(learner, 0, generator(0)))
    assert float(parts["confident"]) == share
    assert (float(parts["consistency"]) > 0) == (share > 0)


def test_unlabelled_rows_make_it_better(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    scores = [
        FixMatch(batch_size=16, unlabelled_ratio=6, unlabelled_weight=weight)
        .fit(few, budget=400)
        .evaluate(digits.test)["accuracy"]
        for weight in (1.0, 0.0)
    ]
    assert scores[0] > scores[1] + 0.02
    assert scores[0] > 0.88


@pytest.mark.quick
def test_a_step_sees_labelled_weak_and_strong_rows(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    method = FixMatch(batch_size=8, unlabelled_ratio=3)
    learner = method.begin(few, None, 0)
    batch = method.draw(learner, 0, generator(0))
    weak, taught = batch["weak"]["image"], batch["taught"]["image"]
    assert (len(weak), len(taught)) == (24, 8 + 24)
    assert len(batch["labels"]) == 8
    assert (batch["labels"] >= 0).all()
    strong = taught[8:]
    rows = learner.take(learner.pick(learner.unlabelled, 24, 0, 1))["image"].float() / 255
    nearer = ((weak - rows).abs().mean() < (strong - rows).abs().mean()).item()
    assert nearer, "the strong views are no stronger than the weak ones"
    assert not few.training.labelled[learner.unlabelled].any()


def test_model_is_the_average_of_the_weights(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    averaged = FixMatch(batch_size=8, average_decay=0.9).fit(few, budget=12)
    last = FixMatch(batch_size=8, average_decay=0.0).fit(few, budget=12)
    assert not np.array_equal(averaged.outputs(digits.test), last.outputs(digits.test))
    sizes = [
        sum(float(p.detach().square().sum()) for p in model.network.head.parameters()) for model in (averaged, last)
    ]  # type: ignore[union-attr]
    assert sizes[0] != sizes[1]


@pytest.mark.quick
def test_a_whole_step(digits: Data) -> None:
    """Guesses lifted by wanted / guessed shares label the strong views; then the average and the balance move."""
    method = FixMatch(batch_size=8, unlabelled_ratio=3, threshold=0.11, unlabelled_weight=0.7, average_decay=0.2)
    uneven = torch.linspace(0.2, 0.02, 10)
    step = Step(
        method, digits.with_labels(40, draw="stratified"), change=lambda learner: learner.balance.guessed.copy_(uneven)
    )
    learner, batch = step.by_hand, step.batch
    with torch.no_grad():
        weak = learner.network(batch["weak"]).softmax(1)
        aligned = weak * learner.balance.wanted / uneven
        confidence, guess = (aligned / aligned.sum(1, keepdim=True)).max(1)
    assert not torch.equal(guess, weak.argmax(1))
    outputs = learner.network(batch["taught"])
    taught = cross_entropy(outputs[8:], guess, reduction="none") * (confidence >= 0.11)
    loss = cross_entropy(outputs[:8], batch["labels"]) + 0.7 * taught.sum() / 24
    step.descend(loss)
    move_average(learner.average, learner.network, 0.2)
    learner.balance.guessed.copy_(0.98 * uneven + 0.02 * weak.mean(0))
    learner.balance.latest = weak.mean(0)
    step.agree(loss)


@pytest.mark.quick
@pytest.mark.parametrize("rule", ["flexmatch", "freematch", "softmatch"])
def test_a_whole_step_of_a_rule_that_follows_the_training(digits: Data, rule: str) -> None:
    """Guesses weigh as the rule says, by where they were drawn and by the run's decay; then the rule moves."""
    method = FixMatch(batch_size=8, unlabelled_ratio=3, threshold=0.11, threshold_rule=rule, align_classes=False)
    step = Step(method, digits.with_labels(40), steps=40)
    learner, batch = step.by_hand, step.batch
    np.testing.assert_array_equal(batch["guessed"].numpy(), learner.pick(learner.unlabelled, 24, step.step, 1))
    with torch.no_grad():
        weak = learner.network(batch["weak"]).softmax(1)
        weights = learner.rule(weak[:, None], batch["guessed"], 1 - 10 / 40)[:, 0]
        learner.balance(weak)
    outputs = learner.network(batch["taught"])
    taught = cross_entropy(outputs[8:], weak.argmax(1), reduction="none") * weights
    loss = cross_entropy(outputs[:8], batch["labels"]) + taught.sum() / 24
    step.descend(loss)
    move_average(learner.average, learner.network, min(0.99, 4 / 13))
    learner.balance.follow()
    learner.rule.follow()
    step.agree(loss)


@pytest.mark.quick
def test_the_fairness_term_is_of_its_rule_alone(digits: Data) -> None:
    method = FixMatch(batch_size=8, unlabelled_ratio=3, threshold_rule="freematch", fairness_weight=0.5)
    learner = method.begin(digits.with_labels(40), None, 0)
    with torch.no_grad():
        loss, parts = method.loss(learner, method.draw(learner, 0, generator(0)))
    assert float(parts["fairness"]) != 0
    expected = parts["supervised"] + parts["consistency"] + 0.5 * parts["fairness"]
    torch.testing.assert_close(loss, expected)
    with pytest.raises(ParameterError, match="is of the threshold rule 'freematch'"):
        FixMatch(fairness_weight=0.5)
    with pytest.raises(ParameterError, match="must be one of 'fixed', 'flexmatch', 'freematch', 'softmatch'"):
        FixMatch(threshold_rule="freematsch")


@pytest.mark.quick
def test_the_balance_is_that_of_the_labels_it_sees(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    balance = FixMatch(batch_size=4).begin(few, None, 0).balance
    seen = few.training.take("label")[few.training.labelled]
    target = ClassTarget("label", tuple(range(10)))
    torch.testing.assert_close(balance.wanted, estimated_shares(target, torch.from_numpy(seen)))
    assert (balance.wanted[np.bincount(seen, minlength=10) > 0] > 0.02).all()
