"""Inpainting: a block is taken out, nothing of it is seen, and it is painted better than by the mean."""

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.inpainting import Inpainting
from manyways.randomness import generator

from ..steps import Step


@pytest.mark.quick
def test_a_block_is_a_share_of_the_image_and_lies_anywhere() -> None:
    blocks = Inpainting(share=0.25).blocks(torch.zeros(400, 3, 8, 12), generator(0))
    assert blocks.shape == (400, 1, 8, 12)
    assert (blocks.sum((2, 3)) == 4 * 6).all()
    places = {tuple(block.nonzero()[0].tolist()) for block in blocks[:, 0]}
    assert places == {(top, left) for top in range(5) for left in range(7)}
    centre = Inpainting(share=0.25, region="centre").blocks(torch.zeros(2, 3, 8, 12), generator(0))
    assert centre[0, 0, 2:6, 3:9].all()
    assert centre.sum() == 2 * 24


def test_a_whole_step(digits: Data) -> None:
    method = Inpainting(batch_size=4)
    step = Step(method, digits.select(np.arange(40)), step=3)
    learner, batch = step.by_hand, step.batch
    hidden = batch["hidden"]["image"]
    (painter,) = learner.painters
    painted = painter(learner.network.features(batch["inputs"]))
    loss = ((painted - batch["whole"]["image"]) ** 2)[hidden].mean()
    step.descend(loss)
    step.agree(loss)


def test_nothing_of_a_block_is_seen_and_all_else_is(digits: Data) -> None:
    method = Inpainting(batch_size=8)
    learner = method.begin(digits, None, 0)
    part, images = learner.network.parts[0], torch.rand(8, 1, 8, 8, generator=generator(1))
    batch = method.taken_out(learner, {"image": images}, generator(0))
    hidden, seen = batch["hidden"]["image"], batch["inputs"]["image"]
    assert torch.equal(seen[~hidden], images[~hidden])
    assert (seen[hidden] == part.mean).all()
    torch.testing.assert_close(batch["whole"]["image"] * part.std + part.mean, images)


def test_it_paints_better_than_the_mean_and_the_decoder_is_dropped(digits: Data) -> None:
    model = Inpainting(batch_size=32).fit(digits, budget=60, seed=0)
    assert model.lineage.facts["pretext"]["explained_variance"] > 0.05
    assert not any("painter" in name for name, _ in model.network.named_parameters())
    assert model.network.head is None


@pytest.mark.quick
def test_a_block_too_small_to_paint_is_refused(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"a block of share=0.01 has less than 2 pixels a side.*8 × 8"):
        Inpainting(share=0.01).fit(digits, budget=1)
    bars = Column("bar", "image", np.zeros((20, 1, 2, 40), np.uint8))
    with pytest.raises(NeedsError, match="2 × 40"):
        Inpainting(share=0.9).fit(Data.from_columns([bars], {"input": ["bar"]}, name="bars"), budget=1)
