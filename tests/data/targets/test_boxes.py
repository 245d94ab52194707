"""Labels of boxes: their code, losses, peaks and scores, without training anything."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import manyways as mw
from manyways.data.data import Data
from manyways.data.targets.boxes import BoxTarget
from manyways.data.targets.centres import CentreMaps, focal_losses, heat_of, losses_of, peaks_of
from manyways.data.targets.detection_scores import coco_file, matches, mean_average_precisions, overlap_of
from manyways.errors import DataError

pytestmark = pytest.mark.quick

ROWS = [[["cat", 4, 2, 20, 10], ["dog", 10, 5, 40, 20]], [], [["dog", 0, 0, 8, 8]]]


def data_of(rows: list[Any], **options: Any) -> Data:
    images = np.random.default_rng(0).integers(0, 255, (len(rows), 20, 40, 3), np.uint8)
    return mw.read({"image": images, "label": rows}, kinds={"label": "boxes"}, **options)


def test_decode_of_encode_gives_the_boxes_back_whatever_size_the_pictures_came_to() -> None:
    data = data_of(ROWS, image_size=(32, 48))
    target = BoxTarget.fitted(data)
    assert (target.names, target.most, target.height, target.pixels_wide) == (("cat", "dog"), 2, 32, 48)
    codes = target.encode(data)
    assert codes.shape == (3, 2, 5)
    assert codes[0, 0].tolist() == pytest.approx([0, 4 / 40, 2 / 20, 20 / 40, 10 / 20])
    back = target.decode_rows(list(codes), data)
    assert [[[box["label"], *box["box"]] for box in row] for row in back] == ROWS
    # Without the rows the pixels are those of the size that was learned from.
    assert target.decode(codes)[0][0]["box"] == pytest.approx([4.8, 3.2, 24, 16])
    assert data_of(list(back)).take("label").tolist() == data.take("label").tolist()


def test_rows_without_label_are_unknown_and_those_without_object_are_known() -> None:
    data = data_of([*ROWS, None])
    target = BoxTarget.fitted(data)
    codes = torch.from_numpy(target.encode(data))
    assert target.known(codes).tolist() == [True, True, True, False]


def test_fuller_pictures_and_other_classes_in_test() -> None:
    training = data_of(ROWS)
    target = BoxTarget.fitted(training)
    crowded = data_of([[["dog", at, 0, at + 5, 9] for at in range(6)]])
    assert target.encode(crowded).shape == (1, 6, 5)
    with pytest.raises(DataError, match="row 1 .*has a box of the class 'cow', of which no training row has one"):
        target.encode(data_of([[], [["cow", 1, 1, 5, 5]]]))


def test_boxes_outside_of_their_picture_and_labels_without_any_box_are_refused() -> None:
    with pytest.raises(DataError, match="row 1: the box .* reaches 10 pixels over the border"):
        data_of([[], [["cat", 30, 2, 50, 10]]])
    with pytest.raises(DataError, match="No training row of data has a box"):
        BoxTarget.fitted(data_of([[], []]))
    skipped = data_of([[["cat", 1, 2, 5, 6]], [["cat", 30, 2, 50, 10]]], bad_rows="skip")
    assert len(skipped) == 1


def test_a_target_is_the_same_after_json() -> None:
    target = BoxTarget.fitted(data_of(ROWS))
    assert BoxTarget.from_json(target.to_json()) == target


def boxes(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows).float()[None]


def test_heat_is_one_at_the_centre_and_falls_as_wide_as_the_box() -> None:
    heat = heat_of(boxes([1, 0.25, 0.25, 0.75, 0.5], [-1, 0, 0, 1, 1]), 2, 40, 60)
    assert heat.shape == (1, 2, 40, 60)
    assert not heat[0, 0].any()
    assert (heat[0, 1] == 1).nonzero().tolist() == [[15, 30]]
    spread = 0.54 * 30 / 6
    assert heat[0, 1, 15, 33] == pytest.approx(np.exp(-9 / (2 * spread**2)), rel=1e-5)
    assert heat[0, 1, 18, 30] < heat[0, 1, 15, 33]  # the box is half as high as wide
    assert not heat_of(boxes([-1, -1, -1, -1, -1]), 2, 40, 60).any()


def test_focal_loss_is_that_of_the_paper() -> None:
    logits = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    heat = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    heat[0, 0, 1, 2] = 1
    p = logits.sigmoid()
    wanted = -((1 - p[0, 0, 1, 2]) ** 2 * p[0, 0, 1, 2].log())
    others = (1 - heat) ** 4 * p**2 * (1 - p).log()
    others[0, 0, 1, 2] = 0
    assert focal_losses(logits, heat).item() == pytest.approx((wanted - others.sum()).item(), rel=1e-5)


def perfect(labels: torch.Tensor, classes: int, height: int, width: int) -> CentreMaps:
    """Maps from which the boxes are read again."""
    heat = heat_of(labels, classes, height, width)
    sides = torch.zeros(len(labels), 4, height, width)
    for row, boxes_of_row in enumerate(labels):
        for code, left, top, right, bottom in boxes_of_row.tolist():
            if code >= 0:
                x, y = (left + right) / 2 * width, (top + bottom) / 2 * height
                at = torch.tensor([x - int(x) - 0.5, y - int(y) - 0.5])
                size = torch.tensor([(right - left) * width, (bottom - top) * height]).log()
                sides[row, :, int(y), int(x)] = torch.cat([at, size])
    return CentreMaps(torch.logit(heat.clamp(1e-4, 1 - 1e-4)), sides)


def test_peaks_of_the_heat_of_boxes_are_the_boxes() -> None:
    labels = boxes([0, 0.1, 0.2, 0.35, 0.7], [1, 0.5, 0.5, 0.9, 0.8], [0, 0.55, 0.1, 0.7, 0.3], [-1] * 5)
    found = peaks_of(perfect(labels, 2, 24, 32), most=5)[0]
    sure = found[found[:, 5] > 0.9]
    assert len(sure) == 3
    order = sure[:, 1].argsort()
    wanted = labels[0, :3][labels[0, :3, 1].argsort()]
    assert torch.allclose(sure[order][:, :5], wanted, atol=1e-4)


def test_padding_changes_nothing_and_the_loss_of_the_truth_is_the_least() -> None:
    labels = boxes([0, 0.1, 0.2, 0.35, 0.7], [1, 0.5, 0.5, 0.9, 0.8])
    padded = torch.cat([labels, torch.full((1, 3, 5), -1.0)], dim=1)
    maps = CentreMaps(
        torch.randn(1, 2, 24, 32, generator=torch.Generator().manual_seed(0)),
        torch.randn(1, 4, 24, 32, generator=torch.Generator().manual_seed(1)),
    )
    assert torch.equal(losses_of(maps, labels), losses_of(maps, padded))
    right = perfect(labels, 2, 24, 32)
    moved = labels.clone()
    moved[..., 1::2] += 0.1
    assert losses_of(right, labels) < 0.5 * losses_of(right, moved)
    empty = torch.full((2, 3, 5), -1.0)
    assert torch.isfinite(losses_of(maps[[0, 0]], empty)).all()


def test_nothing_is_learned_around_a_doubtful_box() -> None:
    sure = boxes([0, 0.1, 0.2, 0.35, 0.7])
    doubtful = torch.cat([sure, boxes([-3, 0.6, 0.3, 0.9, 0.7])], dim=1)
    heat = torch.zeros(1, 1, 24, 32, requires_grad=True)
    losses_of(CentreMaps(heat, torch.zeros(1, 4, 24, 32)), doubtful).sum().backward()
    assert heat.grad is not None
    assert heat.grad[0, 0, 12, 24] == 0
    assert heat.grad[0, 0, 2, 2] > 0


def test_pseudo_labels_are_the_sure_boxes_and_half_sure_ones_are_doubtful() -> None:
    target = BoxTarget.fitted(data_of(ROWS))
    labels = boxes([0, 0.1, 0.2, 0.35, 0.7], [1, 0.5, 0.5, 0.9, 0.8])
    maps = perfect(labels, 2, 24, 32)
    maps.heat[0, 1] -= maps.heat[0, 1].max() - 0.5  # a probability of 0.62
    guesses, share = target.pseudo_labels_of(maps, 0.9)
    codes = guesses[0, :, 0].tolist()
    assert (codes.count(0), codes.count(-4), set(codes)) == (1, 1, {0.0, -4.0, -1.0})
    assert share.tolist() == [0.5]


def test_equal_outputs_agree_and_teach_least() -> None:
    target = BoxTarget.fitted(data_of(ROWS))
    maps = perfect(boxes([0, 0.1, 0.2, 0.35, 0.7]), 2, 24, 32)
    other = replace(maps, heat=maps.heat + torch.randn(maps.heat.shape, generator=torch.Generator().manual_seed(0)))
    assert target.consistency_loss(maps, maps) == 0
    assert target.consistency_loss(other, maps) > 0
    assert target.distillation_loss(other, maps, 2.0) > target.distillation_loss(maps, maps, 2.0)


def test_mean_average_precision_is_that_of_pycocotools_and_more_than_100_objects_count() -> None:
    pytest.importorskip("pycocotools")
    sizes = np.array([[200, 400]] * 2, np.int32)
    grid = [[0, x / 20, y / 10, (x + 0.8) / 20, (y + 0.8) / 10] for x in range(20) for y in range(10)]
    truth = [np.array(grid, np.float32), np.array(grid[:3], np.float32)]
    found = [np.concatenate([each, np.linspace(0.9, 0.5, len(each))[:, None]], axis=1) for each in truth]
    scores, values = mean_average_precisions(found, truth, 2, sizes, by_row=True)
    assert scores == {"map_50": 1.0, "map": 1.0}
    assert values is not None
    assert values.mean() == pytest.approx(1.0)
    shifted = [each.copy() for each in found]
    for each in shifted:
        each[:, [1, 3]] += 0.009  # overlaps of 0.63
    scores, _ = mean_average_precisions(shifted, truth, 2, sizes)
    assert scores["map_50"] == 1.0
    assert scores["map"] == pytest.approx(0.3)
    nothing = [np.zeros((0, 6), np.float32)] * 2
    assert mean_average_precisions(nothing, truth, 2, sizes)[0]["map_50"] == 0.0


def test_scores_without_a_row_are_those_of_the_others() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([[100, 100]] * 4, np.int32)
    corners = rng.random((4, 5, 2)) * 0.5
    truth = [np.c_[rng.integers(0, 2, 5), low, low + 0.3].astype(np.float32) for low in corners]
    found = [np.c_[each + rng.normal(0, 0.02, each.shape) * [0, 1, 1, 1, 1], rng.random(5)] for each in truth]
    scores, values = mean_average_precisions(found, truth, 2, sizes, by_row=True)
    assert values is not None
    for row in range(4):
        rest = [at for at in range(4) if at != row]
        alone = mean_average_precisions([found[at] for at in rest], [truth[at] for at in rest], 2, sizes[rest])[0]
        assert values[row] == pytest.approx(4 * scores["map_50"] - 3 * alone["map_50"])


def test_matches_take_each_box_once_and_only_of_its_class() -> None:
    truth = np.array([[0, 0, 0, 0.5, 0.5], [1, 0.5, 0.5, 1, 1]])
    found = np.array([
        [0, 0, 0, 0.5, 0.5, 0.9], [0, 0, 0, 0.5, 0.45, 0.8], [0, 0.5, 0.5, 1, 1, 0.7], [1, 0.5, 0.5, 1, 1, 0.1],
    ])  # fmt: skip
    assert matches(found, truth, 0.3) == (1, 3, 2)
    assert overlap_of(found[:1, 1:5], truth[:, 1:])[0].tolist() == [1.0, 0.0]


def test_written_boxes_are_read_again(tmp_path: Path) -> None:
    data = data_of(ROWS)
    target = BoxTarget.fitted(data)
    labels = target.decode_rows(list(target.encode(data)), data)
    target.write(data, labels, tmp_path / "boxes.json")
    for row in range(3):
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / f"{row}.png")
    again = mw.read(tmp_path / "boxes.json")
    assert again.take("label").tolist() == data.take("label").tolist()
    assert coco_file(labels, [0, 1, 2], [(20, 40)] * 3, target.names)["images"][2]["id"] == 2
