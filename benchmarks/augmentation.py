"""Strong views of a batch at once against the same operations image by image with Pillow.

The peer is what a contrastive or FixMatch data loader does in its worker: each row becomes a Pillow image,
goes through the drawn operations (Pillow's own, in C), becomes a tensor, and the tensors are stacked. Both
draw from the same operations with the same probabilities and magnitudes, and both run on one core. The peer
has two advantages: it fills with a constant where ours looks up the image's background, and it crops by
indexing where torchvision pads image by image.

    python benchmarks/augmentation.py
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import report, versions
from PIL import Image, ImageEnhance, ImageOps

from manyways.data.specs import ImageSpec
from manyways.data.views import ImageStrong
from manyways.data.views.images import GREY_OPERATIONS, RGB_OPERATIONS

BATCH = 256
ROUNDS = 41
TARGET = 8.0
Operation = Callable[[Image.Image, float], Image.Image]


def transform(
    image: Image.Image,
    *,
    a: float = 1,
    b: float = 0,
    d: float = 0,
    e: float = 1,
    right: float = 0,
    down: float = 0,
) -> Image.Image:
    """A bilinear affine resampling about the centre, as torchvision does it on Pillow images."""
    x, y = image.width / 2, image.height / 2
    matrix = (a, b, x - a * x - b * y - right, d, e, y - d * x - e * y - down)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def rotate(image: Image.Image, m: float) -> Image.Image:
    return image.rotate(30 * m, Image.Resampling.BILINEAR)


def gamma(image: Image.Image, m: float) -> Image.Image:
    return image.point((255 * LEVELS**2.0**m).round().astype(np.uint8).tolist() * len(image.getbands()))


def noise(image: Image.Image, m: float) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels + NOISE.standard_normal(pixels.shape, dtype=np.float32) * (25.5 * m)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


LEVELS = np.arange(256) / 255
NOISE = np.random.default_rng(0)
PILLOW: dict[str, Operation] = {
    "identity": lambda image, m: image,
    "rotate": rotate,
    "shear_x": lambda image, m: transform(image, b=0.3 * m),
    "shear_y": lambda image, m: transform(image, d=0.3 * m),
    "scale": lambda image, m: transform(image, a=2 ** (-m / 2), e=2 ** (-m / 2)),
    "translate_x": lambda image, m: transform(image, right=0.3 * m * image.width),
    "translate_y": lambda image, m: transform(image, down=0.3 * m * image.height),
    "saturation": lambda image, m: ImageEnhance.Color(image).enhance(1 + 0.9 * m),
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(1 + 0.6 * m),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(1 + 0.6 * m),
    "gamma": gamma,
    "autocontrast": lambda image, m: ImageOps.autocontrast(image),
    "equalize": lambda image, m: ImageOps.equalize(image),
    "solarize": lambda image, m: ImageOps.solarize(image, round(255 * (1 - 0.7 * abs(m)))),
    "posterize": lambda image, m: ImageOps.posterize(image, round(8 - 4 * abs(m))),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * m),
    "noise": noise,
}


def one_by_one(batch: torch.Tensor, names: tuple[str, ...], mirror: bool) -> torch.Tensor:
    """The strong view with Pillow: uint8 [B, C, H, W] to float32 [B, C, H, W] in [0, 1]."""
    views = []
    height, width = batch.shape[2:]
    reach = height // 8
    # Pad by reflection and crop in one indexing step; np.pad, as torchvision calls it per image, is slower.
    rows = np.pad(np.arange(height), reach, mode="reflect")
    columns = np.pad(np.arange(width), reach, mode="reflect")
    for pixels in batch.permute(0, 2, 3, 1).numpy():
        channels = pixels.shape[2]
        top, left = random.randint(0, 2 * reach), random.randint(0, 2 * reach)
        cropped = pixels[rows[top : top + height]][:, columns[left : left + width]]
        image = Image.fromarray(cropped if channels == 3 else cropped[:, :, 0])
        if mirror and random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for name in random.sample(names, 2):
            image = PILLOW[name](image, random.uniform(-1, 1))
        side = random.randint(0, height // 2)
        x, y = random.randrange(width) - side // 2, random.randrange(height) - side // 2
        image.paste((127,) * channels if channels > 1 else 127, (x, y, x + side, y + side))
        array = np.asarray(image).reshape(height, width, channels)
        views.append(torch.from_numpy(array.copy()).permute(2, 0, 1).float().div(255))
    return torch.stack(views)


def measure(channels: int, side: int) -> dict[str, Any]:
    """Images per second of processor time on both sides, the median of interleaved rounds."""
    generator = torch.Generator().manual_seed(0)
    random.seed(0)
    # Smooth random content: noise images would be a special case for equalize and autocontrast.
    coarse = torch.rand(BATCH, channels, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True)
    batch = (smooth * 255).to(torch.uint8)
    spec = ImageSpec(channels, side, side)
    view = ImageStrong(spec, turn=0)  # the peer has no turn before its operations
    names = RGB_OPERATIONS if channels == 3 else GREY_OPERATIONS
    sides: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: view(batch, generator),
        "peer": lambda: one_by_one(batch, names, mirror=channels == 3),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(ROUNDS + 2):
        for name, work in sides.items():
            start = time.thread_time()  # what else the machine does in the meantime does not count
            work()
            if round_ >= 2:  # the first two rounds warm caches up
                seconds[name].append(time.thread_time() - start)
    ours, peer = (BATCH / statistics.median(seconds[name]) for name in ("ours", "peer"))
    return {
        "name": f"strong view, {side} px {'RGB' if channels == 3 else 'grey'}, batches of {BATCH}, one core, "
        "processor time",
        "ours": round(ours),
        "peer": round(peer),
        "unit": "images/s",
        "ratio": round(ours / peer, 2),
        "target": TARGET,
        "versions": versions("pillow"),
    }


def run() -> list[dict[str, Any]]:
    """Both settings; one row each with name, ours, peer, unit, ratio, target and versions."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # A large block freed once, as in any training step, keeps the C library from unmapping every batch.
    torch.empty(7_000_000).fill_(0)
    try:
        return [measure(1, 28), measure(3, 32)]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    report("augmentation", run())
