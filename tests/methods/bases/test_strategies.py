"""Acquisition strategies by hand: each against a plain computation of what its paper says, and without its signal."""

from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.bases.acquisition import ACQUISITIONS, best, sampled
from manyways.methods.bases.acquisition.badge import gradient_centres, residuals
from manyways.methods.bases.acquisition.balanced import balancing
from manyways.methods.bases.acquisition.committee import consensus_kl, vote_entropy
from manyways.methods.bases.acquisition.core_set import far_apart
from manyways.methods.bases.acquisition.greedy import greedy_rows
from manyways.methods.bases.acquisition.pool import Pool
from manyways.methods.bases.acquisition.typical import typical_rows
from manyways.methods.bases.relabelling import hidden
from manyways.methods.transfer.linear_probe import LinearProbe

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").select(np.arange(300)).with_test(0.3).with_labels(30, draw="stratified")


def probabilities(rows: int, classes: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


@pytest.mark.quick
def test_the_best_are_those_of_a_full_sort() -> None:
    scores = np.random.default_rng(0).integers(0, 9, 200).astype(float)
    for count in (1, 7, 150, 200, 300):
        assert best(scores, count).tolist() == np.argsort(-scores, kind="stable")[:count].tolist()
    scores[3] = np.nan
    assert 3 not in best(scores, 199)


@pytest.mark.quick
def test_sampling_by_rank_draws_the_best_more_often_the_greater_the_power() -> None:
    scores = np.arange(20.0)
    means = []
    for power in (1e-3, 1.0, 4.0):
        draws = [sampled(scores, power, 5, np.random.default_rng(seed)) for seed in range(200)]
        assert all(len(set(draw.tolist())) == 5 for draw in draws)
        means.append(float(np.mean(draws)))
    assert abs(means[0] - 9.5) < 0.5
    assert means[0] < means[1] < means[2] < 17.0 + 1e-9


@pytest.mark.quick
def test_committees_by_hand() -> None:
    agree, apart = [[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9]]
    members = np.stack([np.array(agree), np.array(apart)], axis=1)  # [members, rows, answers]
    np.testing.assert_allclose(vote_entropy(members), [0, np.log(2)], atol=1e-5)
    one = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(consensus_kl(members), [0, np.log(2) - one], atol=1e-9)
    # The mean divergence from the consensus, written out.
    random = np.stack([probabilities(6, 4, seed) for seed in range(3)])
    mean = random.mean(axis=0)
    divergences = (random * np.log(random / mean)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(consensus_kl(random), divergences, atol=1e-9)


@pytest.mark.quick
def test_badge_is_k_means_plus_plus_on_gradients_that_are_built() -> None:
    shares, features = probabilities(60, 4)[:, None], RNG.normal(size=(60, 5)).astype(np.float32)
    errors = residuals(shares)
    np.testing.assert_allclose(errors, shares[:, 0] - np.eye(4)[shares[:, 0].argmax(1)], atol=1e-6)
    gradients = np.einsum("ia,ib->iab", errors.astype(float), features.astype(float)).reshape(60, -1)
    chosen = gradient_centres(errors, features, 12, np.random.default_rng(1))
    assert chosen[0] == np.linalg.norm(gradients, axis=1).argmax()
    rng, nearest, expected = np.random.default_rng(1), np.full(60, np.inf), [int(chosen[0])]
    for _ in range(11):
        nearest = np.minimum(nearest, ((gradients - gradients[expected[-1]]) ** 2).sum(1))
        ends = np.cumsum(nearest)
        expected.append(int(np.searchsorted(ends, rng.random() * ends[-1], side="right")))
    assert chosen.tolist() == expected


@pytest.mark.quick
def test_badge_chooses_every_row_once_where_all_are_alike() -> None:
    errors, features = np.tile(np.float32([0.5, -0.5]), (8, 1)), np.ones((8, 3), np.float32)
    assert sorted(gradient_centres(errors, features, 8, RNG).tolist()) == list(range(8))


@pytest.mark.quick
def test_core_set_takes_the_farthest_from_all_centres() -> None:
    features, centres = RNG.normal(size=(80, 3)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)
    taken = list(centres)
    for row in far_apart(features, centres, 10):
        apart = np.linalg.norm(features[:, None] - np.array(taken)[None], axis=2).min(1)
        np.testing.assert_allclose(apart[row], apart.max(), rtol=1e-5)
        taken.append(features[row])
    # Without labelled rows it begins in the middle, and with them elsewhere: they are its signal.
    middle = np.linalg.norm(features - features.mean(0), axis=1).argmin()
    assert far_apart(features, centres[:0], 3)[0] == middle
    assert far_apart(features, centres[:0], 3).tolist() != far_apart(features, centres, 3).tolist()


@pytest.mark.quick
def test_typical_rows_are_one_of_each_group_and_no_outlier() -> None:
    groups = [centre + RNG.normal(scale=0.1, size=(40, 2)) for centre in ([0, 0], [5, 0], [0, 5], [5, 5])]
    features = np.concatenate([*groups, [[40.0, 40.0]]]).astype(np.float32)
    chosen = typical_rows(features, features[:0], 5, 0)
    assert 160 not in chosen
    assert set((chosen // 40).tolist()) == {0, 1, 2, 3}
    # A group with a label is left to the last.
    labelled = features[:1]
    assert 0 not in typical_rows(features[1:], labelled, 3, 0) // 40
    assert sorted(typical_rows(features, features[:0], len(features), 0).tolist()) == list(range(len(features)))


@pytest.mark.quick
def test_balanced_rows_raise_rare_classes_and_without_the_weight_they_are_the_most_unsure() -> None:
    shares = probabilities(400, 3)
    labels = np.array([50, 50, 2])
    chosen = balancing(shares, labels, 30)
    unsure = balancing(shares, labels, 30, weight=0.0)
    entropies = -(shares * np.log(shares)).sum(1)
    assert unsure.tolist() == np.argsort(-entropies, kind="stable")[:30].tolist()
    assert (shares[chosen].argmax(1) == 2).mean() > (shares[unsure].argmax(1) == 2).mean() + 0.3


@pytest.mark.quick
def test_greedy_rows_are_far_in_inputs_and_in_outputs() -> None:
    features, labelled = RNG.normal(size=(50, 2)).astype(np.float32), RNG.normal(size=(4, 2)).astype(np.float32)
    predictions, labels = RNG.normal(size=50), RNG.normal(size=4)
    products = np.linalg.norm(features[:, None] - labelled[None], axis=2) * np.abs(predictions[:, None] - labels)
    chosen = greedy_rows(features, predictions, labelled, labels, 6)
    assert chosen[0] == products.min(1).argmax()
    assert len(set(chosen.tolist())) == 6
    flat = greedy_rows(features, predictions * 1e-9 + np.arange(50), labelled, labels, 6)
    assert chosen.tolist() != flat.tolist(), "the predictions made no difference"


def test_what_a_strategy_looks_at_changes_what_it_chooses(digits: Data) -> None:
    """Each strategy chooses other rows with its signal exchanged among the rows: features, probabilities, members."""
    model = LinearProbe(penalty=1.0).fit(digits)
    members = [LinearProbe(penalty=1.0).fit(digits.hide(hide)) for hide in (np.arange(0, 90), np.arange(100, 200))]
    for name, kind in ACQUISITIONS.all().items():
        if kind.text or name == "random" or not kind().suits(type(model.label_target)):
            continue
        signals = {"probabilities", "features", "member_probabilities"}
        pool = Pool(digits, hidden(digits), model, train_members=lambda: members)
        plain = set(kind().choose(pool, 10, np.random.default_rng(0)).tolist())
        assert len(plain) == 10, name
        assert max(plain) < len(pool.data), name
        looked = signals & {each.lstrip("_").replace("all_", "") for each in vars(pool)}
        assert looked, f"{name} looks at nothing"
        for signal in looked:
            other = Pool(digits, hidden(digits), model, train_members=lambda: members)
            place = "_all_features" if signal == "features" else signal
            axis = 1 if signal == "member_probabilities" else 0
            values, turned = getattr(other, place), len(other.data) // 2
            vars(other)[place] = np.roll(values, turned, axis=axis)
            assert set(kind().choose(other, 10, np.random.default_rng(0)).tolist()) != plain, (name, signal)


@pytest.mark.parametrize("strategy", ["vote-entropy", "consensus-kl", "badge", "core-set", "typical", "balanced"])
def test_each_strategy_trains_a_model(strategy: str, digits: Data) -> None:
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), strategy=strategy, questions=12, rounds=2, members=2)
    model = method.fit(digits)
    assert len(model.lineage.rows) == 42
    again = method.fit(digits)
    assert np.array_equal(model.outputs(digits.test), again.outputs(digits.test))


@pytest.mark.parametrize("strategy", ["greedy", "committee-variance", "expected-model-change", "core-set", "random"])
def test_numbers_are_asked_for_by_strategies_of_regression(strategy: str) -> None:
    data = mw.read("diabetes").select(np.arange(200)).with_test(0.3).with_labels(20)
    method = mw.ActiveLearning(base=mw.Linear(), strategy=strategy, questions=10, rounds=1, members=2)
    model = method.fit(data)
    assert len(model.lineage.rows) == 30
    assert "r2" in model.evaluate(data.test)


def test_a_strategy_of_classes_is_refused_for_numbers_with_those_that_are_not() -> None:
    data = mw.read("diabetes").with_labels(20)
    with pytest.raises(NeedsError, match=r"'margin' is not defined for the label .*'greedy'"):
        mw.ActiveLearning(base=mw.Linear(), questions=5).fit(data)


@pytest.mark.quick
def test_a_strategy_of_batches_is_not_sampled_by_its_scores() -> None:
    with pytest.raises(ParameterError, match=r"ActiveLearning\.power must be None for the strategy 'badge'.*'margin'"):
        mw.ActiveLearning(strategy="badge", power=1.0)


def test_a_committee_of_networks_is_a_population(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """The members of a supervised network are trained in one program, and their steps count among those spent."""
    from manyways.methods.bases import members

    called: list[int] = []
    real = members.train_population

    def spy(*args: Any) -> Any:
        called.append(len(args[3]))
        return real(*args)

    monkeypatch.setattr(members, "train_population", spy)
    base = mw.Supervised(backbone="flat-perceptron", size=0.25, batch_size=8)
    method = mw.ActiveLearning(base=base, strategy="consensus-kl", questions=6, rounds=1, members=3)
    model = method.fit(digits, budget="40 steps")
    assert called == [3]
    assert model.lineage.steps == 40
    plain = mw.ActiveLearning(base=base, questions=6, rounds=1).fit(digits, budget="40 steps")
    assert model.lineage.parents[0].steps == 8
    assert plain.lineage.parents[0].steps == 20


def test_members_learn_from_other_rows_than_the_model(digits: Data) -> None:
    from manyways.methods.bases.members import train_members
    from manyways.training.run import Run

    base = LinearProbe(penalty=1.0)
    model = base.fit(digits)
    members = train_members(base, digits, model, None, 3, 0, Run())
    known = {row.tobytes() for row in model.lineage.rows}
    own = [{row.tobytes() for row in member.lineage.rows} for member in members]
    assert all(rows < known for rows in own)
    assert own[0] != own[1] != own[2]


@pytest.mark.parametrize("first", ["typical", "core-set", "random"])
def test_it_begins_without_any_label(first: str, digits: Data) -> None:
    """The first questions come before the first training, and count among all."""
    bare = digits.hide(np.arange(len(digits)))
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), first=first, questions=24, rounds=2)
    model = method.fit(bare)
    assert [len(parent.rows) for parent in model.lineage.parents] == [12, 24]
    assert len(model.lineage.rows) == 24
    assert model.evaluate(digits.test)["accuracy"] > 0.4


def test_without_any_label_it_must_be_said_how_many_to_ask_for(digits: Data) -> None:
    bare = digits.hide(np.arange(len(digits)))
    with pytest.raises(NeedsError, match="must be said how many to ask for: questions="):
        mw.ActiveLearning(base=LinearProbe()).fit(bare)
    with pytest.raises(NeedsError, match="asks for 5000 labels, and 210 training rows have a hidden label"):
        mw.ActiveLearning(base=LinearProbe(), questions=5000).fit(bare)


def test_all_labelled_and_one_class_are_refused(digits: Data) -> None:
    everything = digits.reveal(np.arange(len(digits)))
    with pytest.raises(NeedsError, match="every training row has one"):
        mw.ActiveLearning(base=LinearProbe()).fit(everything)
    ones = mw.read({"x": np.arange(20.0), "label": ["same"] * 20}, label="label").with_labels(5)
    with pytest.raises(ValueError, match="one class|2 classes|two classes"):
        mw.ActiveLearning(base=LinearProbe(), questions=2).fit(ones)
