"""MAE: hidden patches are painted from visible ones alone."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.mae import MAE, normalised
from manyways.randomness import generator

from ..steps import Step


@pytest.mark.quick
def test_patches_are_normalised_each_by_itself() -> None:
    patches = torch.tensor([[[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 2.0]]])
    scaled = normalised(patches)
    deviation = (20 / 3) ** 0.5  # of 1, 3, 5, 7, unbiased
    torch.testing.assert_close(scaled[0, 0], torch.tensor([-3.0, -1.0, 1.0, 3.0]) / deviation, atol=1e-5, rtol=1e-5)
    assert scaled[0, 1].tolist() == [0.0] * 4


@pytest.mark.parametrize("normalise", [True, False])
def test_a_whole_step(normalise: bool, digits: Data) -> None:
    """The mean squared error of the hidden patches; the encoder is run on the visible ones, one row after the other."""
    method = MAE(batch_size=4, size=0.25, decoder_width=16, mask=0.5, normalise=normalise)
    step = Step(method, digits.select(np.arange(40)), step=3)
    learner, images, mask = step.by_hand, step.batch["inputs"]["image"], step.batch["masks"]["image"]
    part, (painter,) = learner.network.parts[0], learner.painters
    errors = []
    for row in range(4):
        pixels = (images[row] - part.mean[:, None, None]) / part.std[:, None, None]
        patches = pixels.unfold(1, 2, 2).unfold(2, 2, 2)[0].reshape(16, 4)
        seen, hidden = mask.order[row, :8], mask.order[row, 8:]
        features = (part.embedding(patches[seen]) + part.positions[seen])[None]
        for block in part.blocks:
            features = block(features)
        embedded = painter.embedding(part.norm(features))[0]
        everywhere = painter.mask_token.repeat(16, 1).index_copy(0, seen, embedded) + painter.positions
        everywhere = everywhere[None]
        for block in painter.blocks:
            everywhere = block(everywhere)
        painted = painter.values(painter.norm(everywhere))[0, hidden]
        wanted = patches[hidden]
        scaled = (wanted - wanted.mean(1, keepdim=True)) / (wanted.var(1, keepdim=True) + 1e-6).sqrt()
        errors.append((painted - (scaled if normalise else wanted)).square())
    loss = torch.stack(errors).mean()
    step.descend(loss)
    step.agree(loss)


def test_hidden_pixels_reach_no_feature(digits: Data) -> None:
    """Other pixels in a hidden patch change what is to be painted, and nothing of what is painted."""
    method = MAE(batch_size=4, size=0.25)
    learner = method.begin(digits, None, 0).eval()
    batch = method.draw(learner, 0, generator(0))
    part, mask = learner.network.parts[0], batch["masks"]["image"]
    assert mask.visible == 4
    assert mask.order.shape == (4, 16)
    ((painted, wanted),) = method.painted(learner, batch)
    changed = batch["inputs"]["image"].clone()
    for row, places in enumerate(mask.hidden.tolist()):
        for place in places:
            top, left = 2 * (place // 4), 2 * (place % 4)
            changed[row, :, top : top + 2, left] = 1 - changed[row, :, top : top + 2, left]
    ((same, other),) = method.painted(learner, {**batch, "inputs": {"image": changed}})
    assert torch.equal(painted, same)
    assert not torch.equal(wanted, other)
    assert part.width == learner.network.width


def test_it_paints_better_than_the_mean_and_the_decoder_is_dropped(digits: Data) -> None:
    model = MAE(batch_size=32, size=0.5).fit(digits, budget=100, seed=0)
    scores = model.lineage.facts["pretext"]
    assert scores["explained_variance"] > 0.03
    untrained = MAE(batch_size=32, size=0.5, learning_rate=1e-9).fit(digits, budget=1, seed=0)
    assert untrained.lineage.facts["pretext"]["explained_variance"] < 0.01
    assert model.network.config()["backbones"][0]["name"] == "vit"
    assert set(dict(model.network.named_children())) == set(dict(untrained.network.named_children()))
    assert not any("painter" in name for name, _ in model.network.named_parameters())


def test_a_backbone_without_patches_is_refused(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"its backbone reads 'image' by convnet without.* Take backbone=\"vit\""):
        MAE(backbone="convnet").fit(digits, budget=1)
    start = mw.SimCLR(batch_size=8).fit(digits, budget=1)
    with pytest.raises(NeedsError, match=r"reads 'image' by convnet without patches"):
        MAE().fit(digits, start, budget=1)
    again = MAE(size=0.25, batch_size=4).fit(digits, budget=1)
    assert MAE(batch_size=4).fit(digits, again, budget=1).network.width == again.network.width


@pytest.mark.quick
def test_other_inputs_than_images_and_images_of_one_patch_are_refused(wine: Data) -> None:
    with pytest.raises(NeedsError, match="it needs images and no other inputs"):
        MAE().fit(wine, budget=1)
    dots = Column("image", "image", np.random.default_rng(0).integers(0, 256, (20, 1, 2, 2), np.uint8))
    data = Data.from_columns([dots], {"input": ["image"]}, name="dots")
    with pytest.raises(NeedsError, match=r"are one patch of 2 × 2 pixels"):
        MAE().fit(data, budget=1)
