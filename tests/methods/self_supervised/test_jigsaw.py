"""Jigsaw: tiles in known orders, nothing at their edges to go by, and an order that is learned."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.jigsaw import Jigsaw, cut_tiles, farthest_permutations, with_statistics
from manyways.randomness import generator

from ..steps import Step


@pytest.mark.quick
def test_permutations_are_far_from_each_other() -> None:
    every = farthest_permutations(4, 24)
    assert len({tuple(row) for row in every.tolist()}) == 24
    assert every[0].tolist() == [0, 1, 2, 3]
    some = farthest_permutations(9, 100)
    distances = (some[:, None] != some[None]).sum(2)[~np.eye(100, dtype=bool)]
    at_random = np.stack([np.random.default_rng(seed).permutation(9) for seed in range(100)])
    others = (at_random[:, None] != at_random[None]).sum(2)[~np.eye(100, dtype=bool)]
    assert distances.min() == 6 > others.min()
    assert distances.mean() > others.mean()
    assert np.array_equal(np.sort(some, axis=1), np.tile(np.arange(9), (100, 1)))


@pytest.mark.quick
def test_tiles_are_cut_from_their_places_with_a_gap() -> None:
    images = torch.arange(64.0).view(1, 1, 8, 8).expand(200, 2, 8, 8)
    tiles = cut_tiles(images, 2, generator(0))
    assert tiles.shape == (200, 4, 2, 3, 3)
    for at, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        corner = tiles[:, at, 0, 0, 0]
        assert set(corner.tolist()) == {8.0 * (top + y) + left + x for y in range(2) for x in range(2)}
        inside = corner[:, None, None] + torch.tensor([[0.0, 1, 2], [8, 9, 10], [16, 17, 18]])
        assert torch.equal(tiles[:, at, 0], inside)
        assert torch.equal(tiles[:, at, 1], inside)


@pytest.mark.quick
def test_level_and_contrast_of_a_tile_tell_nothing() -> None:
    tiles = torch.rand(5, 4, 3, 6, 6, generator=generator(0)) * (
        0.2 + torch.rand(5, 4, 3, 1, 1, generator=generator(1))
    )
    alike = with_statistics(tiles, torch.tensor([0.2, 0.3, 0.4]), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(alike.mean((3, 4)), torch.tensor([0.2, 0.3, 0.4]).expand(5, 4, 3))
    torch.testing.assert_close(alike.std((3, 4)), torch.tensor([0.1, 0.2, 0.3]).expand(5, 4, 3))


def test_a_whole_step(digits: Data) -> None:
    """Each tile goes through the network by itself; the order is told of all of them, side by side."""
    step = Step(Jigsaw(batch_size=3), digits.select(np.arange(40)), step=3)
    learner, tiles = step.by_hand, step.batch["inputs"]["image"]
    assert tiles.shape == (12, 1, 8, 8)
    features = learner.of_tile(learner.network.features({"image": tiles}))
    rows = torch.stack([torch.cat(list(features[4 * row : 4 * row + 4])) for row in range(3)])
    loss = cross_entropy(learner.of_all(rows), step.batch["orders"])
    step.descend(loss)
    step.agree(loss)


def test_tiles_stand_in_the_order_that_is_to_be_told(digits: Data) -> None:
    method = Jigsaw(batch_size=8)
    learner = method.begin(digits, None, 0)
    inputs = {"image": torch.zeros(50, 1, 8, 8)}
    for at, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):  # a tile by the slope along its rows
        inputs["image"][:, :, top : top + 4, left : left + 4] = torch.tensor([0, 1, 2, 3]) * 0.1 * (-1) ** at
        inputs["image"][:, :, top : top + 4, left : left + 4] += (at > 1) * torch.tensor([0, 0, 1, 1])[:, None] * 0.3
    batch = method.shuffled(learner, inputs, generator(0))
    plain = method.shuffled(learner, inputs, generator(0))
    assert torch.equal(batch["inputs"]["image"], plain["inputs"]["image"])
    assert len(set(batch["orders"].tolist())) > 10
    rising = batch["inputs"]["image"].view(50, 4, 8, 8).diff(dim=3).mean((2, 3)) > 0
    wanted = learner.permutations[batch["orders"]] % 2 == 0
    assert torch.equal(rising, wanted)


def test_an_order_is_learned_and_without_an_upright_it_is_said(digits: Data) -> None:
    learned = Jigsaw(batch_size=32).fit(digits, budget=50, seed=0).lineage.facts
    assert learned["pretext"]["accuracy"] > 4 * learned["pretext"]["chance"]
    assert learned["pretext"]["chance"] == pytest.approx(1 / 24)
    noise = np.random.default_rng(0).integers(0, 256, (300, 1, 8, 8), np.uint8)
    data = Data.from_columns([Column("image", "image", noise)], {"input": ["image"]}, name="noise")
    facts = Jigsaw(batch_size=8, size=0.25).fit(data, budget=4, seed=0).lineage.facts
    assert "Images without an upright" in facts["caution"]


@pytest.mark.quick
@pytest.mark.parametrize(("side", "tiles", "hint"), [(8, 3, "or take tiles=2, read larger ones, image_size=12"),
                                                     (6, 2, "They need 8 on each side: read larger")])  # fmt: skip
def test_images_too_small_for_the_tiles_are_refused(side: int, tiles: int, hint: str) -> None:
    data = Data.from_columns(
        [Column("image", "image", np.zeros((20, 1, side, side), np.uint8))], {"input": ["image"]}, name="small"
    )
    with pytest.raises(NeedsError, match=rf"{side} × {side} pixels, too small for {tiles} × {tiles} tiles.*{hint}"):
        Jigsaw(tiles=tiles).fit(data, budget=1)
