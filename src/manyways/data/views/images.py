"""Weak, strong and contrastive views of batches of images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.specs import ImageSpec
from manyways.data.views import geometry, photometry
from manyways.data.views.base import View
from manyways.data.views.ranges import coin, gaussian, integers, require_range, require_shape, uniform
from manyways.errors import ParameterError

TINY = 12  # up to this side every pixel carries meaning (8 x 8 digits): cover and move less
TURN = 15.0  # degrees; what a hand varies by, and what keeps 6 and 9 apart
SMALL = 64  # below this side the field leaves out blur and colours less (CIFAR recipes)

GEOMETRIC = ("rotate", "shear_x", "shear_y", "scale", "translate_x", "translate_y")
# From magnitudes m [B] in [-1, 1] (0 changes nothing) to changed images. Ranges are narrower than FixMatch's
# for brightness, contrast and solarize, whose ends are black, even grey and a negative.
PHOTOMETRIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "saturation": lambda images, m: photometry.adjust_saturation(images, 1 + 0.9 * m),
    "brightness": lambda images, m: photometry.adjust_brightness(images, 1 + 0.6 * m),
    "contrast": lambda images, m: photometry.adjust_contrast(images, 1 + 0.6 * m),
    "gamma": lambda images, m: photometry.adjust_gamma(images, torch.exp2(m)),
    "autocontrast": lambda images, m: photometry.autocontrast(images),
    "equalize": lambda images, m: photometry.equalize(images),
    "solarize": lambda images, m: photometry.solarize(images, 1 - 0.7 * m.abs()),
    "posterize": lambda images, m: photometry.posterize(images, (8 - 4 * m.abs()).round()),
    "sharpness": lambda images, m: photometry.sharpen(images, 1 + 0.9 * m),
}
OPERATIONS = ("identity", *GEOMETRIC, *PHOTOMETRIC, "noise")
RGB_OPERATIONS = tuple(name for name in OPERATIONS if name != "gamma")
# On grey strokes solarize and equalize draw objects that were not there, and colour does not exist.
GREY_OPERATIONS = tuple(name for name in OPERATIONS if name not in ("saturation", "equalize", "solarize"))


@dataclass(frozen=True)
class ImageWeak(View):
    """A small shift, and a mirror with probability 1/2 (FixMatch, Sohn 2020) or a small turn and zoom.

    shift: largest shift as a fraction of height and width, in [0, 0.5].
    flip: mirror left to right; None mirrors RGB images only, since letters and digits change their meaning.
    turn: largest rotation in degrees, in [0, 180]; with it goes a zoom by up to 2^(turn / 90), a shear of up to
        turn / 150, and shifts by parts of pixels. None is 15 for grey images, which are not mirrored, and 0
        for RGB, which shifts by whole pixels, with reflection.
    Takes uint8, or float in [0, 1], [B, C, H, W]; gives float32 in [0, 1].
    """

    name: ClassVar = "image-weak"
    spec: ImageSpec
    shift: float = 0.125
    flip: bool | None = None
    turn: float | None = None

    def __post_init__(self) -> None:
        require_range(self, 0, 0.5, "shift")
        require_range(self, 0, 180, "turn")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.channels, self.spec.height, self.spec.width)
        turn = self.turn if self.turn is not None else (TURN if self.spec.channels == 1 else 0.0)
        return self._turned(batch, rng, turn) if turn and len(batch) else self._shifted(batch, rng)

    def _turned(self, batch: Tensor, rng: torch.Generator, turn: float) -> Tensor:
        rows, device = len(batch), batch.device
        angle, shear, zoom, right, down = (uniform(rng, rows, -1, 1, device) for _ in range(5))
        mirrored = coin(rng, rows, 0.5 if _flips(self.flip, self.spec) else 0, device)
        matrices = geometry.affine_matrices(
            angle=angle * (turn * torch.pi / 180),
            shear_x=shear * (turn / 150),
            shear_y=torch.zeros_like(shear),
            zoom=torch.exp2(zoom * (turn / 90)),
            right=right * (self.shift * self.spec.width),
            down=down * (self.shift * self.spec.height),
        )
        matrices[:, :, 0] *= (1 - 2 * mirrored.float())[:, None]
        return geometry.affine(as_float(batch), matrices, outside="border").clamp_(0, 1)

    def _shifted(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        rows, device = batch.shape[0], batch.device
        most_down, most_right = int(self.shift * self.spec.height), int(self.shift * self.spec.width)
        down = integers(rng, rows, -most_down, most_down, device)
        right = integers(rng, rows, -most_right, most_right, device)
        mirrored = coin(rng, rows, 0.5 if _flips(self.flip, self.spec) else 0, device)
        return as_float(geometry.shift_and_mirror(batch, down, right, mirrored))


@dataclass(frozen=True)
class ImageStrong(View):
    """The weak view, then RandAugment (Cubuk 2020) and Cutout (DeVries 2017) as in FixMatch (Sohn 2020).

    Each image gets `draws` different operations: first all geometric ones as one resampling, then the others
    in the order of `operations`. What comes in from outside, and the cutout, has the colour of the corners.

    Attributes:
        operations: Different names out of `OPERATIONS`; None takes those fit for RGB or for grey.
        draws: Operations per image, in [0, len(operations)].
        magnitude: Strength in [0, 1]; 1 is rotation to 30°, shear to 0.3, scale to 1.4 times, translation to 0.3 of the
            side (0.125 for images up to 12 pixels).
        cutout: Largest side of the square as a fraction of the shorter side, in [0, 1]; None is 1/2, or 1/3 for images
            up to 12 pixels.
        turn: Turn of the weak view that comes first.
    """

    name: ClassVar = "image-strong"
    spec: ImageSpec
    shift: float = 0.125
    flip: bool | None = None
    operations: tuple[str, ...] | None = None
    draws: int = 2
    magnitude: float = 1.0
    cutout: float | None = None
    turn: float | None = None

    def __post_init__(self) -> None:
        require_range(self, 0, 0.5, "shift")
        require_range(self, 0, 1, "magnitude")
        require_range(self, 0, 1, "cutout")
        require_range(self, 0, 180, "turn")
        if unknown := set(self.names) - set(OPERATIONS):
            raise ParameterError(
                f"ImageStrong.operations may hold {', '.join(OPERATIONS)}; got {', '.join(sorted(unknown))}."
            )
        if len(set(self.names)) < len(self.names):
            raise ParameterError(f"ImageStrong.operations must hold each name once; got {self.names!r}.")
        require_range(self, 0, len(self.names), "draws")

    @property
    def names(self) -> tuple[str, ...]:
        """The operations that are drawn from."""
        if self.operations is not None:
            return self.operations
        return RGB_OPERATIONS if self.spec.channels == 3 else GREY_OPERATIONS

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        images = ImageWeak(self.spec, self.shift, self.flip, self.turn)(batch, rng)
        if not len(images):
            return images
        names, count = self.names, len(images)
        order = torch.rand(count, len(names), generator=rng, device=rng.device).argsort(1)
        chosen = (order < self.draws).to(images.device)
        signed = torch.rand(count, len(names), generator=rng, device=rng.device).mul_(2).sub_(1)
        magnitudes = torch.where(chosen, signed.to(images.device) * self.magnitude, 0).t().contiguous()
        fill = geometry.background(images)
        self._move(images, dict(zip(names, magnitudes, strict=True)), fill)
        picks = chosen.t()
        sizes = picks.sum(1).tolist()
        subsets = torch.split(picks.nonzero()[:, 1], sizes)
        amounts = torch.split(magnitudes[picks], sizes)
        for name, rows, magnitude in zip(names, subsets, amounts, strict=True):
            if name == "noise":
                subset = images.index_select(0, rows)
                noise = gaussian(rng, subset).mul_(0.1 * magnitude[:, None, None, None])
                images.index_copy_(0, rows, subset.add_(noise).clamp_(0, 1))
            elif name in PHOTOMETRIC:
                changed = PHOTOMETRIC[name](images.index_select(0, rows), magnitude)
                images.index_copy_(0, rows, changed)
        return self._cut(images, rng, fill)

    def _move(self, images: Tensor, magnitudes: dict[str, Tensor], fill: Tensor) -> None:
        """Resample in place the images with at least one geometric operation."""
        still = torch.zeros(len(images), device=images.device)
        moves = torch.stack([magnitudes.get(name, still) for name in GEOMETRIC])
        rows = moves.any(0).nonzero().flatten()
        angle, shear_x, shear_y, scale, right, down = moves[:, rows]
        reach = 0.125 if min(self.spec.height, self.spec.width) <= TINY else 0.3
        matrices = geometry.affine_matrices(
            angle=angle * (torch.pi / 6),
            shear_x=shear_x * 0.3,
            shear_y=shear_y * 0.3,
            zoom=torch.exp2(scale * 0.5),
            right=right * (reach * self.spec.width),
            down=down * (reach * self.spec.height),
        )
        # Outside the resampled image is 0, so the background is made 0 meanwhile.
        fill = fill.index_select(0, rows)
        moved = geometry.affine(images.index_select(0, rows).sub_(fill), matrices)
        images.index_copy_(0, rows, moved.add_(fill).clamp_(0, 1))

    def _cut(self, images: Tensor, rng: torch.Generator, fill: Tensor) -> Tensor:
        height, width, device = self.spec.height, self.spec.width, images.device
        shorter = min(height, width)
        fraction = self.cutout if self.cutout is not None else (1 / 3 if shorter <= TINY else 1 / 2)
        centre_y = integers(rng, len(images), 0, height - 1, device)
        centre_x = integers(rng, len(images), 0, width - 1, device)
        side = integers(rng, len(images), 0, int(fraction * shorter), device)
        return geometry.erase(images, centre_y, centre_x, side, fill)


@dataclass(frozen=True)
class ImageContrastive(View):
    """The recipe of SimCLR (Chen 2020): random resized crop, mirror, colour jitter, greyscale, blur.

    area: smallest part of the image that a crop shows, in [0.01, 1]; None is 0.08 from 64 pixels on, 0.2
        below (CIFAR recipes) and 0.5 up to 12 pixels. The aspect ratio of the crop is in [3/4, 4/3].
    flip: as for `ImageWeak`.
    strength: of the colour jitter, in [0, 1.25]; None is 1 from 64 pixels on and 0.5 below. Applied to 4 of 5
        images; grey images get its brightness and contrast. One RGB image of 5 becomes grey.
    blur: blur every second image with σ in [0.1, 2] pixels; None blurs from 64 pixels on.
    """

    name: ClassVar = "image-contrastive"
    spec: ImageSpec
    area: float | None = None
    flip: bool | None = None
    strength: float | None = None
    blur: bool | None = None

    def __post_init__(self) -> None:
        require_range(self, 0.01, 1, "area")
        require_range(self, 0, 1.25, "strength")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.channels, self.spec.height, self.spec.width)
        if not len(batch):
            return as_float(batch)
        shorter = min(self.spec.height, self.spec.width)
        images = self._crop(as_float(batch), rng)
        strength = self.strength if self.strength is not None else (0.5 if shorter < SMALL else 1.0)
        images = self._jitter(images, rng, strength)
        if self.blur if self.blur is not None else shorter >= SMALL:
            rows = coin(rng, len(images), 0.5, images.device).nonzero().flatten()
            sigmas = uniform(rng, len(rows), 0.1, 2, images.device)
            radius = max(1, shorter // 20)
            images.index_copy_(0, rows, photometry.blur(images.index_select(0, rows), sigmas, radius))
        return images

    def _crop(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = self.spec.height, self.spec.width
        shorter, rows, device = min(height, width), len(images), images.device
        smallest = self.area if self.area is not None else _smallest_area(shorter)
        area = uniform(rng, rows, smallest, 1, device) * (height * width)
        ratio = torch.exp2(uniform(rng, rows, -1, 1, device) * 0.41503749927884376)  # log2(4/3)
        box_width = (area * ratio).sqrt().clamp(max=width)
        box_height = (area / ratio).sqrt().clamp(max=height)
        left = uniform(rng, rows, 0, 1, device) * (width - box_width)
        top = uniform(rng, rows, 0, 1, device) * (height - box_height)
        matrices = geometry.crop_matrices(top, left, box_height, box_width, (height, width))
        mirrored = coin(rng, rows, 0.5 if _flips(self.flip, self.spec) else 0, device)
        matrices[:, 0, 0] *= 1 - 2 * mirrored.float()
        return geometry.affine(images, matrices, outside="border").clamp_(0, 1)

    def _jitter(self, images: Tensor, rng: torch.Generator, strength: float) -> Tensor:
        rows, device = len(images), images.device
        jittered = coin(rng, rows, 0.8, device)
        brightness, contrast, saturation = (
            torch.where(jittered, 1 + 0.8 * strength * uniform(rng, rows, -1, 1, device), 1) for _ in range(3)
        )
        if self.spec.channels == 1:
            return photometry.adjust_contrast(photometry.adjust_brightness(images, brightness), contrast)
        hue = torch.where(jittered, 0.2 * strength * uniform(rng, rows, -1, 1, device), 0)
        saturation = torch.where(coin(rng, rows, 0.2, device), 0, saturation)
        return photometry.colour_jitter(images, brightness, contrast, saturation, hue)


@dataclass(frozen=True)
class ImageDihedral(View):
    """One of the eight turns by quarters and mirrors of a square, of the four of another rectangle.

    For pictures without an upright, such as those taken from above or through a microscope.
    """

    name: ClassVar = "image-dihedral"
    spec: ImageSpec

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.channels, self.spec.height, self.spec.width)
        images = as_float(batch)
        turned, mirrored, transposed = (coin(rng, len(images), 0.5, images.device) for _ in range(3))
        images = torch.where(turned[:, None, None, None], images.flip(2), images)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        if self.spec.height != self.spec.width:
            return images
        return torch.where(transposed[:, None, None, None], images.transpose(2, 3), images)


@dataclass(frozen=True)
class ImagePhotometric(View):
    """Brightness, contrast, saturation, hue and noise: all that leaves the places of things as they are.

    strength: of the changes, in [0, 1.25]; grey images get brightness, contrast and noise alone.
    """

    name: ClassVar = "image-photometric"
    moves: ClassVar = False
    spec: ImageSpec
    strength: float = 0.5

    def __post_init__(self) -> None:
        require_range(self, 0, 1.25, "strength")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.channels, self.spec.height, self.spec.width)
        images = as_float(batch)
        rows, device = len(images), images.device
        brightness, contrast, saturation = (
            1 + 0.8 * self.strength * uniform(rng, rows, -1, 1, device) for _ in range(3)
        )
        hue = 0.1 * self.strength * uniform(rng, rows, -1, 1, device)
        if self.spec.channels == 1:
            images = photometry.adjust_contrast(photometry.adjust_brightness(images, brightness), contrast)
        else:
            images = photometry.colour_jitter(images, brightness, contrast, saturation, hue)
        noise = gaussian(rng, images).mul_(0.1 * self.strength * uniform(rng, rows, 0, 1, device)[:, None, None, None])
        return images.add_(noise).clamp_(0, 1)


def as_float(images: Tensor) -> Tensor:
    """float32 in [0, 1] from uint8 or from float in [0, 1]."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()


def _flips(flip: bool | None, spec: ImageSpec) -> bool:
    return spec.channels == 3 if flip is None else flip


def _smallest_area(shorter: int) -> float:
    if shorter <= TINY:
        return 0.5
    return 0.2 if shorter < SMALL else 0.08
