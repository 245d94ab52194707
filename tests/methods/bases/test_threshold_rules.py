"""Threshold rules against plain numpy, over several steps, and what a checkpoint holds of them."""

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from manyways.data.targets import ClassTarget
from manyways.data.targets.several import SeveralTarget
from manyways.methods.bases.threshold_rules import THRESHOLD_RULES, FreeMatch, ThresholdRule, decay_of

STEPS, ROWS, CLASSES, THRESHOLD, DECAY = 5, 12, 4, 0.6, 0.7
TARGET = ClassTarget("y", tuple("abcd"))
Batches = list[tuple[NDArray[np.int64], NDArray[np.float32]]]
Weights = list[NDArray[np.float64]]


def batches() -> Batches:
    """Positions and probabilities of the guesses of a few steps; the first class is guessed most."""
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(STEPS):
        logits = 2 * rng.normal(size=(6, CLASSES)) + [1.5, 0, 0, -1]
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        drawn.append((rng.choice(ROWS, 6, replace=False), shares.astype(np.float32)))
    return drawn


def weights_of(rule: ThresholdRule) -> Weights:
    """The weights that the rule gives in each step."""
    given = []
    for positions, guesses in batches():
        weights = rule(TARGET.answers(torch.from_numpy(guesses)), torch.from_numpy(positions), DECAY)
        given.append(weights[:, 0].double().numpy())
        rule.follow()
    return given


def fixed() -> Weights:
    return [(guesses.max(1) >= THRESHOLD).astype(float) for _, guesses in batches()]


def flexmatch() -> Weights:
    sure: dict[int, int] = {}
    weights = []
    for positions, guesses in batches():
        counts = Counter(sure.values())
        most = max(counts.values(), default=1)
        row_weights = []
        for row in guesses:
            beta = counts[int(row.argmax())] / most
            row_weights.append(float(row.max() >= THRESHOLD * beta / (2 - beta)))
        weights.append(np.array(row_weights))
        for position, row in zip(positions.tolist(), guesses, strict=True):
            sure[position] = int(row.argmax()) if row.max() >= THRESHOLD else sure.get(position, -1)
    return weights


def freematch() -> Weights:
    confidence, shares, weights = 1 / CLASSES, np.full(CLASSES, 1 / CLASSES), []
    for _, guesses in batches():
        confidence = DECAY * confidence + (1 - DECAY) * guesses.max(1).mean()
        shares = DECAY * shares + (1 - DECAY) * guesses.mean(0)
        thresholds = confidence * shares / shares.max()
        weights.append((guesses.max(1) >= thresholds[guesses.argmax(1)]).astype(float))
    return weights


def softmatch() -> Weights:
    mean, variance, shares, weights = 1 / CLASSES, 1.0, np.full(CLASSES, 1 / CLASSES), []
    for _, guesses in batches():
        shares = DECAY * shares + (1 - DECAY) * guesses.mean(0)
        aligned = guesses * (1 / CLASSES) / shares
        confidence = (aligned / aligned.sum(1, keepdims=True)).max(1)
        mean = DECAY * mean + (1 - DECAY) * confidence.mean()
        variance = DECAY * variance + (1 - DECAY) * confidence.var(ddof=1)
        below = np.minimum(0, confidence - mean)
        weights.append(np.exp(-(below**2) / (2 * variance / 2**2)))
    return weights


ORACLES = {"fixed": fixed, "flexmatch": flexmatch, "freematch": freematch, "softmatch": softmatch}


def made(name: str) -> ThresholdRule:
    return THRESHOLD_RULES.find(name)(TARGET, ROWS, THRESHOLD)


@pytest.mark.quick
@pytest.mark.parametrize("name", ORACLES)
def test_weights_of_several_steps(name: str) -> None:
    expected = ORACLES[name]()
    for ours, theirs in zip(weights_of(made(name)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert 0 < np.mean(expected) < 1


@pytest.mark.quick
def test_the_rules_differ_on_these_guesses() -> None:
    given = [np.concatenate(oracle()) for oracle in ORACLES.values()]
    assert len({weights.tobytes() for weights in given}) == len(ORACLES)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["flexmatch", "freematch", "softmatch"])
def test_what_a_rule_holds_goes_through_its_state(name: str) -> None:
    """Three steps, a state that is loaded into a new rule, and the rest: as without a break."""
    whole, first, second = made(name), made(name), made(name)
    answers = [(TARGET.answers(torch.from_numpy(guesses)), torch.from_numpy(rows)) for rows, guesses in batches()]
    for step, (guesses, positions) in enumerate(answers):
        if step == 3:
            second.load_state_dict(first.state_dict())
        expected = whole(guesses, positions, DECAY)
        broken = (first if step < 3 else second)(guesses, positions, DECAY)
        torch.testing.assert_close(broken, expected, rtol=0, atol=0)
        for rule in (whole, first if step < 3 else second):
            rule.follow()
    fresh = made(name)(*answers[3], DECAY)
    assert not torch.equal(fresh, made_after(name, 3)(*answers[3], DECAY))


def made_after(name: str, steps: int) -> ThresholdRule:
    rule = made(name)
    for positions, guesses in batches()[:steps]:
        rule(TARGET.answers(torch.from_numpy(guesses)), torch.from_numpy(positions), DECAY)
        rule.follow()
    return rule


@pytest.mark.quick
def test_weighing_alone_moves_nothing() -> None:
    for name in ORACLES:
        rule = made(name)
        before = {key: value.clone() for key, value in rule.state_dict().items() if key != "latest"}
        positions, guesses = batches()[0]
        rule(TARGET.answers(torch.from_numpy(guesses)), torch.from_numpy(positions), DECAY)
        assert all(torch.equal(before[key], rule.state_dict()[key]) for key in before)


@pytest.mark.quick
def test_fairness_by_hand() -> None:
    rule = FreeMatch(TARGET, ROWS, THRESHOLD)
    shares, guessed = np.full(CLASSES, 1 / CLASSES), np.full(CLASSES, 1 / CLASSES)
    positions, guesses = batches()[0]
    rule(TARGET.answers(torch.from_numpy(guesses)), torch.from_numpy(positions), DECAY)
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 1.0])[:, None]
    shares = DECAY * shares + (1 - DECAY) * guesses.mean(0)
    guessed = DECAY * guessed + (1 - DECAY) * np.bincount(guesses.argmax(1), minlength=CLASSES) / len(guesses)
    strong = batches()[1][1]
    taught = strong[weights[:, 0].numpy() > 0]
    often = np.bincount(taught.argmax(1), minlength=CLASSES) / len(taught)
    wanted = (shares / guessed) / (shares / guessed).sum()
    given = np.divide(taught.mean(0), often, out=np.zeros(CLASSES), where=often > 0)
    expected = (wanted * np.log(given / given.sum() + 1e-12)).sum()
    loss = rule.fairness(TARGET.answers(torch.from_numpy(strong)), weights)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(rule.fairness(TARGET.answers(torch.from_numpy(strong)), torch.zeros_like(weights))) == 0


@pytest.mark.quick
@pytest.mark.parametrize("name", ORACLES)
def test_several_labels_are_questions_of_their_own(name: str) -> None:
    """A label that is surely on and one nobody is sure of: weights of each row and label."""
    target = SeveralTarget("y", ("a", "b"))
    rule = THRESHOLD_RULES.find(name)(target, 2, THRESHOLD)
    probabilities = torch.tensor([[0.99, 0.45], [0.02, 0.52]])
    weights = rule(target.answers(probabilities), torch.arange(2), DECAY)
    assert weights.shape == (2, 2)
    assert bool((weights[:, 0] >= weights[:, 1]).all())
    rule.follow()


@pytest.mark.quick
def test_decays_fit_short_runs() -> None:
    assert decay_of(500) == pytest.approx(0.98)
    assert decay_of(10**6) == 0.999
    assert decay_of(5) == 0
