"""CPC: its loss against explicit loops, what it may see of the future, and clips too short for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.self_supervised.cpc import CPC, CPCLearner
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised

from ..steps import Step

TINY = {"batch_size": 6, "size": 0.25}


def clips(*milliseconds: int, rows: int = 24) -> Data:
    """Clips of noise of several lengths, filled up with silence, and a label."""
    rng = np.random.default_rng(0)
    waves = rng.integers(-9000, 9000, (rows, 8 * max(milliseconds))).astype(np.int16)
    for row in range(rows):
        waves[row, 8 * milliseconds[row % len(milliseconds)] :] = 0
    label = Column("label", "category", np.array(["a", "b"], object)[np.arange(rows) % 2])
    roles = {"input": ["sound"], "label": ["label"]}
    return Data.from_columns([Column("sound", "audio", waves, 8000), label], roles, name="noise")


def by_loops(method: CPC, learner: CPCLearner, inputs: dict[str, Tensor], others: Tensor) -> Tensor:
    """Equation 4 of van den Oord et al. (2018) for each step ahead and every place, term by term."""
    frames = learner.frames(inputs)
    assert frames.mask is not None
    context = learner.backbone.context(frames).features
    weights = learner.predictors.weight.view(method.steps, -1, context.shape[2])
    every = [(row, at) for row, own in enumerate(frames.mask.tolist()) for at, there in enumerate(own) if there]
    losses = []
    for ahead in range(1, method.steps + 1):
        for row, at in every:
            if (row, at + ahead) not in every:
                continue
            guess = weights[ahead - 1] @ context[row, at]
            if method.negatives is None:
                wrong = [frames.features[place] for place in every if place[0] == row and place[1] != at + ahead]
            else:
                drawn = [every[int(share * len(every))] for share in others[ahead - 1].tolist()]
                wrong = [frames.features[place] for place in drawn if place != (row, at + ahead)]
            right = frames.features[row, at + ahead]
            scores = torch.stack([guess @ right, *(guess @ each for each in wrong)])
            losses.append(-scores.log_softmax(0)[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("negatives", [None, 5])
def test_a_whole_step(negatives: int | None) -> None:
    method = CPC(steps=3, negatives=negatives, precision="float32", **TINY)
    step = Step(method, clips(200, 120))
    loss = by_loops(method, step.by_hand, step.batch["inputs"], step.batch["others"])
    step.descend(loss)
    step.agree(loss)


@pytest.mark.quick
def test_what_lies_more_than_a_frame_ahead_is_not_seen() -> None:
    """The context at t is made of frames that hear no more than 50 ms, and of none behind it."""
    learner = CPC(steps=3, **TINY).begin(clips(300), None, 0).eval()
    waves = learner.take(np.arange(2))["sound"]
    frames = learner.frames({"sound": waves})
    changed = frames.features.clone()
    changed[:, 9:] = 0
    context = learner.backbone.context(frames).features
    other = learner.backbone.context(replace(frames, features=changed)).features
    assert torch.equal(context[:, :9], other[:, :9])
    assert not torch.equal(context[:, 9:], other[:, 9:])


def test_it_learns_what_comes_next() -> None:
    """Of tones that rise, fall or stay the next frames follow; of the same pieces in any order they do not."""
    data = CPC.example_data()
    method = CPC(steps=3, batch_size=32, size=0.5)
    lost = method.ablations(data)["the order of its frames"][1]
    told, shuffled = (method.fit(each, budget=60, seed=0).lineage.facts["pretext"] for each in (data, lost))
    assert told["accuracy"] > 2 * told["chance"]
    assert told["accuracy"] > shuffled["accuracy"] + 0.1
    assert told["spread"] > 0.1


def test_clips_shorter_than_the_context_are_refused() -> None:
    with pytest.raises(DataError, match=r"cpc learns from clips of 10 frames \(200 ms\) or more, and the longest here"):
        CPC(**TINY).fit(clips(160), budget=1)


def test_some_clips_that_are_shorter_are_counted() -> None:
    model = CPC(steps=8, **TINY).fit(clips(300, 300, 100), budget=1)
    assert "8 of 24 clips have fewer than 10 frames (200 ms) and taught nothing" in model.lineage.facts["caution"]
    assert "clips" not in CPC(steps=3, **TINY).fit(clips(300), budget=1).lineage.facts.get("caution", "")


def test_other_inputs_and_other_networks_are_refused(digits: Data) -> None:
    with pytest.raises(NeedsError, match="needs sound and no other inputs"):
        CPC().fit(digits, budget=1)
    with pytest.raises(ParameterError, match="those before it, and 'audio-transformer' makes none"):
        CPC(backbone="audio-transformer", steps=3).fit(clips(200), budget=1)
    begun = SimCLR(batch_size=4).fit(clips(200), budget=1)
    with pytest.raises(ParameterError, match="'audio-net' makes none"):
        CPC(steps=3).fit(clips(200), begun, budget=1)


def test_what_it_learned_is_gone_on_with() -> None:
    data = clips(200)
    begun = CPC(steps=3, **TINY).fit(data, budget=2)
    model = Supervised(batch_size=4).fit(data, begun, budget=2)
    assert model.network.parts[0].config == begun.network.parts[0].config
    assert model.lineage.parents[0].facts["pretext"] == begun.lineage.facts["pretext"]
    assert len(model.predict(data)) == len(data)
