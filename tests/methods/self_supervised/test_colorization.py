"""Colorization: CIELAB, colours that are told apart and weighed, and grey images refused by name."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.lab import lab_of
from manyways.errors import NeedsError
from manyways.methods.self_supervised.colorization import Colorization, colour_weights, colours_of, encoded, pooled
from manyways.randomness import generator

from ..steps import Step


@pytest.fixture(scope="module")
def tiles() -> Data:
    return mw.read("photo-tiles").with_test(0.2)


@pytest.mark.quick
def test_tiles_are_of_two_photographs(tiles: Data) -> None:
    assert len(tiles) == 520
    assert tiles.classes == ("china", "flower")
    assert tiles.inputs[0].take(np.arange(3)).shape == (3, 3, 32, 32)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((1, 1, 1), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((1, 0, 0), (53.24, 80.09, 67.20)),
     ((0, 1, 0), (87.73, -86.18, 83.18)), ((0, 0, 1), (32.30, 79.19, -107.86)),
     ((0.02, 0.02, 0.02), (1.4, 0, 0)), ((0.5, 0.5, 0.5), (53.39, 0, 0))],
)  # fmt: skip
def test_lab_is_that_of_the_standard(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    made = lab_of(torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(made, torch.tensor(lab, dtype=torch.float32), atol=0.05, rtol=0)


@pytest.mark.quick
def test_a_colour_is_a_distribution_over_its_nearest_five() -> None:
    colours = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0], [50.0, 50.0], [-30.0, 0.0], [99.0, 99.0]])
    (shares,) = encoded(torch.tensor([[2.0, 0.0]]), colours)
    raw = [np.exp(-(d**2) / 50) for d in (2.0, 8.0, float(np.hypot(2, 20)), float(np.hypot(48, 50)), 32.0)]
    torch.testing.assert_close(shares, torch.tensor([*raw, 0.0], dtype=torch.float32) / sum(raw))
    (far,) = encoded(torch.tensor([[120.0, 120.0]]), colours)
    assert far.isfinite().all()
    assert far.argmax() == 5


@pytest.mark.quick
def test_rare_colours_weigh_more_and_the_mean_by_frequency_is_one() -> None:
    frequencies = torch.tensor([0.7, 0.2, 0.1])
    for rebalance in (0.0, 0.5, 1.0):
        weights = colour_weights(frequencies, rebalance)
        assert float((weights * frequencies).sum()) == pytest.approx(1)
    torch.testing.assert_close(colour_weights(frequencies, 0.0), torch.ones(3))
    torch.testing.assert_close(colour_weights(frequencies, 1.0), 1 / (3 * frequencies))
    half = 1 / (0.5 * frequencies + 0.5 / 3)  # equation 4 of the paper, with λ = .5
    torch.testing.assert_close(colour_weights(frequencies, 0.5), half / (half * frequencies).sum())


@pytest.mark.quick
def test_places_are_means_and_there_are_no_more_colours_than_there_are() -> None:
    ab = torch.arange(2 * 8 * 8, dtype=torch.float32).view(1, 2, 8, 8)
    places = pooled(ab, (2, 2))
    assert places.shape == (16, 2)
    assert places[0].tolist() == [float(ab[0, 0, :2, :2].mean()), float(ab[0, 1, :2, :2].mean())]
    assert places[1, 0] == ab[0, 0, :2, 2:4].mean()
    assert len(colours_of(torch.tensor([[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]]), 7, 0)) == 2


def test_a_whole_step(tiles: Data) -> None:
    """The cross-entropy of each place against its soft colour, weighed by the nearest one."""
    method = Colorization(batch_size=3, colours=5)
    step = Step(method, tiles.select(np.arange(60)), step=3)
    learner, images = step.by_hand, step.batch["images"]["image"]
    lab = lab_of(images)
    grey = (lab[:, :1] / 100).repeat(1, 3, 1, 1)
    tokens = learner.network.tokens({"image": grey})["image"]
    rows, columns = tokens.grid
    (painter,) = learner.painters
    logits = painter(tokens.features).view(3, rows, columns, 5, 2, 2)
    terms = []
    for row in range(3):
        for y in range(2 * rows):
            for x in range(2 * columns):
                high, wide = 32 // (2 * rows), 32 // (2 * columns)
                patch = lab[row, 1:, y * high : (y + 1) * high, x * wide : (x + 1) * wide].mean((1, 2))
                (target,) = encoded(patch[None], learner.colours)
                here = logits[row, y // 2, x // 2, :, y % 2, x % 2].log_softmax(0)
                terms.append(learner.rarity[target.argmax()] * -(target * here).sum())
    loss = torch.stack(terms).mean()
    step.descend(loss)
    step.agree(loss)


def test_the_network_sees_no_colour(tiles: Data) -> None:
    method = Colorization(batch_size=4, colours=5)
    learner = method.begin(tiles, None, 0).eval()
    images = torch.rand(4, 3, 32, 32, generator=generator(0))
    grey = lab_of(images)[:, :1].expand(-1, 3, -1, -1)
    with torch.no_grad():
        ((logits, places),) = method.painted(learner, {"image": images})
        expected = learner.network.tokens({"image": grey / 100})["image"].features
        again = learner.painters[0](expected)
    assert logits.shape == (len(places), 5)
    torch.testing.assert_close(logits.sum(), again.sum(), rtol=1e-4, atol=1e-2)


def test_colours_are_learned_of_real_pictures(tiles: Data) -> None:
    scores = Colorization(batch_size=16, colours=8).fit(tiles, budget=60, seed=0).lineage.facts["pretext"]
    assert scores["accuracy"] > scores["chance"] + 0.1
    assert scores["colour_error"] < 0.9 * scores["error_of_grey"]


@pytest.mark.quick
def test_grey_images_are_refused_by_name(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"those of 'image' are grey: they have one channel.*mae, inpainting"):
        Colorization().fit(digits, budget=1)
    same = np.repeat(np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8), 3, axis=1)
    data = Data.from_columns([Column("photo", "image", same)], {"input": ["photo"]}, name="grey")
    with pytest.raises(NeedsError, match=r"those of 'photo' are grey: all channels are equal"):
        Colorization().fit(data, budget=1)


@pytest.mark.quick
def test_a_backbone_without_a_map_is_refused(tiles: Data) -> None:
    with pytest.raises(NeedsError, match=r"flat-perceptron of 'image' gives no map of places.*convnet"):
        Colorization(backbone="flat-perceptron").fit(tiles, budget=1)
