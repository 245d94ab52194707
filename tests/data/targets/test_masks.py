"""Labels in every pixel: masks and objects, their codes, losses and scores, without training anything."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import manyways as mw
from manyways.data.data import Data
from manyways.data.targets import instances_maps as maps
from manyways.data.targets.instances import InstanceTarget
from manyways.data.targets.mask import UNKNOWN, MaskTarget
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def data_of(masks: np.ndarray, kind: str = "mask", **options: object) -> Data:
    images = np.random.default_rng(0).integers(0, 255, (*masks.shape, 3), np.uint8)
    return mw.read((images, masks), kinds={"label": kind}, **options)


def squares(*values: int) -> np.ndarray:
    """A mask for each value, with a square of it."""
    masks = np.zeros((len(values), 12, 16), np.int64)
    for row, value in enumerate(values):
        masks[row, 2 : 8 + row, 3:9] = value
    return masks


def test_values_are_classes_and_255_is_void_beside_others() -> None:
    two = MaskTarget.fitted(data_of(squares(255, 255)))
    assert (two.values, two.maps) == ((0, 255), 1)
    three = MaskTarget.fitted(data_of(squares(3, 7, 255)))
    assert (three.values, three.maps) == ((0, 3, 7), 3)
    codes = three.encode(data_of(squares(3, 7, 255)))
    assert [sorted(np.unique(code)) for code in codes] == [[0, 1], [0, 2], [0, UNKNOWN]]
    assert (three.decode(codes) == squares(3, 7, 255)).all()
    assert MaskTarget.from_json(three.to_json()) == three


def test_values_only_in_test_and_masks_of_another_size_are_refused() -> None:
    target = MaskTarget.fitted(data_of(squares(3, 7)))
    with pytest.raises(DataError, match="the mask of row 1 .* holds the value 9, which no training row has"):
        target.encode(data_of(squares(3, 9)))
    with pytest.raises(DataError, match="have 20x20 pixels, the pictures that are learned from 16x12"):
        target.encode(data_of(np.full((1, 20, 20), 3)))
    with pytest.raises(DataError, match="hold the value 0 alone"):
        MaskTarget.fitted(data_of(squares(0, 0)))


def test_rows_without_a_mask_are_unlabelled(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "masks").mkdir()
    for name, value in (("a", 3), ("c", 0)):
        Image.fromarray(squares(value)[0].astype(np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    data = mw.read(tmp_path)
    target = MaskTarget.fitted(data)
    labels = torch.from_numpy(target.encode(data))
    assert target.known(labels).tolist() == [True, False, True]
    assert not labels[2].any()


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2)])
def test_a_mask_loss_falls_to_nothing_at_the_truth_and_void_does_not_count(values: tuple[int, ...]) -> None:
    target = MaskTarget("label", 12, 16, values)
    labels = torch.from_numpy(squares(*values[1:])).to(torch.uint8)
    one_hot = torch.nn.functional.one_hot(labels.long(), len(values)).permute(0, 3, 1, 2).float()
    right = 40 * (one_hot[:, 1:] - 0.5 if target.maps == 1 else one_hot)
    assert target.losses(right, labels).max() < 1e-3
    assert target.losses(-right, labels).min() > 5
    void = labels.clone()
    void[:, :, :4] = UNKNOWN
    other = right.clone()
    other[..., :4] *= -1
    assert torch.allclose(target.losses(other, void), target.losses(right, void), atol=1e-6)


def test_dice_and_iou_are_of_all_pixels_together() -> None:
    data = data_of(squares(1, 1))
    target = MaskTarget.fitted(data)
    truth = target.encode(data)
    guess = truth.copy()
    guess[0] = 0
    sums = target.statistics(list(guess), truth, data)
    scores = target.scores_of(sums.sum(0))
    first, second = (truth[0] == 1).sum(), (truth[1] == 1).sum()
    assert scores["iou"] == pytest.approx(second / (first + second))
    assert scores["dice"] == pytest.approx(2 * second / (first + 2 * second))
    assert target.row_scores(list(guess), truth, data).tolist() == [0.0, 1.0]


def test_guesses_below_the_threshold_are_void() -> None:
    target = MaskTarget("label", 12, 16, (0, 1))
    logits = torch.linspace(-6, 6, 12 * 16).view(1, 1, 12, 16)
    guesses, share = target.pseudo_labels_of(logits, 0.9)
    sure = torch.maximum(logits.sigmoid(), 1 - logits.sigmoid())[:, 0] >= 0.9
    assert ((guesses != UNKNOWN) == sure).all()
    assert (guesses[sure] == (logits[:, 0][sure] > 0)).all()
    assert share.item() == pytest.approx(sure.float().mean().item())


def touching() -> np.ndarray:
    numbers = np.zeros((1, 40, 60), np.int32)
    numbers[0, 5:25, 5:20] = 1
    numbers[0, 5:25, 20:40] = 2
    numbers[0, 28:38, 45:58] = 3
    return numbers


def test_the_border_lies_between_objects_that_touch_alone() -> None:
    wanted = maps.inside_and_border(torch.from_numpy(touching()))
    assert ((wanted[0, 0] > 0).numpy() == (touching()[0] > 0)).all()
    rows, columns = wanted[0, 1].nonzero(as_tuple=True)
    assert (columns.min(), columns.max()) == (18, 21)
    assert (rows.min(), rows.max()) == (3, 26)
    assert wanted[0, 1, 15, 18:22].all()


def test_objects_of_perfect_maps_are_the_objects() -> None:
    truth = touching()
    inside, border = maps.inside_and_border(torch.from_numpy(truth))[0].numpy()
    found = maps.objects_of(inside, border)
    assert maps.pairs_of(found, truth[0]) == (3, 3, 3)
    assert ((found > 0) == (truth[0] > 0)).all()
    assert (found != 0).sum() - sum((found == found[truth[0] == number][0])[truth[0] == number].sum()
                                    for number in (1, 2, 3)) <= 40  # fmt: skip
    # Without the border the two that touch are one.
    assert maps.pairs_of(maps.objects_of(inside, np.zeros_like(border)), truth[0])[1] == 2
    assert not maps.objects_of(np.zeros_like(inside), border).any()
    # A region that is all border is still an object.
    assert maps.objects_of(inside, np.ones_like(border)).max() == 2


def test_precision_of_instances_is_that_of_the_data_science_bowl() -> None:
    truth = touching()
    data = data_of(np.concatenate([truth, np.zeros_like(truth)]), "instances")
    target = InstanceTarget.fitted(data)
    codes = target.encode(data)
    guess = codes.copy()
    guess[0][guess[0] == 3] = 0
    guess[0, 30:, :10] = 9
    sums = target.statistics(list(guess), codes, data)
    scores = target.scores_of(sums.sum(0))
    assert scores["ap_50"] == pytest.approx((2 / 4 + 1) / 2)  # two of three found, one that is not there; one empty
    covered, there = guess[0] > 0, codes[0] > 0
    assert scores["iou"] == pytest.approx((covered & there).sum() / (covered | there).sum())
    assert InstanceTarget.from_json(target.to_json()) == target


def test_the_losses_of_objects_are_least_at_the_truth() -> None:
    numbers = torch.from_numpy(touching())
    wanted = maps.inside_and_border(numbers)
    target = InstanceTarget("label", 40, 60)
    right = 40 * (wanted - 0.5)
    assert target.losses(right, numbers).item() < 1e-3
    without = right.clone()
    without[:, 1] = -20
    assert target.losses(without, numbers).item() > 1
    assert target.consistency_loss(right, right) == 0
    assert target.distillation_loss(without, right, 2.0) > target.distillation_loss(right, right, 2.0)
    guesses, share = target.pseudo_labels_of(right, 0.9)
    assert maps.pairs_of(guesses[0].numpy(), touching()[0]) == (3, 3, 3)
    assert share.item() == 1


def test_written_masks_are_read_again(tmp_path: Path) -> None:
    data = data_of(squares(3, 7))
    target = MaskTarget.fitted(data)
    labels = target.decode_rows(list(target.encode(data)), data)
    target.write(data, labels, tmp_path / "masks")
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["0.png", "1.png"]
    assert (np.asarray(Image.open(tmp_path / "masks" / "1.png")) == squares(3, 7)[1]).all()
    many = InstanceTarget("label", 12, 16)
    numbers = squares(1, 300).astype(np.int32)
    many.write(data, numbers, tmp_path / "objects")
    assert (np.asarray(Image.open(tmp_path / "objects" / "1.png")) == numbers[1]).all()
    cell = json.loads(target.cell(labels[0]))
    again_values, lengths = zip(*cell["runs"], strict=True)
    assert (np.repeat(again_values, lengths).reshape(cell["size"]) == labels[0]).all()


def test_predictions_come_back_at_the_size_of_the_file() -> None:
    data = data_of(squares(3, 7), image_size=(6, 8))
    target = MaskTarget.fitted(data)
    masks = target.decode_rows(list(target.encode(data)), data)
    assert [mask.shape for mask in masks] == [(12, 16)] * 2
    assert (masks[0] == squares(3, 7)[0]).mean() > 0.9
