"""Jigsaw: in which order do the shuffled tiles of an image belong?"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from manyways.data.data import Data
from manyways.data.views.images import as_float
from manyways.data.views.ranges import integers
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.methods.needs import Images, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones.base import ImageBackbone
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner

SHOWN = 0.85
"""The share of a tile's side that is shown, at a random place: edges of neighbours never meet."""
SMALLEST_TILE = 3
FLAT = 0.02
"""Standard deviations of tiles that are smaller count as this."""
TILE_WIDTH, HIDDEN = 64, 128


class JigsawLearner(RowLearner):
    """A learner of images, and the layers that tell the order of the tiles; they are dropped afterwards.

    Attributes:
        of_tile: The layer that each tile's features go through.
        of_all: The layers from all tiles, side by side, to the permutations.
        permutations: The permutations that are told apart, int64 [permutations, tiles].
    """

    of_tile: nn.Linear
    of_all: nn.Sequential
    permutations: Tensor


@dataclass(frozen=True, kw_only=True)
class Jigsaw(SelfSupervised[JigsawLearner]):
    """Jigsaw puzzle: tell in which order the tiles of an image were shuffled, each seen by itself."""

    batch_size: Count = 64
    """Rows in a batch."""
    tiles: Annotated[int, Interval("[2, 3]")] = 2
    """Tiles along each side: 2 are four tiles in 24 orders, 3 are nine."""
    permutations: Annotated[int, Interval("[2, 1000]")] = 100
    """Orders that are told apart, those farthest from each other; no more than there are."""

    needs: ClassVar = (Input, Images)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ("jigsaw >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first by the order of tiles", 85)}
    paper: ClassVar = (
        "Noroozi & Favaro, Unsupervised learning of visual representations by solving jigsaw puzzles, ECCV 2016"
    )
    field_trials: ClassVar = {"permutations": {"permutations": 3}, "tiles": {"tiles": 3, "permutations": 24}}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=8)

    def ablations(self, data: Data) -> Ablations:
        """Images whose tiles are all alike."""
        for image in data.inputs:
            pixels = image.take(every := np.arange(len(image)))
            height, width = (side // self.tiles for side in pixels.shape[2:])
            padding = [(0, side % self.tiles) for side in pixels.shape[2:]]
            tiled = np.tile(pixels[:, :, :height, :width], (1, 1, self.tiles, self.tiles))
            data = with_values(data, image.name, every, np.pad(tiled, [(0, 0), (0, 0), *padding], mode="edge"))
        return {"tiles that differ": (self, data)}

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        least = self.tiles * (SMALLEST_TILE + 1)
        for image in data.inputs:
            height, width = image.values.shape[2:]
            if min(height, width) < least:
                fewer = " or take tiles=2," if self.tiles > 2 and min(height, width) > 2 * SMALLEST_TILE else ""
                return (
                    f"the images of {image.name!r} have {height} × {width} pixels, too small for {self.tiles} × "
                    f"{self.tiles} tiles. They need {least} on each side:{fewer} read larger ones, image_size={least}."
                )
        return None

    def begin(self, data: Data, model: Model | None, seed: int) -> JigsawLearner:
        learner = super().begin(data, model, seed)
        orders = farthest_permutations(self.tiles**2, min(self.permutations, factorial(self.tiles**2)))
        learner.register_buffer("permutations", torch.from_numpy(orders.copy()))
        learner.of_tile = nn.Linear(learner.network.width, TILE_WIDTH)
        learner.of_all = nn.Sequential(
            nn.ReLU(), nn.Linear(self.tiles**2 * TILE_WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(orders))
        )
        return learner

    def draw(self, learner: JigsawLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return self.shuffled(learner, learner.views.weak(rows, rng), rng)

    def shuffled(self, learner: JigsawLearner, inputs: Inputs, rng: torch.Generator) -> Batch:
        """The tiles of each image in one of the orders, as a batch of images, and which order that is."""
        count, device = next((len(x), x.device) for x in inputs.values())
        orders = integers(rng, count, 0, len(learner.permutations) - 1, device)
        places = learner.permutations[orders]
        tiles = {}
        for name, part in zip(learner.network.names, learner.network.parts, strict=True):
            cut = cut_tiles(as_float(inputs[name]), self.tiles, rng)
            level, spread = (part.mean, part.std) if isinstance(part, ImageBackbone) else (torch.tensor(0.5),) * 2
            alike = with_statistics(cut, level.to(device), spread.to(device))
            moved = alike.gather(1, places[:, :, None, None, None].expand_as(alike)).flatten(0, 1)
            tiles[name] = interpolate(moved, inputs[name].shape[2:], mode="bilinear", antialias=False)
        return {"inputs": tiles, "orders": orders}

    def logits(self, learner: JigsawLearner, batch: Batch) -> Tensor:
        """The logits of the orders, [rows, permutations]."""
        features = learner.of_tile(learner.network.features(batch["inputs"]))
        logits: Tensor = learner.of_all(features.reshape(len(batch["orders"]), -1))
        return logits.float()

    def loss(self, learner: JigsawLearner, batch: Batch) -> Loss:
        logits = self.logits(learner, batch)
        accuracy = (logits.argmax(1) == batch["orders"]).float().mean()
        return cross_entropy(logits, batch["orders"]), {"accuracy": accuracy}

    def pretext(self, learner: JigsawLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        batch = self.shuffled(learner, inputs, rng)
        right = self.logits(learner, batch).argmax(1) == batch["orders"]
        return {"accuracy": float(right.float().mean()), "chance": 1 / len(learner.permutations)}

    def unlearned(self) -> str:
        return (
            "Images without an upright, such as those taken from above or through a microscope, give nothing to learn "
            "here; take simclr or mae for them."
        )


@lru_cache
def farthest_permutations(length: int, count: int) -> NDArray[np.int64]:
    """`count` permutations [count, length], each the farthest (Hamming) from those before, from the identity on."""
    every = np.array(list(itertools.permutations(range(length))), np.int8)
    chosen, apart = [0], np.full(len(every), np.inf)
    total = np.zeros(len(every))
    while len(chosen) < count:
        distance = (every != every[chosen[-1]]).sum(1)
        apart, total = np.minimum(apart, distance), total + distance
        # Of those whose nearest is as far, that which is farthest from all together.
        chosen.append(int(np.argmax(np.where(apart == apart.max(), total, -1))))
    return every[chosen].astype(np.int64)


def cut_tiles(images: Tensor, tiles: int, rng: torch.Generator) -> Tensor:
    """A part of each tile at a random place in it, [rows, tiles · tiles, channels, height, width]."""
    rows, channels = images.shape[:2]
    height, width = (side // tiles for side in images.shape[2:])
    cells = images[:, :, : tiles * height, : tiles * width].reshape(rows, channels, tiles, height, tiles, width)
    cells = cells.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height, width)
    shown_height, shown_width = (min(side - 1, max(SMALLEST_TILE, round(SHOWN * side))) for side in (height, width))
    top = integers(rng, len(cells), 0, height - shown_height, images.device)
    left = integers(rng, len(cells), 0, width - shown_width, images.device)
    down = (top[:, None] + torch.arange(shown_height, device=images.device))[:, None, :, None]
    right = (left[:, None] + torch.arange(shown_width, device=images.device))[:, None, None, :]
    cut = cells.gather(2, down.expand(-1, channels, -1, width)).gather(3, right.expand(-1, channels, shown_height, -1))
    return cut.reshape(rows, tiles * tiles, channels, shown_height, shown_width)


def with_statistics(tiles: Tensor, level: Tensor, spread: Tensor) -> Tensor:
    """Tiles, each with the mean `level` and the standard deviation `spread` per channel, so that these tell nothing."""
    deviation, mean = torch.std_mean(tiles, dim=(3, 4), keepdim=True)
    return (tiles - mean) / deviation.clamp_min(FLAT) * spread.view(-1, 1, 1) + level.view(-1, 1, 1)
