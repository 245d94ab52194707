"""Boxes and masks learned end to end on small pictures: heads, sizes, saving, methods that start from a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import manyways as mw
from manyways.data.specs import ImageSpec
from manyways.errors import DataError
from manyways.models.backbones import make_backbone
from manyways.models.backbones.tokens import map_of
from manyways.models.centre_head import CentreHead
from manyways.models.heads import HEADS
from manyways.models.network import Network, rebuild_network
from manyways.testing.label_rows import rows_with_label


@pytest.mark.quick
@pytest.mark.parametrize(("name", "stride"), [("pyramid", 4), ("unet", 1)])
def test_maps_are_views_of_tokens_and_pictures_may_be_of_any_size(name: str, stride: int) -> None:
    backbone = make_backbone(name, ImageSpec(3, 64, 96)).eval()
    tokens = backbone.tokens(torch.rand(2, 3, 64, 96))
    assert tokens.grid == (64 // stride, 96 // stride)
    features = map_of(tokens)
    assert features.data_ptr() == tokens.features.data_ptr()
    assert features.is_contiguous(memory_format=torch.channels_last)
    other = backbone.tokens(torch.rand(1, 3, 37, 51))
    assert other.grid == (-(-37 // stride), -(-51 // stride))


@pytest.mark.quick
def test_the_pyramid_has_the_size_that_learns_in_minutes() -> None:
    count = sum(parameter.numel() for parameter in make_backbone("pyramid", ImageSpec(3, 192, 256)).parameters())
    assert 0.9e6 < count < 1.2e6


@pytest.mark.quick
def test_a_head_of_boxes_pools_a_fine_map_and_is_rebuilt_from_its_config() -> None:
    backbone = make_backbone("unet", ImageSpec(1, 16, 16))
    data = rows_with_label("label of boxes")
    network = Network({"picture": backbone})
    from manyways.data.targets import Target

    target = Target.fit(data)
    head = CentreHead.made_for(network, target)
    network.put_head(head)
    maps = network.eval()({"picture": torch.rand(2, 1, 16, 16)})
    assert (maps.heat.shape, maps.sides.shape) == ((2, 1, 4, 4), (2, 4, 4, 4))
    again = rebuild_network(network.config()).eval()
    again.load_state_dict(network.state_dict())
    assert type(again.head) is HEADS.find("centres")
    picture = {"picture": torch.rand(2, 1, 16, 16)}
    assert torch.equal(again(picture).heat, network(picture).heat)


def squares(folder: Path, count: int = 48) -> None:
    """Pictures of 80 x 60 pixels with a bright square, its side 12 to 24, and YOLO's text."""
    rng = np.random.default_rng(0)
    for part, rows in (("train", count), ("test", 12)):
        for kind in ("images", "labels"):
            (folder / part / kind).mkdir(parents=True)
        for row in range(rows):
            pixels = rng.integers(0, 70, (60, 80, 3), np.uint8)
            side, left, top = (int(rng.integers(low, high)) for low, high in ((12, 25), (0, 54), (0, 34)))
            pixels[top : top + side, left : left + side] += 140
            Image.fromarray(pixels).save(folder / part / "images" / f"{row}.png")
            sides = ((left + side / 2) / 80, (top + side / 2) / 60, side / 80, side / 60)
            (folder / part / "labels" / f"{row}.txt").write_text(f"0 {' '.join(f'{each:.5f}' for each in sides)}")


def test_boxes_are_learned_and_predicted_in_pixels_of_the_files(tmp_path: Path) -> None:
    squares(tmp_path / "data")
    data = mw.read(tmp_path / "data", image_size=(48, 64))
    model = mw.Supervised(average=0.9, size=0.5, learning_rate=5e-3).fit(data, budget="60 steps", seed=0)
    scores = model.evaluate(data.test)
    assert scores["map_50"] > 0.8
    predicted = model.predict(data.test)
    best = np.array([max(row, key=lambda box: box["score"])["box"] for row in predicted])
    truth = np.array(
        [row[0]["box"] for row in model.target.decode_rows(list(model.target.encode(data.test)), data.test)]
    )
    assert np.abs(best - truth).mean() < 3  # of pictures of 80 x 60
    model.save(tmp_path / "model")
    loaded = mw.load(tmp_path / "model")
    assert loaded.predict(tmp_path / "data" / "test" / "images").tolist() == predicted.tolist()
    evaluation = model.evaluate_rows(data.test, "map_50")
    assert evaluation.scores["map_50"] == pytest.approx(scores["map_50"])


@pytest.mark.parametrize(("kind", "metric"), [("mask", "dice"), ("instances", "ap_50")])
def test_masks_are_learned(kind: str, metric: str, tmp_path: Path) -> None:
    data = rows_with_label(f"label of {kind}").with_labels(36)
    model = mw.Supervised(average=0.8, size=0.5, learning_rate=1e-2).fit(data, budget="40 steps", seed=0)
    scores = model.evaluate(data.test)
    assert scores[metric] > 0.7
    model.save(tmp_path / "model")
    predicted = mw.load(tmp_path / "model").predict(data.test)
    assert all(np.array_equal(one, other) for one, other in zip(predicted, model.predict(data.test), strict=True))
    assert predicted[0].shape == (16, 16)


def test_a_fine_tune_goes_on_with_the_head_and_another_label_gets_its_own() -> None:
    data = rows_with_label("label of mask")
    model = mw.Supervised(size=0.5).fit(data, budget="2 steps", seed=0)
    more = mw.FineTune().fit(data, model, budget="1 steps", seed=0)
    assert more.network.head.name == "pixels"
    boxes = rows_with_label("label of boxes")
    detector = mw.FineTune().fit(boxes, model, budget="1 steps", seed=0)
    assert detector.network.head.name == "centres"
    assert detector.network.head.pool == 4  # the U-Net's map has a place for every pixel


def test_inputs_without_a_picture_and_backbones_without_a_map_are_refused() -> None:
    data = rows_with_label("label of boxes")
    table = mw.read({"x": [1.0, 2.0, 3.0], "label": [[["a", 1, 2, 3, 4]]] * 3}, kinds={"label": "boxes"})
    with pytest.raises(DataError, match="lie in one column of images; the inputs of data hold none"):
        mw.Supervised().fit(table, budget="1 steps")
    with pytest.raises(DataError, match="gives tokens that lie on none"):
        mw.Supervised(backbone="flat-perceptron").fit(data, budget="1 steps")
