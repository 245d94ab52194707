"""Views of a batch at once against torchvision's and lightly's, which see one Pillow image at a time.

Two recipes, each at 28 px grey and 32 px RGB: SimCLR's view, by `lightly.transforms.SimCLRTransform`, and FixMatch's
strong view, as torchvision's users write it: mirror, crop out of a reflected border, RandAugment with two operations,
and a square erased. The peer's images lie ready as Pillow images before its clock starts; it ends with one float tensor
of the batch, as ours does. It runs in `.venv-peers`, in turns with ours, each on one thread and in processor time.
`augmentation.py` is the same comparison with the operations called by hand, without torchvision around them.

    make peers
    python benchmarks/views.py
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from common import Row, facts_of_peer, report, versions
from torch import Tensor

from manyways.data.specs import ImageSpec
from manyways.data.views import ImageContrastive, ImageStrong

BATCH, TURNS, ROUNDS, TARGET = 256, 3, 21, 8.0
SETTINGS = {"28 px grey": (1, 28), "32 px RGB": (3, 32)}

PEER = """
import json, statistics, time, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from importlib.metadata import version
from lightly.transforms import SimCLRTransform
from PIL import Image
from torchvision import transforms as T
torch.set_num_threads(1)
facts = {"versions": {name: version(name) for name in ("lightly", "torchvision", "pillow")}}
for name, (channels, side) in {"28 px grey": (1, 28), "32 px RGB": (3, 32)}.items():
    coarse = torch.rand(256, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True)
    pixels = (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = [Image.fromarray(each if channels == 3 else each[:, :, 0]) for each in pixels]
    strong = T.Compose([
        T.RandomHorizontalFlip(), T.RandomCrop(side, padding=side // 8, padding_mode="reflect"), T.RandAugment(2),
        T.ToTensor(), T.RandomErasing(p=1, scale=(0.01, 0.25), ratio=(1, 1)),
    ])
    # As ours below 64 pixels: no blur, half the jitter, crops from a fifth of the image on.
    simclr = SimCLRTransform(input_size=side, cj_strength=0.5, min_scale=0.2, gaussian_blur=0, normalize=None)
    for recipe, view in (("strong", strong), ("SimCLR", simclr.transforms[0])):
        seconds = []
        for _ in range(5):
            began = time.thread_time()
            batch = torch.stack([view(image) for image in images])
            seconds.append(time.thread_time() - began)
        assert batch.shape == (256, channels, side, side) and batch.dtype == torch.float32
        facts[f"{recipe}, {name}"] = statistics.median(seconds)
print(json.dumps(facts))
"""


def seconds_of(view: Callable[[Tensor, torch.Generator], Tensor], batch: Tensor) -> float:
    """Processor time of one batch, the median of rounds."""
    generator, seconds = torch.Generator().manual_seed(0), []
    for _ in range(ROUNDS):
        began = time.thread_time()
        view(batch, generator)
        seconds.append(time.thread_time() - began)
    return statistics.median(seconds)


def ours() -> dict[str, float]:
    """Seconds of each recipe and setting."""
    seconds = {}
    for name, (channels, side) in SETTINGS.items():
        coarse = torch.rand(BATCH, channels, 5, 5, generator=torch.Generator().manual_seed(0))
        smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True)
        spec, batch = ImageSpec(channels, side, side), (smooth * 255).to(torch.uint8)
        seconds[f"strong, {name}"] = seconds_of(ImageStrong(spec), batch)
        seconds[f"SimCLR, {name}"] = seconds_of(ImageContrastive(spec), batch)
    return seconds


def run() -> list[Row]:
    """Four rows: two recipes, two settings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # A large block freed once, as in any training step, keeps the C library from unmapping every batch.
    torch.empty(7_000_000).fill_(0)
    turns: list[tuple[dict[str, float], dict[str, Any]]] = []
    try:
        for _ in range(TURNS):
            turns.append((ours(), facts_of_peer(PEER)))
    finally:
        torch.set_num_threads(threads)
    peer_versions = {f"peer {name}": version for name, version in turns[-1][1]["versions"].items()}
    return [
        {
            "name": f"view, {setting}, batches of {BATCH}, one core, processor time",
            "ours": round(BATCH / statistics.median(mine[setting] for mine, _ in turns)),
            "peer": round(BATCH / statistics.median(theirs[setting] for _, theirs in turns)),
            "unit": "images/s",
            "ratio": round(statistics.median(theirs[setting] / mine[setting] for mine, theirs in turns), 1),
            "target": f"≥ {TARGET:g}",
            "versions": versions() | peer_versions,
        }
        for setting in turns[0][0]
    ]


if __name__ == "__main__":
    report("views", run())
