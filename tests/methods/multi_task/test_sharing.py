"""What labels share: soft sharing, cross-stitch units, AdaShare's policy."""

from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.comparison.tasks.labelled import SeveralLabels
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.multi_task import _adashare
from manyways.methods.multi_task._learner import MultiTaskLearner
from manyways.methods.multi_task._sharing import distances
from manyways.methods.multi_task.multi_task import MultiTask
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.lockstep import CrossStitch, Skippable, units_of
from manyways.randomness import generator
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits with three labels, two of which some rows lack."""
    return MultiTask.example_data().with_test(0.25)


def begun(method: MultiTask, data: Data) -> MultiTaskLearner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method.begin(data, None, 0)


def walked(method: MultiTask, data: Data, steps: int) -> MultiTaskLearner:
    learner = begun(method, data)
    optimizer = make_optimizer(method, learner)
    for step in range(steps):
        take_step(method, learner, optimizer, step, steps, 0)
    return learner


# --- soft ----------------------------------------------------------------------------------------


@pytest.mark.quick
def test_soft_sharing_draws_weights_together(digits: Data) -> None:
    """The penalty is the squared distance of all pairs; the greater it weighs, the nearer the networks stay."""
    apart: list[float] = []
    for penalty in (1e-6, 10.0):
        learner = walked(MultiTask(sharing="soft", penalty=penalty, size=0.25, batch_size=16), digits, 12)
        apart.append(float(distances(learner.network.members).detach()))
    assert apart[1] < apart[0] / 2
    networks = learner.network.members
    by_hand = 0.0
    for at, one in enumerate(networks):
        for other in networks[:at]:
            pairs = zip(one.backbones.parameters(), other.backbones.parameters(), strict=True)
            by_hand += sum(float((a - b).detach().square().sum()) for a, b in pairs)
    assert float(distances(networks).detach()) == pytest.approx(by_hand, rel=1e-4)


# --- cross-stitch --------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("backbone", ["convnet", "resnet", "vit", "flat-perceptron", "conv4", "strided"])
def test_units_that_keep_to_themselves_are_networks_of_their_own(digits: Data, backbone: str) -> None:
    """With α = 1 on the diagonal each label's features are those of its own network alone."""
    method = MultiTask(sharing="cross-stitch", size=0.25, batch_size=8, backbone=backbone)
    learner = begun(method, digits)
    units = [unit for unit in units_of(learner.network, CrossStitch) if isinstance(unit, CrossStitch)]
    assert len(units) >= (1 if backbone == "strided" else 2)
    for unit in units:
        assert unit.alphas.diagonal().tolist() == pytest.approx([0.9] * 3)
        assert unit.alphas.sum(1).tolist() == pytest.approx([1.0] * 3)
    with torch.no_grad():
        for unit in units:
            unit.mixing.copy_(torch.eye(3).flatten())
            for copy, shift in zip(unit.copies, (0.0, 0.01, 0.02), strict=True):
                for parameter in copy.parameters():
                    parameter.add_(shift * torch.randn(parameter.shape, generator=generator(int(100 * shift))))
    learner.eval()
    inputs = learner.take(np.arange(5))
    together = learner.network(inputs)
    plain = begun(MultiTask(sharing="none", size=0.25, batch_size=8, backbone=backbone), digits).eval()
    # The copies of one label, put into a plain network.
    state = learner.network.members[0].state_dict()
    for place, (name, network) in enumerate(zip(learner.targets.names, plain.network.members, strict=True)):
        own = {
            key.replace(f".copies.{place}.", "."): value
            for key, value in state.items()
            if ".copies." not in key or f".copies.{place}." in key
        }
        network.load_state_dict({**network.state_dict(), **{k: v for k, v in own.items() if k.startswith("backbones")}},
                                strict=False)  # fmt: skip
        network.head = learner.network.head_of(learner.network.ways[place])
        torch.testing.assert_close(together[name], network(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.quick
def test_features_of_others_reach_a_label_through_the_units(digits: Data) -> None:
    learner = begun(MultiTask(sharing="cross-stitch", size=0.25, batch_size=8), digits).eval()
    inputs = learner.take(np.arange(4))
    before = learner.network(inputs)["label"]
    unit = next(unit for unit in units_of(learner.network, CrossStitch))
    assert isinstance(unit, CrossStitch)
    with torch.no_grad():
        for parameter in unit.copies[2].parameters():
            parameter.zero_()
    assert not torch.allclose(before, learner.network(inputs)["label"])


@pytest.mark.quick
def test_units_learn_faster_and_are_not_decayed(digits: Data) -> None:
    method = MultiTask(sharing="cross-stitch", size=0.25, batch_size=16, stitch_rate=10.0)
    optimizer = make_optimizer(method, begun(method, digits))
    rates = {(group["highest"], group["weight_decay"]) for group in optimizer.param_groups if group["highest"] > 2e-3}
    assert rates == {(0.02, 0.0)}


@pytest.mark.quick
def test_words_go_through_their_layers_side_by_side() -> None:
    rows = {"text": ["a b c", "b c", "c d e f"] * 8, "x": ["p", "q", "p"] * 8, "y": ["u", "u", "v"] * 8}
    data = mw.read(rows, label=("x", "y"), input="text", kinds={"text": "text"})
    method = MultiTask(sharing="cross-stitch", size=0.5, batch_size=6)
    learner = begun(method, data)
    losses = method.loss(learner, method.draw(learner, 0, generator(0)))[1]
    assert all(bool(loss.isfinite()) for loss in losses.values())


# --- AdaShare ------------------------------------------------------------------------------------


@pytest.mark.quick
def test_stages_and_temperatures() -> None:
    assert _adashare.stages(100) == (20, 60)
    assert _adashare.temperature(20, 100) == pytest.approx(5.0)
    assert _adashare.temperature(59, 100) == pytest.approx(0.5)
    assert _adashare.temperature(30, 100) > _adashare.temperature(31, 100)


@pytest.mark.quick
def test_losses_of_the_policy_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0]])  # [blocks, labels]
    p = logits.sigmoid()
    assert float(_adashare.sparsity_loss(logits)) == pytest.approx(float(-(1 - p).log().sum()), rel=1e-5)
    by_hand = 1.0 * abs(p[0, 0] - p[0, 1]) + 0.5 * abs(p[1, 0] - p[1, 1])
    assert float(_adashare.sharing_loss(logits)) == pytest.approx(float(by_hand), rel=1e-5)


@pytest.mark.quick
def test_a_skipped_block_changes_nothing_for_its_label(digits: Data) -> None:
    learner = begun(MultiTask(sharing="adashare", backbone="vit", size=0.34, batch_size=8), digits).eval()
    units = learner.skippable
    assert len(units) >= 2
    inputs = learner.take(np.arange(4))
    whole = learner.network(inputs)
    units[0].policy[1] = 0
    part = learner.network(inputs)
    assert torch.allclose(whole["label"], part["label"], atol=1e-5)
    assert torch.allclose(whole["ink"], part["ink"], atol=1e-5)
    assert not torch.allclose(whole["even"], part["even"], atol=1e-5)
    # A soft share of 0 and of 1 is the same as skipping and passing.
    units[0].passing = torch.tensor([1.0, 0.0, 1.0])
    soft = learner.network(inputs)
    units[0].passing = None
    assert all(torch.allclose(soft[name], part[name], atol=1e-5) for name in part)


def test_a_run_of_adashare_searches_then_keeps_to_its_policy(digits: Data) -> None:
    """Weights and policy take turns; in the end the weights begin anew, and the policy stays."""
    method = MultiTask(sharing="adashare", backbone="vit", size=0.34, batch_size=8, sparsity=0.5)
    learner = begun(method, digits)
    optimizer, steps = make_optimizer(method, learner), 40
    search, last = _adashare.stages(steps)

    def logits() -> torch.Tensor:
        return torch.stack([unit.logits.detach().clone() for unit in learner.skippable])

    def weights() -> torch.Tensor:
        return next(learner.network.members[0].backbones.parameters()).detach().clone()

    first = weights()
    for step in range(steps):
        before = logits(), weights()
        take_step(method, learner, optimizer, step, steps, 0)
        moved = [not torch.equal(a, b) for a, b in zip(before, (logits(), weights()), strict=True)]
        turn = search <= step < last and (step - search) % 2 == 1
        assert moved == [turn, not turn or step + 1 == last]
        if step + 1 == last:
            assert torch.equal(weights(), first)
            policy = torch.stack([unit.policy for unit in learner.skippable])
            assert set(policy.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(policy, torch.stack([unit.policy for unit in learner.skippable]))
    assert float(logits().mean()) < 0  # blocks cost something here
    again = walked(method, digits, steps)
    assert all(torch.equal(a, b) for a, b in zip(learner.network.state_dict().values(),
                                                 again.network.state_dict().values(), strict=True))  # fmt: skip


@pytest.mark.quick
def test_backbones_that_cannot_are_refused_by_name(digits: Data) -> None:
    with pytest.raises(ParameterError, match=r"skips residual blocks .*'convnet' has none\. Take one that has"):
        MultiTask(sharing="adashare", backbone="convnet").fit(digits, budget=1)
    with pytest.raises(ParameterError, match=r"must be 'equal' with sharing='adashare'"):
        MultiTask(sharing="adashare", weighting="pcgrad")
    with pytest.raises(ParameterError, match=r"with sharing='soft' leave it out"):
        MultiTask(sharing="soft", weighting="gradnorm")


# --- what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"sharing": "cross-stitch"}, {"sharing": "adashare", "backbone": "vit"},
], ids=["cross-stitch", "adashare"])  # fmt: skip
def test_who_shares_what_is_stated_and_shown(digits: Data, options: dict[str, Any]) -> None:
    model = MultiTask(size=0.34, batch_size=8, **options).fit(digits, budget="10 steps")
    assert isinstance(model, LabelsPredictor)
    stated = model.lineage.facts["sharing"]
    assert stated["labels"] == ["label", "even", "ink"]
    kind = CrossStitch if options["sharing"] == "cross-stitch" else Skippable
    assert len(stated["blocks"]) == len(units_of(model.network, kind))
    (exhibit,) = SeveralLabels().exhibits(model, digits.test)
    assert exhibit.matrix is not None
    assert exhibit.matrix.rows == ("label", "even", "ink")
    assert [list(row) for row in exhibit.matrix.values] == stated["values"]
    plain = MultiTask(size=0.25).fit(digits, budget=1)
    assert SeveralLabels().exhibits(plain, digits.test) == ()
    assert model.gives == {"labels"}


def test_gradnorm_states_its_weights(digits: Data) -> None:
    model = MultiTask(weighting="gradnorm", size=0.25).fit(digits, budget="30 steps")
    weights = model.lineage.facts["loss_weights"]
    assert sum(weights.values()) == pytest.approx(3, abs=1e-3)
    assert max(weights.values()) > 1.02
