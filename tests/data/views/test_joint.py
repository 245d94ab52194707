"""Views of pictures with what lies in them: a square drawn into a picture stays in its box and under its mask."""

import pytest
import torch

from manyways.data.specs import ImageSpec, TableSpec
from manyways.data.views import Views
from manyways.data.views.joint import in_place, moved_boxes, moved_masks, moved_together
from manyways.errors import ParameterError

pytestmark = pytest.mark.quick

HEIGHT, WIDTH = 96, 128
LEFT, TOP, RIGHT, BOTTOM = 40, 30, 70, 54


def batch(rows: int = 64) -> tuple[Views, dict[str, torch.Tensor], torch.Tensor]:
    """Grey pictures with a white square, and its box."""
    images = torch.full((rows, 3, HEIGHT, WIDTH), 60, dtype=torch.uint8)
    images[:, :, TOP:BOTTOM, LEFT:RIGHT] = 255
    box = torch.tensor([0, LEFT / WIDTH, TOP / HEIGHT, RIGHT / WIDTH, BOTTOM / HEIGHT])
    padding = torch.tensor([-1.0, -1, -1, -1, -1])
    labels = torch.stack((box, padding)).expand(rows, 2, 5).clone()
    return Views({"image": ImageSpec(3, HEIGHT, WIDTH)}), {"image": images}, labels


@pytest.mark.parametrize("name", ["weak", "dihedral"])
def test_a_square_stays_in_its_box(name: str) -> None:
    views, inputs, labels = batch()
    seen, moved = moved_boxes(views, name, inputs, labels, torch.Generator().manual_seed(0))
    images = seen["image"].mean(1)
    assert images.shape == (64, HEIGHT, WIDTH)
    assert (moved[:, 1, 0] == -1).all()
    checked = 0
    for image, (code, *sides) in zip(images, moved[:, 0].tolist(), strict=True):
        bright = image > 0.62
        if code < 0:  # almost all of it has left the view
            assert bright.sum() < 0.3 * (RIGHT - LEFT) * (BOTTOM - TOP)
            continue
        left, top, right, bottom = (side * size for side, size in zip(sides, (WIDTH, HEIGHT) * 2, strict=True))
        rows, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
        drawn = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert [float(side) for side in drawn] == pytest.approx([left, top, right, bottom], abs=1.5)
        checked += 1
    assert checked > 50
    sizes = moved[moved[:, 0, 0] == 0, 0]
    assert ((sizes[:, 3] - sizes[:, 1]) * WIDTH).std() > 2  # crops are of different sizes
    assert len({round(float(top), 3) for top in sizes[:, 2]}) > 50


def test_dihedral_turns_boxes_upside_down_and_weak_does_not() -> None:
    views, inputs, labels = batch(256)
    middle = (labels[0, 0, 2] + labels[0, 0, 4]).item() / 2  # 0.44: above the middle of the picture
    below = {}
    for name in ("weak", "dihedral"):
        _, moved = moved_boxes(views, name, inputs, labels, torch.Generator().manual_seed(0))
        kept = moved[moved[:, 0, 0] == 0, 0]
        below[name] = float(((kept[:, 2] + kept[:, 4]) / 2).mean())
    assert below["weak"] == pytest.approx(middle, abs=0.03)
    assert below["dihedral"] == pytest.approx(0.5, abs=0.02)


def test_boxes_are_cut_at_the_border_and_left_out_when_little_is_left() -> None:
    views, inputs, labels = batch(256)
    labels[:, 0, 1:] = torch.tensor([0.0, 0.0, 0.2, 0.2])
    _, moved = moved_boxes(views, "weak", inputs, labels, torch.Generator().manual_seed(0))
    there = moved[:, 0, 0] == 0
    assert 0.6 < there.float().mean() < 1
    sides = moved[there, 0, 1:]
    assert ((sides >= 0) & (sides <= 1)).all()
    assert (sides[:, 2] > sides[:, 0]).all()


def test_rows_of_which_nothing_is_known_stay_so_and_doubtful_boxes_move() -> None:
    views, inputs, labels = batch(8)
    labels[:4] = -2
    labels[4:, 0, 0] = -3
    _, moved = moved_boxes(views, "weak", inputs, labels, torch.Generator().manual_seed(1))
    assert (moved[:4, :, 0] == -2).all()
    assert set(moved[4:, 0, 0].tolist()) <= {-3.0, -1.0}
    assert (moved[4:, 0, 1:] != labels[4:, 0, 1:]).any()


@pytest.mark.parametrize(("upright", "ways"), [(True, 2), (False, 8)])
def test_masks_are_cropped_and_turned_with_their_pictures(upright: bool, ways: int) -> None:
    rows, side = 96, 160
    images = torch.randint(0, 255, (rows, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    masks = images[:, 0].int() + 1
    views = Views({"image": ImageSpec(3, side, side)})
    seen, moved = moved_masks(
        views, "weak", {"image": images}, masks, torch.Generator().manual_seed(0), upright=upright
    )
    assert seen["image"].shape == (rows, 3, 128, 128)
    assert (seen["image"][:, 0].int() + 1 == moved).all()
    # Where the corner of a ramp lies says how it was turned.
    ramp = (torch.arange(side)[:, None] * 1000 + torch.arange(side)).expand(rows, side, side).contiguous()
    _, turned = moved_masks(views, "weak", {"image": images}, ramp, torch.Generator().manual_seed(0), upright=upright)
    steps = {(int(row[0, 1] - row[0, 0]), int(row[1, 0] - row[0, 0])) for row in turned}
    assert len(steps) == ways
    assert len({int(row.min()) for row in turned}) > 50


def test_small_pictures_are_seen_whole_and_oblong_ones_keep_their_shape() -> None:
    images = torch.zeros(32, 1, 40, 60, dtype=torch.uint8)
    masks = torch.arange(40 * 60).view(1, 40, 60).expand(32, 40, 60).contiguous()
    views = Views({"image": ImageSpec(1, 40, 60)})
    seen, moved = moved_masks(views, "dihedral", {"image": images}, masks, torch.Generator().manual_seed(0))
    assert (seen["image"].shape, moved.shape) == ((32, 1, 40, 60), (32, 40, 60))
    assert all(row.sort().values.tolist() == list(range(2400)) for row in moved.flatten(1))
    assert len({tuple(row[0].tolist()) for row in moved}) == 4


def test_what_lies_beside_the_picture_is_seen_by_its_own_view() -> None:
    views, inputs, labels = batch(4)
    views = Views({**views.specs, "table": TableSpec(2, ((0, 1), (1, 2)), (0, 1))})
    inputs["table"] = torch.zeros(4, 2)
    seen, _ = moved_boxes(views, "weak", inputs, labels, torch.Generator().manual_seed(0))
    assert set(seen) == {"image", "table"}
    assert seen["table"].shape == (4, 2)


def test_a_view_in_place_moves_nothing_and_one_that_may_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    views, inputs, labels = batch(4)
    for name in ("weak", "strong"):
        seen = in_place(views, name, inputs, torch.Generator().manual_seed(0))["image"].mean(1)
        for image in seen:
            inside, outside = image[TOP:BOTTOM, LEFT:RIGHT], image[:TOP]
            assert inside.mean() - outside.mean() > 0.1
    same, boxes = moved_boxes(views, "photometric", inputs, labels, torch.Generator().manual_seed(0))
    assert (boxes == labels).all()
    assert not torch.equal(same["image"], inputs["image"] / 255)

    monkeypatch.setattr(Views, "moves", lambda self, name: True)
    with pytest.raises(ParameterError, match="does not say where to"):
        moved_boxes(views, "turned", inputs, labels, torch.Generator())


def test_boxes_and_masks_of_one_picture_move_together() -> None:
    boxes = batch(48)[2]
    side = 160
    images = torch.full((48, 3, side, side), 60, dtype=torch.uint8)
    images[:, :, 70:84, 60:90] = 255
    masks = (images[:, 0] == 255).int()
    boxes[:, 0] = torch.tensor([1, 60 / side, 70 / side, 90 / side, 84 / side])
    views = Views({"image": ImageSpec(3, side, side)})
    labels = {"objects": masks, "around": boxes}
    seen, moved = moved_together(
        views, "weak", {"image": images}, labels, torch.Generator().manual_seed(0), upright=False
    )
    assert ((seen["image"][:, 0] == 255) == (moved["objects"] == 1)).all()
    shapes = set()
    for mask, (code, *sides) in zip(moved["objects"], moved["around"][:, 0].tolist(), strict=True):
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert code == 1
        drawn = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        assert [128 * each for each in sides] == pytest.approx(drawn, abs=0.01)
        shapes.add((drawn[2] - drawn[0], drawn[3] - drawn[1]))
    assert {(30, 14), (14, 30)} <= shapes
