"""Fusion: the vote by hand, rows without an input, and fused better than alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.presence import present
from manyways.errors import DataError, NeedsError
from manyways.methods.multi_modal.fusion import Fusion, VotingHead, hide_inputs, weighted_vote
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.heads import JointHead
from manyways.models.model import Model
from manyways.randomness import generator


def without(data: Data, name: str, rows: np.ndarray | None = None) -> Data:  # type: ignore[type-arg]
    """`data` where `rows`, by default all, lack the input `name`."""
    column = data.columns[name]
    mask = np.isin(np.arange(len(column)), np.arange(len(column)) if rows is None else rows)
    return replace(data, columns={**data.columns, name: replace(column, absent=mask)})


@pytest.fixture(scope="module")
def halves() -> Data:
    return mw.read("digit-halves").with_test(0.25).with_labels(100, draw="stratified")


# --- formulas ------------------------------------------------------------------------------------


@pytest.mark.quick
def test_the_vote_is_a_mean_of_probabilities() -> None:
    said = torch.randn(5, 3, 4, generator=generator(0))
    weights = torch.tensor([0.0, 1.0, -1.0])
    there = torch.ones(5, 3, dtype=torch.bool)
    shares = weights.softmax(0)
    expected = (said.softmax(2) * shares[None, :, None]).sum(1)
    assert torch.allclose(weighted_vote(said, there, weights, "softmax").softmax(1), expected, atol=1e-6)
    numbers = weighted_vote(said[:, :, :1], there, weights, "identity")
    assert torch.allclose(numbers, (said[:, :, :1] * shares[None, :, None]).sum(1))


@pytest.mark.quick
def test_what_is_missing_has_no_vote() -> None:
    said, weights = torch.randn(4, 2, 3, generator=generator(0)), torch.tensor([0.3, -0.8])
    there = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    voted = weighted_vote(said, there, weights, "softmax").softmax(1)
    assert torch.allclose(voted[1], said[1, 0].softmax(0), atol=1e-6)
    assert torch.allclose(voted[2], said[2, 1].softmax(0), atol=1e-6)
    assert bool(voted.isfinite().all())
    assert torch.allclose(voted[3], weighted_vote(said, ~there, weights, "softmax").softmax(1)[3], atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_inputs_are_hidden_and_one_always_stays(share: float) -> None:
    there = torch.rand(4000, 3, generator=generator(1)) < 0.7
    left = hide_inputs(there, share, generator(2))
    assert bool((left <= there).all())
    assert torch.equal(left.any(1), there.any(1))
    both = there.sum(1) == 2
    # Of two that are there, either stays, and each of the others with probability 1 − share.
    assert float((left[both].sum(1) == 2).float().mean()) == pytest.approx(1 - share, abs=0.04)


@pytest.mark.quick
def test_each_input_learns_to_predict_alone(halves: Data) -> None:
    method = Fusion(kind="late", hide=0.0)
    learner = method.begin(halves, None, 0)
    batch = method.draw(learner, 0, generator(0))
    loss, parts = method.loss(learner, batch)
    head = learner.network.head
    assert isinstance(head, VotingHead)
    apart, _ = head.apart(learner.network.features(batch["inputs"]))
    alone = sum(cross_entropy(said, batch["labels"]) for said in apart.unbind(1)) / 2
    assert float(parts["alone"].detach()) == pytest.approx(float(torch.as_tensor(alone).detach()), rel=1e-3)
    assert float(loss.detach()) == pytest.approx(float((parts["fused"] + parts["alone"]).detach()))


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["early", "late"])
def test_both_halves_are_better_than_one(halves: Data, kind: str) -> None:
    """And one alone does, where the other is missing."""
    model = Fusion(kind=kind).fit(halves, budget=150)  # type: ignore[arg-type]
    both = model.evaluate(halves.test)["accuracy"]
    upper, lower = (model.evaluate(without(halves.test, name))["accuracy"] for name in ("lower", "upper"))
    assert both > max(upper, lower) + 0.05
    assert min(upper, lower) > 0.4


def test_hiding_is_what_makes_it_do_without(halves: Data) -> None:
    scores = [
        Fusion(hide=hide).fit(halves, budget=150).evaluate(without(halves.test, "upper"))["accuracy"]
        for hide in (0.0, 0.3)
    ]
    assert scores[1] > scores[0] + 0.1


def test_rows_that_lack_an_input_teach_too(halves: Data) -> None:
    """Half of the rows have no upper half, the others no lower one."""
    order = np.arange(len(halves.part))
    data = without(without(halves, "upper", order[::2]), "lower", order[1::2])
    model = Fusion(kind="late").fit(data, budget=150)
    assert model.evaluate(halves.test)["accuracy"] > 0.6


def test_a_late_fused_model_says_of_one_input_what_its_head_says(halves: Data) -> None:
    model = Fusion(kind="late").fit(halves, budget=20)
    rows = without(halves.test, "upper")
    predictor = model.as_predictor()
    head = predictor.network.head
    assert isinstance(head, VotingHead)
    apart, there = head.apart(torch.from_numpy(model.embed(rows)))
    assert there.unique(dim=0).tolist() == [[False, True]]
    alone = apart[:, 1].softmax(1).detach().numpy()
    assert model.probabilities(rows) == pytest.approx(alone, abs=1e-5)


def test_a_number_is_fused() -> None:
    """The sum of two vectors' first numbers, of which each input knows one."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 1, 8, 8)).astype(np.uint8)
    images[:, :, :4] = rng.integers(0, 256, (300, 1, 1, 1))
    x = rng.normal(size=300)
    target = x + images[:, 0, 0, 0] / 80
    columns = [Column("image", "image", images), Column("x", "number", x), Column("label", "number", target)]
    data = Data.from_columns(columns, {"input": ["image", "x"], "label": ["label"]}).with_test(0.25)
    for kind in ("early", "late"):
        model = Fusion(kind=kind).fit(data, budget=200)  # type: ignore[arg-type]
        assert model.evaluate(data.test)["r2"] > 0.5


def test_saved_and_loaded_it_still_does_without(halves: Data, tmp_path: Path) -> None:
    model = Fusion(kind="late").fit(halves, budget=5)
    rows = without(halves.test, "lower")
    loaded = mw.load(model.save(tmp_path / "model"))
    assert np.array_equal(loaded.outputs(rows), model.outputs(rows))


def test_fine_tuning_goes_on_with_the_fused_head(halves: Data) -> None:
    chain = Fusion() >> FineTune()
    model = chain.fit(halves, budget=20)
    assert isinstance(model.as_predictor().network.head, JointHead)
    again = (SimCLR(batch_size=32) >> Fusion(kind="late")).fit(halves, budget=10)
    assert isinstance(again.as_predictor().network.head, VotingHead)


# --- one input alone, and refusals ---------------------------------------------------------------


def test_only_names_the_inputs_that_are_learned_from(halves: Data) -> None:
    model = Supervised(only=("lower",)).fit(halves, budget=5)
    assert list(model.encoding().encoders) == ["lower"]
    nothing = halves.with_inputs(["lower"]).test
    assert np.array_equal(model.outputs(halves.test), model.outputs(nothing))
    with pytest.raises(NeedsError, match=r"only names what is not there\. .* has no input 'loer'; .*mean 'lower'"):
        Supervised(only=("loer",)).fit(halves, budget=5)


def test_rows_without_the_chosen_input_are_refused(halves: Data) -> None:
    data = without(halves, "upper", np.arange(7))
    training = int((data.part[:7] == 0).sum())
    with pytest.raises(NeedsError, match=rf"{training} of {len(data.training):,} rows \(.*\) have nothing in 'upper'"):
        Supervised(only=("upper",)).fit(data, budget=5)
    Supervised(only=("lower",)).fit(data, budget=5)


def test_a_model_that_always_had_both_refuses_rows_by_name(halves: Data) -> None:
    model = Supervised().fit(halves, budget=5)
    test = halves.test
    rows = without(test, "lower", test.rows[[2, 5]])
    with pytest.raises(DataError, match=rf"2 of {len(test)} rows \(2, 5; rows count from 0\) of digit-halves have"):
        model.predict(rows)
    Supervised().fit(without(halves, "lower", np.arange(20)), budget=5).predict(rows)


def test_methods_that_need_every_input_say_so(halves: Data) -> None:
    data = without(halves, "lower", np.arange(20))
    with pytest.raises(NeedsError, match=r"rows \(.*\) have nothing in 'lower'\. Leave those rows out: bad_rows="):
        LinearProbe().fit(data)


def test_one_input_is_not_several() -> None:
    with pytest.raises(NeedsError, match=r"it needs several inputs, .* there is one \('image'\)\. From one learns"):
        Fusion().fit("digits")


@pytest.mark.quick
def test_masks_are_part_of_the_batch(halves: Data) -> None:
    method = Fusion(hide=0.5)
    learner = method.begin(halves, None, 0)
    inputs = method.draw(learner, 0, generator(0))["inputs"]
    there = torch.stack([inputs[present(name)] for name in ("upper", "lower")])
    assert bool(there.any(0).all())
    assert not bool(there.all())


# --- real data -----------------------------------------------------------------------------------


def spoken_and_written(folder: Path, place: Path) -> Data:
    """Spoken digits of six people, each with a written digit of the same class, as users would have them: a CSV.

    Tested on recordings 0 to 4 of each, and on pictures that no training row has.
    """
    import csv
    import zipfile

    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(0)
    order = {digit: rng.permutation(np.flatnonzero(digits.target == digit)) for digit in range(10)}
    taken: dict[tuple[int, bool], int] = {}
    rows = []
    with zipfile.ZipFile(folder / "recordings.zip") as held:
        held.extractall(place)
    for path in sorted(place.glob("**/*.wav")):
        digit, _, take = path.stem.split("_")
        tested = int(take) < 5
        pictures = order[int(digit)][:35] if tested else order[int(digit)][35:]
        at = taken[int(digit), tested] = taken.get((int(digit), tested), -1) + 1
        picture = pictures[at % len(pictures)]
        name = place / f"{picture}.png"
        Image.fromarray(np.round(digits.images[picture] * (255 / 16)).astype(np.uint8)).save(name)
        rows.append((path, name, digit, "test" if tested else "train"))
    with (place / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sound", "picture", "label", "part"), *rows])
    return mw.read(place / "pairs.csv", part="part")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_spoken_and_written_digits_are_told_better_together(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    data = spoken_and_written(real_data("fsdd"), tmp_path)
    assert len(data.test) == 300
    scores: dict[str, list[float]] = {}
    for seed in range(3):
        shown = data.with_labels(40, seed, draw="stratified")
        made: dict[str, Model] = {
            "sound": Supervised(only=("sound",)).fit(shown, budget=400, seed=seed),
            "picture": Supervised(only=("picture",)).fit(shown, budget=400, seed=seed),
            "early": Fusion().fit(shown, budget=400, seed=seed),
            "late": Fusion(kind="late").fit(shown, budget=400, seed=seed),
        }
        for name, model in made.items():
            scores.setdefault(name, []).append(model.evaluate(data.test)["accuracy"])
        for gone in ("sound", "picture"):
            score = made["early"].evaluate(without(data.test, gone))["accuracy"]
            scores.setdefault(f"early without {gone}", []).append(score)
    mean = {name: float(np.mean(each)) for name, each in scores.items()}
    assert max(mean["early"], mean["late"]) > max(mean["sound"], mean["picture"]) + 0.01
    assert mean["early"] > mean["picture"]
    assert mean["early without sound"] > mean["picture"] - 0.05
    assert mean["early without picture"] > mean["sound"] - 0.05
