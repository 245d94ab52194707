"""FineTune: layers learn at their own rates, and those that are frozen do not move before their time."""

import pytest
import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.models.model import Model
from manyways.randomness import generator
from manyways.training.events import Event
from manyways.training.optimizer import make_optimizer, set_rates
from manyways.training.run import Run


@pytest.fixture(scope="module")
def few(digits: Data) -> Data:
    return digits.with_labels(60, draw="stratified")


@pytest.fixture(scope="module")
def start(few: Data) -> Model:
    return SimCLR(batch_size=64).fit(few, budget=10)


def _layers(model: Model) -> list[list[Tensor]]:
    """Parameters of the backbone's layers, without the head's."""
    return [[p.detach() for p in group] for part in model.network.backbones for group in part.layer_groups()]


def _moved(before: Model, after: Model) -> list[float]:
    """How far each layer of the backbone moved, from the input upwards."""
    pairs = zip(_layers(before), _layers(after), strict=True)
    return [max(float((a - b).abs().max()) for a, b in zip(x, y, strict=True)) for x, y in pairs]


def test_lower_layers_learn_at_smaller_rates(few: Data, start: Model) -> None:
    method = FineTune(layer_decay=0.5)
    learner = method.begin(few, start, 0)
    optimizer = make_optimizer(method, learner)
    set_rates(optimizer, method, 50, 100)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    layers = learner.network.layer_groups()
    by_layer = [{rates[id(p)] for p in layer} for layer in layers]
    top = by_layer[-1].pop()
    for depth, found in enumerate(by_layer[-2::-1], 1):
        assert list(found) == [pytest.approx(top * 0.5**depth)]
    assert len(rates) == len(list(learner.network.parameters())), "a parameter is in no group"


def test_layer_decay_changes_what_moves(few: Data, start: Model) -> None:
    slow, even = (_moved(start, FineTune(layer_decay=d).fit(few, start, budget=10)) for d in (0.01, 1.0))
    assert slow[0] < 0.05 * even[0], "the lowest layer moved as if there were no decay"
    assert slow[-1] > 0


def test_frozen_layers_do_not_move_before_their_start(few: Data, start: Model) -> None:
    seen: dict[int, Model] = {}

    def watch(event: Event) -> None:
        if event.model is not None:
            seen[event.step] = event.model()

    steps, method = 40, FineTune(unfreeze=1.0, weight_decay=0.1)
    method.fit(few, start, budget=steps, run=Run(None, [watch], evaluations=steps))
    layers = len(_layers(start))
    for step, model in seen.items():
        for number, moved in enumerate(_moved(start, model)):
            begins = (layers - number) / (layers + 1) * steps
            if step <= begins:
                assert moved == 0, f"layer {number} moved by step {step}, before {begins}"
            elif step > begins + 1:
                assert moved > 0, f"layer {number} has not moved by step {step}, after {begins}"


def test_fine_tuning_uses_what_the_model_knows(digits: Data) -> None:
    """A model of all digits, fine-tuned with few labels, beats training anew on the same labels and steps."""
    known = Supervised().fit(digits, budget=150)
    few = digits.with_labels(20, 1, draw="stratified")
    tuned, anew = (
        method.fit(few, model, budget=20).evaluate(digits.test)["accuracy"]
        for method, model in ((FineTune(), known), (Supervised(), None))
    )
    assert tuned > anew + 0.1


def test_predicts_numbers_from_features_learned_without_them(diabetes: Data) -> None:
    start = SimCLR(batch_size=32).fit(diabetes, budget=5)
    model = FineTune().fit(diabetes, start, budget=60)
    assert model.gives == {"regress", "embed"}
    assert model.evaluate(diabetes.test)["r2"] > 0.2


def test_needs_a_model_or_a_checkpoint(few: Data) -> None:
    with pytest.raises(NeedsError, match="chain it: simclr >> fine-tune"):
        FineTune().fit(few)
    assert FineTune(backbone="owner/checkpoint").lacks(few) is None


def test_augment_off_shows_the_rows_as_they_are(few: Data, start: Model) -> None:
    for augment in (True, False):
        method = FineTune(augment=augment)
        learner = method.begin(few, start, 0)
        shown = method.draw(learner, 0, generator(0))["inputs"]["image"]
        rows = learner.take(learner.pick(learner.labelled, method.batch_size, 0))["image"]
        assert (shown.dtype == torch.uint8 and torch.equal(shown, rows)) == (not augment)
