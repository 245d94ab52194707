from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from manyways.data.views import photometry

pytestmark = pytest.mark.quick

PAIRS: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], Callable[..., Image.Image], list[float]]]
PAIRS = {
    "brightness": (
        photometry.adjust_brightness,
        lambda i, v: ImageEnhance.Brightness(i).enhance(v),
        [0.3, 1, 1.6],
    ),
    "contrast": (photometry.adjust_contrast, lambda i, v: ImageEnhance.Contrast(i).enhance(v), [0.3, 1, 1.6]),
    "saturation": (
        photometry.adjust_saturation,
        lambda i, v: ImageEnhance.Color(i).enhance(v),
        [0, 0.5, 1.9],
    ),
    "sharpness": (photometry.sharpen, lambda i, v: ImageEnhance.Sharpness(i).enhance(v), [0.1, 1, 1.9]),
    "solarize": (photometry.solarize, lambda i, v: ImageOps.solarize(i, round(v * 255)), [0.2, 0.6, 1.1]),
    "posterize": (photometry.posterize, lambda i, v: ImageOps.posterize(i, int(v)), [4, 6, 8]),
    "autocontrast": (
        lambda x, v: photometry.autocontrast(x),
        lambda i, v: ImageOps.autocontrast(i),
        [0, 0, 0],
    ),
    "equalize": (lambda x, v: photometry.equalize(x), lambda i, v: ImageOps.equalize(i), [0, 0, 0]),
}


@pytest.fixture(params=[1, 3], ids=["grey", "rgb"])
def pixels(request: pytest.FixtureRequest) -> torch.Tensor:
    """Three smooth images that do not fill the range, uint8."""
    coarse = torch.rand(3, request.param, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 20), mode="bilinear")
    return (smooth * 180 + 40).to(torch.uint8)


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_pillow(name: str, pixels: torch.Tensor) -> None:
    ours, pillow, values = PAIRS[name]
    changed = ours(pixels.float() / 255, torch.tensor(values)) * 255
    for image, value, got in zip(pixels, values, changed, strict=True):
        array = image.permute(1, 2, 0).numpy()
        picture = Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0])
        if name == "saturation" and array.shape[2] == 1:
            expected = array
        else:
            expected = np.asarray(pillow(picture, value)).reshape(array.shape)
        # Pillow rounds luma, means and smoothed copies to bytes on the way: up to 2 levels of 255.
        difference = np.abs(got.permute(1, 2, 0).numpy() - expected)
        assert difference.max() <= 2.0


def test_even_images_stay_as_they_are() -> None:
    even = torch.full((2, 3, 6, 6), 0.4)
    for operation in (photometry.autocontrast, photometry.equalize):
        torch.testing.assert_close(operation(even), torch.full_like(even, 102 / 255))


def test_gamma_and_blur() -> None:
    images = torch.rand(2, 1, 15, 15, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(photometry.adjust_gamma(images, torch.tensor([1.0, 2.0]))[1], images[1].square())
    dot = torch.zeros(2, 1, 15, 15)
    dot[:, :, 7, 7] = 1
    blurred = photometry.blur(dot, torch.tensor([0.1, 1.5]), 6)
    torch.testing.assert_close(blurred[0], dot[0])
    offset = torch.arange(15.0) - 7
    variance = (blurred[1, 0].sum(0) * offset.square()).sum()
    assert variance == pytest.approx(1.5**2, rel=0.01)
    assert blurred[1].sum() == pytest.approx(1, rel=1e-4)


def test_colour_jitter_composes_its_steps() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2)) * 0.3 + 0.35
    one, zero = torch.ones(4), torch.zeros(4)
    torch.testing.assert_close(photometry.colour_jitter(images, one, one, one, zero), images)
    factors = torch.tensor([0.8, 0.9, 1.1, 1.2])
    stepwise = photometry.adjust_brightness(images, factors)
    stepwise = photometry.adjust_contrast(stepwise, factors.flip(0))
    stepwise = photometry.adjust_saturation(stepwise, factors)
    jittered = photometry.colour_jitter(images, factors, factors.flip(0), factors, zero)
    torch.testing.assert_close(jittered, stepwise, atol=1e-4, rtol=0)
    grey = photometry.colour_jitter(images, one, one, zero, zero)
    torch.testing.assert_close(grey, photometry.grey(images).expand_as(images), atol=1e-4, rtol=0)
    turned = photometry.colour_jitter(images, one, one, one * 0.5, one / 3)
    torch.testing.assert_close(photometry.grey(turned), photometry.grey(images), atol=1e-4, rtol=0)
    assert (turned - photometry.colour_jitter(images, one, one, one * 0.5, zero)).abs().max() > 0.02
