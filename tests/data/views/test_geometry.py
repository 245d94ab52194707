import math

import pytest
import torch

from manyways.data.views import geometry

pytestmark = pytest.mark.quick


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(0))


def motion(count: int, **changed: float) -> torch.Tensor:
    numbers = {"angle": 0.0, "shear_x": 0.0, "shear_y": 0.0, "zoom": 1.0, "right": 0.0, "down": 0.0} | changed
    return geometry.affine_matrices(**{name: torch.full((count,), value) for name, value in numbers.items()})


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_affine_by_quarter_turns_is_rot90(images: torch.Tensor, quarters: int) -> None:
    turned = geometry.affine(images, motion(6, angle=quarters * math.pi / 2))
    torch.testing.assert_close(turned, torch.rot90(images, quarters, (2, 3)), atol=1e-5, rtol=0)


def test_affine_moves_by_pixels_on_oblong_images() -> None:
    images = torch.rand(2, 1, 6, 11, generator=torch.Generator().manual_seed(0))
    moved = geometry.affine(images, motion(2, right=3, down=-1))
    torch.testing.assert_close(moved[:, :, :-1, 3:], images[:, :, 1:, :-3], atol=1e-5, rtol=0)
    assert moved[..., :3].abs().max() < 1e-5
    edge = geometry.affine(images, motion(2, right=3), outside="border")
    torch.testing.assert_close(edge[..., :3], images[..., :1].expand(-1, -1, -1, 3), atol=1e-5, rtol=0)


def test_rotation_keeps_shapes_on_oblong_images() -> None:
    images = torch.zeros(1, 1, 21, 41)
    images[:, :, 8:13, 10:31] = 1
    turned = geometry.affine(images, motion(1, angle=math.pi / 2))
    expected = torch.zeros(1, 1, 21, 41)
    expected[:, :, :, 18:23] = 1
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)


def test_zoom_and_shear_have_their_stated_size() -> None:
    images = torch.zeros(1, 1, 33, 33)
    images[:, :, 12:21, 12:21] = 1
    assert geometry.affine(images, motion(1, zoom=2.0)).sum() == pytest.approx(4 * 81, rel=0.02)
    sheared = geometry.affine(images, motion(1, shear_x=0.5))
    assert sheared.sum() == pytest.approx(81, rel=0.02)
    columns = torch.arange(33.0)
    top, bottom = sheared[0, 0, 12], sheared[0, 0, 20]
    centre = [(row * columns).sum() / row.sum() for row in (top, bottom)]
    assert abs(centre[0] - centre[1]) == pytest.approx(4, abs=0.1)


def test_shift_is_roll_inside_and_reflection_at_the_border() -> None:
    images = torch.arange(2 * 5 * 7, dtype=torch.uint8).view(2, 1, 5, 7)
    down, right = torch.tensor([1, -2]), torch.tensor([-3, 0])
    moved = geometry.shift_and_mirror(images, down, right, torch.tensor([False, False]))
    assert moved.dtype == torch.uint8
    assert torch.equal(moved[0, :, 1:, :-3], images[0].roll((1, -3), (1, 2))[:, 1:, :-3])
    assert torch.equal(moved[1, :, :3], images[1, :, 2:])
    assert torch.equal(moved[1, 0, 3], images[1, 0, 3])
    assert torch.equal(moved[1, 0, 4], images[1, 0, 2])


def test_only_chosen_images_are_mirrored(images: torch.Tensor) -> None:
    zero = torch.zeros(6, dtype=torch.long)
    chosen = torch.tensor([True, False] * 3)
    mirrored = geometry.shift_and_mirror(images, zero, zero, chosen)
    assert torch.equal(mirrored[chosen], images[chosen].flip(3))
    assert torch.equal(mirrored[~chosen], images[~chosen])


def test_crop_shows_the_box_enlarged(images: torch.Tensor) -> None:
    full = torch.full((6,), 9.0)
    zero = torch.zeros(6)
    whole = geometry.crop_matrices(zero, zero, full, full, (9, 9))
    torch.testing.assert_close(geometry.affine(images, whole), images, atol=1e-5, rtol=0)
    third = geometry.crop_matrices(zero + 3, zero + 6, full / 3, full / 3, (9, 9))
    crop = geometry.affine(images, third, outside="border")
    torch.testing.assert_close(crop[:, :, 1::3, 1::3], images[:, :, 3:6, 6:9], atol=1e-5, rtol=0)


def test_erase_fills_one_square_per_image() -> None:
    fill = torch.tensor([0.25, 0.75])[:, None, None, None]
    erased = geometry.erase(
        torch.ones(2, 1, 8, 8), torch.tensor([4, 0]), torch.tensor([4, 7]), torch.tensor([2, 4]), fill
    )
    assert torch.equal((erased[0, 0] == 0.25).nonzero(), torch.cartesian_prod(*[torch.tensor([3, 4])] * 2))
    assert (erased[1, 0] == 0.75).sum() == 2 * 3
    assert (erased[1, 0, :2, 5:] == 0.75).all()


def test_background_ignores_one_covered_corner() -> None:
    images = torch.stack((torch.zeros(1, 5, 5), torch.ones(1, 5, 5)))
    images[:, :, 0, 0] = 0.5
    assert geometry.background(images).flatten().tolist() == [0.0, 1.0]
