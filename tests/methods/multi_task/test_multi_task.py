"""MultiTask: its weightings against formulas, labels that are missing, and heads that help each other."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.methods.multi_modal.fusion import Fusion
from manyways.methods.multi_task._combinations import by_uncertainty, without_conflicts
from manyways.methods.multi_task.multi_task import MultiTask
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.networks import Networks
from manyways.models.predictor import Predictor
from manyways.randomness import generator
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits with three labels: which, even or odd on some rows, and their ink on others."""
    return MultiTask.example_data().with_test(0.25)


def fitted(method: MultiTask, data: Data, budget: int) -> LabelsPredictor:
    model = method.fit(data, budget=budget)
    assert isinstance(model, LabelsPredictor)
    return model


# --- formulas ------------------------------------------------------------------------------------


@pytest.mark.quick
def test_uncertainties_by_hand() -> None:
    """L e^−s + s/2 for classes, L e^−s / 2 + s/2 for numbers; least where e^s is 2 L, and L."""
    losses, s = torch.tensor([2.0, 3.0]), torch.tensor([0.5, -1.0])
    expected = 2 * math.exp(-0.5) + 0.25 + 3 * math.exp(1) / 2 - 0.5
    assert float(by_uncertainty(losses, s, torch.tensor([True, False]))) == pytest.approx(expected)
    best = torch.tensor([math.log(4), math.log(3)], requires_grad=True)
    (slope,) = torch.autograd.grad(by_uncertainty(losses, best, torch.tensor([True, False])), best)
    assert slope.abs().max() < 1e-6


@pytest.mark.quick
def test_gradients_that_do_not_conflict_are_summed() -> None:
    gradients = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 1.0, 3.0]])
    weights = without_conflicts(gradients @ gradients.T, [[1, 2], [0, 2], [0, 1]])
    assert weights.tolist() == [1, 1, 1]


@pytest.mark.quick
def test_two_gradients_that_conflict_are_projected() -> None:
    """Each loses its part along the other: neither then points against the other's."""
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    both = torch.stack([a, b])
    combined = without_conflicts(both @ both.T, [[1], [0]]) @ both
    expected = (a - (a @ b) / (b @ b) * b) + (b - (a @ b) / (a @ a) * a)
    assert combined.tolist() == pytest.approx(expected.tolist())
    assert float(combined @ a) >= 0
    assert float(combined @ b) >= 0


def _by_the_paper(gradients: Tensor, orders: list[list[int]]) -> Tensor:
    """Algorithm 1 of Yu et al. (2020), with vectors."""
    changed = [gradient.clone() for gradient in gradients]
    for own, others in enumerate(orders):
        for other in others:
            if other != own and float(changed[own] @ gradients[other]) < 0:
                along = (changed[own] @ gradients[other]) / (gradients[other] @ gradients[other])
                changed[own] = changed[own] - along * gradients[other]
    return torch.stack(changed).sum(0)


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(4))
def test_pcgrad_is_that_of_the_paper(seed: int) -> None:
    gradients = torch.randn(4, 9, generator=generator(seed), dtype=torch.float64)
    for order in list(permutations(range(4)))[:: 1 + seed]:
        orders = [list(order)] * 4
        ours = without_conflicts(gradients @ gradients.T, orders) @ gradients
        assert torch.allclose(ours, _by_the_paper(gradients, orders), atol=1e-12)


# --- losses and gradients ------------------------------------------------------------------------


@pytest.mark.quick
def test_each_label_is_learned_from_the_rows_that_have_it(digits: Data) -> None:
    method = MultiTask()
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 0, generator(0))
    _, parts = method.loss(learner, batch)
    labels = batch["labels"]
    which, even, ink = learner.network(batch["inputs"]).values()
    assert list(parts) == ["loss of label", "loss of even", "loss of ink"]
    expected = [cross_entropy(which, labels["label"])]
    for said, truth, loss in ((even, labels["even"], cross_entropy), (ink[:, 0], labels["ink"], mse_loss)):
        known = truth >= 0 if loss is cross_entropy else ~truth.isnan()
        assert 0 < int(known.sum()) < len(known)
        expected.append(loss(said[known], truth[known]))
    for part, by_hand in zip(parts.values(), expected, strict=True):
        assert float(part.detach()) == pytest.approx(float(by_hand.detach()), rel=1e-4)


@pytest.mark.quick
def test_pcgrad_changes_what_is_shared_and_leaves_the_heads(digits: Data) -> None:
    """The heads get the plain gradients, the shared weights those of the paper."""
    method = MultiTask(weighting="pcgrad", augment=False)
    learner = method.begin(digits, None, 0).eval()
    batch = method.draw(learner, 0, generator(0))
    loss, parts = method.loss(learner, batch)
    (network,) = learner.network.members
    assert network.head is not None
    heads = list(network.head.parameters())
    shared = [p for p in network.parameters() if id(p) not in set(map(id, heads))]
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(part, shared, retain_graph=True)])
            for part in parts.values()]  # fmt: skip
    plain = torch.autograd.grad(loss, heads, retain_graph=True)
    torch.manual_seed(5)
    method.gradients(learner, batch)
    torch.manual_seed(5)
    orders = [torch.randperm(3).tolist() for _ in range(3)]
    expected = _by_the_paper(torch.stack(rows), orders)
    given = torch.cat([p.grad.flatten() for p in shared if p.grad is not None])
    assert torch.allclose(given, expected, atol=1e-5)
    for parameter, gradient in zip(heads, plain, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)  # type: ignore[arg-type]


def test_networks_of_their_own_learn_as_if_alone(digits: Data) -> None:
    """With the same batches the network of one label is the one that plain supervision would make."""
    shown = digits.select(~digits.columns["even"].missing(digits.rows) & ~digits.columns["ink"].missing(digits.rows))
    apart = fitted(MultiTask(sharing="none"), shown, 30)
    assert isinstance(apart.network, Networks)
    assert len(apart.network.members) == 3
    plain = Supervised().fit(shown.with_label("label"), budget=30)
    scores = [model.evaluate(shown.with_label("label").test)["accuracy"] for model in (apart.only("label"), plain)]
    assert scores[0] == pytest.approx(scores[1], abs=0.1)
    assert apart.parameters > 2 * fitted(MultiTask(), shown, 1).parameters


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "gradnorm", "pcgrad", "cagrad", "upgrad"])
def test_all_labels_are_learned(digits: Data, weighting: str) -> None:
    scores = fitted(MultiTask(weighting=weighting), digits, 120).evaluate(digits.test)  # type: ignore[arg-type]
    assert scores["accuracy of label"] > 0.8
    assert scores["accuracy of even"] > 0.8
    assert scores["r2 of ink"] > 0.4
    usual = [scores["accuracy of label"], scores["accuracy of even"], scores["r2 of ink"]]
    assert scores["mean_score"] == pytest.approx(float(np.mean(usual)))


def test_a_learned_uncertainty_moves_with_the_loss(digits: Data) -> None:
    """The uncertainty of a label of noise stays above that of one that can be learned."""
    rng = np.random.default_rng(0)
    noise = Column("noise", "number", rng.normal(size=len(digits.part)))
    roles = {**digits.roles, "label": ("noise", "ink")}
    data = replace(digits, columns={**digits.columns, "noise": noise}, roles=roles)
    method = MultiTask(weighting="uncertainty", learning_rate=0.01)
    learner = method.begin(data, None, 0)
    groups = [{"params": [p for p in learner.parameters() if p.requires_grad]}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for step in range(120):
        optimizer.zero_grad()
        method.gradients(learner, method.draw(learner, step, generator(0, step)))
        optimizer.step()
    noisy, learned = learner.log_variances.tolist()
    assert noisy > learned + 0.3


@pytest.mark.quick
def test_pcgrad_looks_at_labels_in_an_order_that_changes(digits: Data) -> None:
    """By chance, as the algorithm wants it: all orders come, and each gradient has one of its own."""
    method = MultiTask(weighting="pcgrad", augment=False, size=0.25, batch_size=8)
    learner = method.begin(digits, None, 0)
    orders: list[tuple[tuple[int, ...], ...]] = []

    def noting(products: Tensor, given: Sequence[Sequence[int]]) -> Tensor:
        orders.append(tuple(map(tuple, given)))
        return without_conflicts(products, given)

    with patch("manyways.methods.multi_task._combinations.without_conflicts", noting):
        for step in range(20):
            take_step(method, learner, make_optimizer(method, learner), step, 20, 0)
    assert {order for given in orders for order in given} == set(permutations(range(3)))
    assert any(len(set(given)) > 1 for given in orders)


# --- labels on fewer rows ------------------------------------------------------------------------


def test_a_label_on_few_rows_is_helped_by_one_on_many(digits: Data) -> None:
    """Even or odd is known of 30 rows; which digit it is, of all."""
    values = digits.columns["even"].values[np.arange(len(digits.part))].copy()
    training = digits.training.rows
    known = training[~digits.columns["even"].missing(training)]
    values[known[30:]] = None
    few = replace(digits, columns={**digits.columns, "even": replace(digits.columns["even"], values=values)})
    together = fitted(MultiTask(), few, 200).evaluate(few.test)["accuracy of even"]
    alone = fitted(MultiTask(sharing="none"), few, 200).evaluate(few.test)["accuracy of even"]
    assert together > alone


def test_rows_without_any_label_are_not_learned_from(digits: Data) -> None:
    data = digits.with_labels(50, draw="stratified")
    model = MultiTask().fit(data, budget=2)
    assert len(model.lineage.rows) == 50 == int(data.training.labelled.sum())


def test_an_output_with_one_class_is_refused_by_name(digits: Data) -> None:
    values = np.full(len(digits.part), "even", object)
    data = replace(digits, columns={**digits.columns, "even": replace(digits.columns["even"], values=values)})
    with pytest.raises(DataError, match=r"All labels in the column 'even' of digits are 'even'; two classes are"):
        MultiTask().fit(data, budget=1)
    with pytest.raises(DataError, match="All labels in the column 'even'"):
        mw.compare(data, methods=["multi-task"], budget="1 step", seeds=1, workers=0)


def test_a_label_that_no_row_has_is_refused_by_name(digits: Data) -> None:
    values = np.full(len(digits.part), None, object)
    data = replace(digits, columns={**digits.columns, "even": replace(digits.columns["even"], values=values)})
    with pytest.raises(DataError, match=r"No training row of digits has a label in the column 'even'"):
        MultiTask().fit(data, budget=1)


def test_one_label_is_not_several(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"it needs several labels, and only 'ink' has that role\. .*supervised"):
        MultiTask().fit(digits.with_label("ink"), budget=1)
    with pytest.raises(NeedsError, match=r"it needs one label, and 3 columns have that role \(label, even, ink\)\."):
        Supervised().fit(digits, budget=1)


@pytest.mark.quick
def test_weightings_are_for_a_shared_network() -> None:
    with pytest.raises(ParameterError, match=r"with sharing='none' leave it out; got 'pcgrad'"):
        MultiTask(sharing="none", weighting="pcgrad")


# --- models --------------------------------------------------------------------------------------


def test_predictions_have_a_field_for_each_label(digits: Data) -> None:
    model = fitted(MultiTask(), digits, 40)
    said = model.predict(digits.test)
    assert said.dtype.names == ("label", "even", "ink")
    assert len(said) == len(digits.test)
    assert set(said["even"]) <= {"even", "odd"}
    assert said["label"].dtype.kind == "i"
    assert said["ink"].dtype == np.float64
    one = model.only("even")
    assert np.array_equal(one.predict(digits.test), said["even"])
    assert one.probabilities(digits.test).sum(1) == pytest.approx(np.ones(len(said)), abs=1e-5)
    assert isinstance(one, Predictor)
    with pytest.raises(ModelError, match=r"several labels \(label, even, ink\)\. Ask for those of one: model\.only"):
        model.probabilities(digits.test)
    with pytest.raises(ModelError, match="The model predicts label, even, ink; got 'odd'"):
        model.only("odd")


@pytest.mark.parametrize("method", [
    MultiTask(), MultiTask(sharing="none"), MultiTask(sharing="soft"), MultiTask(sharing="cross-stitch"),
    MultiTask(sharing="adashare", backbone="vit", size=0.5),
], ids=lambda method: method.sharing)  # fmt: skip
def test_the_model_of_one_label_is_saved_on_its_own(digits: Data, method: MultiTask, tmp_path: Path) -> None:
    model = fitted(method, digits, 5)
    one = model.only("ink")
    loaded = mw.load(one.save(tmp_path / "one"))
    assert loaded.predict(digits.test) == pytest.approx(model.predict(digits.test)["ink"], rel=1e-5)
    whole = mw.load(model.save(tmp_path / "all"))
    assert np.array_equal(whole.predict(digits.test), model.predict(digits.test))


def test_features_are_those_that_all_share(digits: Data) -> None:
    model = fitted(MultiTask(), digits, 20)
    probe = LinearProbe(penalty=1.0).fit(digits.with_label("even"), model)
    assert probe.evaluate(digits.with_label("even").test)["accuracy"] > 0.6
    apart = fitted(MultiTask(sharing="none"), digits, 1)
    assert apart.gives == {"labels"}
    with pytest.raises(ModelError, match=r"has a network for each label, and so no features of all\. Take one"):
        apart.embed(digits.test)


def test_it_starts_from_features(digits: Data) -> None:
    model = (SimCLR(batch_size=32) >> MultiTask()).fit(digits, budget=8)
    assert isinstance(model, LabelsPredictor)
    Fusion()  # another start is refused when the chain is written
    with pytest.raises(NeedsError, match="multi-task gives embed, labels"):
        MultiTask() >> mw.Distill()


def test_several_inputs_meet_in_a_joint_layer() -> None:
    """Whether two halves are of one digit neither half tells, nor their sum."""
    data = mw.read("digit-halves")
    count = len(data.part)
    rng = np.random.default_rng(0)
    digit = data.label.take(np.arange(count))
    other = rng.permutation(count)
    lower = np.where(rng.random(count)[:, None, None, None] < 0.5, data.take("lower"), data.take("lower")[other])
    lower_digit = np.where((lower == data.take("lower")).all((1, 2, 3)), digit, digit[other])
    matches = np.where(lower_digit == digit, "yes", "no").astype(object)
    columns = [
        data.columns["upper"], Column("lower", "image", lower), Column("digit", "category", digit),
        Column("matches", "category", matches),
    ]  # fmt: skip
    joint = Data.from_columns(columns, {"input": ["upper", "lower"], "label": ["digit", "matches"]}).with_test(0.25)
    score = fitted(MultiTask(), joint, 400).evaluate(joint.test)["accuracy of matches"]
    assert score > 0.65
