"""Sample weights, class weights and samplers, in every method that draws labelled rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.targets import ClassTarget
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.discovery import all_methods
from manyways.methods.needs import Forget
from manyways.randomness import generator
from manyways.training.learner import label_weights
from manyways.training.samplers import SAMPLERS, Balanced, Epochs, Weighted

USERS = sorted(
    name
    for name, kind in all_methods().items()
    if "weight" in kind.uses and Forget not in kind.needs and name != "majority"  # it looks at no input
)


def rows(count: int = 240, *, wrong: float = 0.45, seed: int = 0) -> Data:
    """Two classes by the sign of a number; a share of the training labels is turned and weighs nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    part = (np.arange(count) % 4 == 3).astype(np.uint8) * 2
    turned = (rng.random(count) < wrong) & (part == 0)
    label = np.where((x[:, 0] > 0) != turned, "up", "down").astype(object)
    columns = [
        Column("x", "number", x), Column("y", "category", label), Column("w", "number", (~turned).astype(float)),
        Column("task", "category", np.arange(count) % 2), Column("client", "category", np.arange(count) % 3),
    ]  # fmt: skip
    roles = {"input": ["x"], "label": ["y"], "weight": ["w"]}
    return Data.from_columns(columns, roles, part=part, name="toy")


def in_two_domains(data: Data) -> Data:
    """The same rows, of which every fifth training row is of another domain, whose labels are hidden."""
    other = (data.part == 0) & (np.arange(len(data)) % 5 == 0)
    domain = Column("d", "category", np.where(other, "there", "here").astype(object))
    return Data.from_columns(
        [*data.columns.values(), domain], {**data.roles, "domain": ("d",)}, part=data.part, name="toy"
    ).hide(np.flatnonzero(other))


def with_a_text(data: Data) -> Data:
    """The same rows with a second input, a text that says nothing."""
    text = Column("t", "text", np.array(["this and that"] * len(data), object))
    return Data.from_columns([*data.columns.values(), text], {**data.roles, "input": ("x", "t")}, part=data.part)


@pytest.mark.parametrize("name", USERS)
def test_rows_of_weight_zero_teach_nothing(name: str) -> None:
    """With 45% of the labels turned a method that weighed all alike would learn next to nothing."""
    data, method = rows(), all_methods()[name]()
    if name in ("fixmatch", "mean-teacher"):
        data = data.hide(np.flatnonzero((data.part == 0) & (np.arange(len(data)) % 5 == 0)))
    if "task" in map(str, method.needs):
        data = Data.from_columns(data.columns.values(), {**data.roles, "task": ("task",)}, part=data.part, name="toy")
    if "domain" in map(str, method.needs):
        data = in_two_domains(data)
    if "client" in map(str, method.needs):
        data = Data.from_columns(data.columns.values(), {**data.roles, "client": ("client",)}, part=data.part)
    start = mw.SimCLR().fit(data, budget=2) if method.needs_start() else None
    if name == "distill":
        start = mw.Supervised().fit(data, budget=150)
    if name == "fusion":
        data = with_a_text(data)
    if "labels" in map(str, method.needs):
        columns = [*data.columns.values(), Column("z", "category", data.columns["y"].values)]
        data = Data.from_columns(columns, {**data.roles, "label": ("y", "z")}, part=data.part, name="toy")
    model = method.fit(data, start, budget=300)
    scores = model.evaluate(data.test)
    assert scores.get("accuracy", scores.get("accuracy of y")) > 0.85


def test_balanced_naive_bayes_takes_classes_as_equally_probable() -> None:
    from sklearn.naive_bayes import GaussianNB

    rng = np.random.default_rng(1)
    x, label = rng.normal(size=(200, 3)), np.where(np.arange(200) < 20, "rare", "usual")
    x[:20] += 0.7
    data = mw.read({"x": x, "y": label.tolist()}, label="y", input="x")
    ours = mw.NaiveBayes(class_weight="balanced").fit(data).probabilities(data)
    theirs = GaussianNB(priors=[0.5, 0.5]).fit(x, label).predict_proba(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.quick
def test_the_weighted_loss_is_the_mean_of_weight_times_loss() -> None:
    target = ClassTarget("y", ("a", "b", "c"))
    outputs, labels = torch.randn(5, 3, generator=generator(0)), torch.tensor([0, 2, 1, 1, 0])
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.5])
    by_hand = sum(
        float(w) * -float(out.log_softmax(0)[label]) for w, out, label in zip(weights, outputs, labels, strict=True)
    )
    assert float(target.loss(outputs, labels, weights)) == pytest.approx(by_hand / 5, rel=1e-5)


@pytest.mark.quick
def test_weights_are_one_on_average_over_the_labelled_rows() -> None:
    data = rows(40).hide(np.arange(5)).training
    target = ClassTarget("y", ("down", "up"))
    labels = torch.from_numpy(target.encode(data))
    weights = label_weights(data, target, labels, balanced=False)
    assert weights is not None
    assert float(weights[torch.from_numpy(data.labelled)].mean()) == pytest.approx(1)


@pytest.mark.quick
def test_balanced_class_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    ours = ClassTarget("y", ("a", "b", "c")).class_weights(labels)
    np.testing.assert_allclose(ours.numpy(), compute_sample_weight("balanced", labels.numpy()), rtol=1e-6)


def test_balanced_classes_find_the_rare_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    label = np.where(x[:, 0] + rng.normal(size=600) > 2.2, "rare", "common")
    data = mw.read({"x": x[:, 0], "y": label.tolist()}, label="y").with_test(0.5)
    scores = [
        mw.Supervised(class_weight=weight, sampler=sampler).fit(data, budget=150).evaluate(data.test)
        for weight, sampler in ((None, "epochs"), ("balanced", "epochs"), (None, "balanced"), ("balanced", "weighted"))
    ]
    plain, *others = [score["balanced_accuracy"] for score in scores]
    assert all(other > plain + 0.05 for other in others)


def test_class_weights_of_numbers_are_refused() -> None:
    data = mw.read({"x": np.arange(40.0), "y": np.arange(40.0) / 3}, label="y")
    with pytest.raises((ParameterError, NeedsError, mw.errors.ModelError), match="class_weight must be None"):
        mw.Supervised(class_weight="balanced").fit(data, budget=2)


def test_weights_below_zero_are_refused_with_their_rows() -> None:
    data = mw.read({"x": np.arange(20.0), "w": [1.0] * 7 + [-1.0] + [1.0] * 12, "y": list("ab") * 10}, label="y",
                   input="x", weight="w")  # fmt: skip
    with pytest.raises(DataError, match=r"The weight 'w' must be a number of 0 or more.*\(7; rows count from 0\)"):
        mw.Supervised().fit(data, budget=2)
    nothing = mw.read({"x": np.arange(20.0), "w": [0.0] * 20, "y": list("ab") * 10}, label="y", input="x", weight="w")
    with pytest.raises(DataError, match="The weight 'w' is 0 in all rows"):
        mw.Supervised().fit(nothing, budget=2)


# --- samplers ------------------------------------------------------------------------------------


def learner_with(weights: list[float], codes: list[int]) -> object:
    class Looked:
        count = 6
        has_row_losses = True
        stage = Column("s", "category", np.array(["plain", "plain", "plain", "own", "own", "own"], object))
        data = Data.from_columns(
            [Column("x", "number", np.arange(6.0)), stage], {"difficulty": ["x"], "task": ["s"]}, name="toy"
        )

        def lengths(self) -> list[np.ndarray]:
            return []

        def kinds(self) -> torch.Tensor:
            return torch.tensor(codes)

        def identities(self) -> np.ndarray:
            return np.arange(6)[:, None]

        def values_of(self, column: str) -> np.ndarray:
            return self.data.take(column)

    looked = Looked()
    looked.weights = torch.tensor(weights)  # type: ignore[attr-defined]
    return looked


@pytest.mark.quick
def test_every_sampler_is_a_function_of_seed_and_step() -> None:
    pool = np.array([0, 2, 3, 5])
    for kind in SAMPLERS.all().values():
        sampler, again = kind().resting_on(Epochs), kind().resting_on(Epochs)
        for each in (sampler, again):
            each.look(learner_with([1, 1, 2, 3, 1, 0.5], [0, 1, 2, 0, 1, 2]))  # type: ignore[arg-type]
        sampler.positions(pool, 3, 0, 7)
        first, second = sampler.positions(pool, 64, 5, 7), again.positions(pool, 64, 5, 7)
        np.testing.assert_array_equal(first, second)
        assert set(first.tolist()) <= set(pool.tolist())
        assert not np.array_equal(first, sampler.positions(pool, 64, 6, 7))
        assert not np.array_equal(first, sampler.positions(pool, 64, 5, 8))


@pytest.mark.quick
def test_epochs_take_each_row_once_before_any_again() -> None:
    pool = np.arange(10)
    drawn = np.concatenate([Epochs().positions(pool, 4, step, 0) for step in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == pool.tolist()


@pytest.mark.quick
def test_weighted_sampling_draws_by_weight_and_balanced_by_class() -> None:
    weighted, balanced = Weighted(), Balanced()
    for sampler in (weighted, balanced):
        sampler.look(learner_with([0, 1, 3, 4], [0, 1, 1, 1]))  # type: ignore[arg-type]
    shares = np.bincount(weighted.positions(np.arange(4), 40_000, 0, 0), minlength=4) / 40_000
    np.testing.assert_allclose(shares, [0, 1 / 8, 3 / 8, 4 / 8], atol=0.01)
    shares = np.bincount(balanced.positions(np.arange(4), 40_000, 0, 0), minlength=4) / 40_000
    np.testing.assert_allclose(shares, [1 / 2, 1 / 6, 1 / 6, 1 / 6], atol=0.01)


@pytest.mark.quick
def test_weighted_sampling_does_not_weigh_twice() -> None:
    method = mw.Supervised(sampler="weighted")
    assert isinstance(method, LabelledMethod)
    batch = method.draw(method.begin(rows(), None, 0), 0, generator(0))
    assert "weights" not in batch
    assert "weights" in mw.Supervised().draw(mw.Supervised().begin(rows(), None, 0), 0, generator(0))


def test_a_run_that_was_killed_goes_on_with_its_sampler(tmp_path: Path) -> None:
    data, method = rows(), mw.Supervised(sampler="weighted")
    whole = method.fit(data, budget=20)
    part = mw.Run(tmp_path / "run", checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        method.fit(data, budget=20, run=mw.Run(tmp_path / "run", checkpoint_seconds=0.0, listeners=(Stop(8),)))
    again = method.fit(data, budget=20, run=part)
    for ours, theirs in zip(again.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class Stop:
    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, event: object) -> None:
        if getattr(event, "kind", "") == "checkpoint" and getattr(event, "step", 0) >= self.step:
            raise KeyboardInterrupt


def test_weighted_sampling_without_weights_says_what_to_type() -> None:
    data = Data.from_columns(rows().columns.values(), {"input": ["x"], "label": ["y"]}, name="toy")
    with pytest.raises(NeedsError, match=r"no(ne)?.*weight=\"…\".*class_weight='balanced'"):
        mw.Supervised(sampler="weighted").fit(data, budget=2)
    with pytest.raises(
        ParameterError, match="Supervised.sampler must be one of 'auto', .*'epochs', 'by-length', 'weighted'"
    ):
        mw.Supervised(sampler="wieghted")


def test_unlearning_weighs_the_rows_that_stay() -> None:
    """The mean loss of a batch is that of its rows by their weights, so that rows of weight 0 pull at nothing."""
    data = rows().with_forgotten(np.arange(6) * 4)
    start = mw.Supervised().fit(data, budget=20)
    method = mw.NPO()
    learner = method.begin(data, start, 0)
    batch = method.draw(learner, 0, generator(0))["retain"]
    weights, losses = batch["weights"], learner.losses(learner.network, batch).detach()
    assert float(weights.min()) == 0
    with torch.no_grad():
        assert float(learner.mean(learner.network, batch)) == pytest.approx(float((losses * weights).mean()))


def test_weights_of_rows_without_labels_are_refused() -> None:
    data = mw.read({"x": np.arange(20.0), "w": np.arange(20.0)}, input="x", weight="w", label=())
    with pytest.raises(NeedsError, match="does not use the role weight"):
        mw.SimCLR().fit(data, budget=1)
    labelled = rows()
    assert mw.SimCLR().fit(labelled, budget=1).gives == {"embed"}
