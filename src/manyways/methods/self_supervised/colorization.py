"""Colorization: which colours has a picture of which only the lightness is seen?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pixel_shuffle

from manyways.data.data import Data
from manyways.data.lab import lab_of
from manyways.data.storage import RowNumbers
from manyways.data.views.images import as_float
from manyways.errors import NeedsError
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Count, Interval, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Images, Input, Need
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Inputs, Network
from manyways.training.learner import RowLearner

LOOKED_AT = 512
"""Images from which the colours are taken."""
NEIGHBOURS, SIGMA = 5, 5.0
FINER = 2
"""Colours along each side of a place of the network's map."""
ANNEALED = 0.38
MOST_PLACES = 20_000


def _colour(data: Data) -> str | None:
    if reason := Images.check(data):
        return reason
    for image in data.inputs:
        if image.values.shape[1] != 3:
            return f"it needs images in colour, and those of {image.name!r} are grey: they have one channel. {INSTEAD}"
        some = image.take(data.rows[np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(int)])
        if (some == some[:, :1]).all():
            return f"it needs images in colour, and those of {image.name!r} are grey: all channels are equal. {INSTEAD}"
    return None


INSTEAD = "Grey images are learned from by mae, inpainting, rotation or simclr."
ColourImages = Need("colour", "images in colour, and no other inputs", _colour)


class ColorizationLearner(RowLearner):
    """A learner of images, and what tells their colours; it is dropped afterwards.

    Attributes:
        painters: For each input the layer from the features of a place to the logits of its colours.
        colours: The colours that are told apart, a and b of CIELAB, float32 [colours, 2].
        rarity: What each colour weighs in the loss, float32 [colours], 1 on average over places.
    """

    painters: nn.ModuleList
    colours: Tensor
    rarity: Tensor


@dataclass(frozen=True, kw_only=True)
class Colorization(SelfSupervised[ColorizationLearner]):
    """Tell the colours of a picture from its lightness: a distribution over quantised colours at each place."""

    batch_size: Count = 64
    """Rows in a batch."""
    colours: Annotated[int, Interval("[2, 313]")] = 32
    """Colours that are told apart: the centres of k-means on those of the training images."""
    rebalance: Share = 0.5
    """Weight of rare colours: 1 as if all were as frequent, 0 as they are."""

    needs: ClassVar = (Input, ColourImages)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ("colorization >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first by the colours of grey images", 87)}
    paper: ClassVar = "Zhang et al., Colorful image colorization, ECCV 2016"
    example: ClassVar = "photo-tiles"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=8, colours=4)

    def ablations(self, data: Data) -> Ablations:
        """Colours that do not go with what is seen: of every image other channels are exchanged."""
        for image in data.inputs:
            pixels = np.array(image.take(every := np.arange(len(image))), copy=True)
            for turn in (1, 2):
                pixels[turn::3] = np.roll(pixels[turn::3], turn, axis=1)
            data = with_values(data, image.name, every, pixels)
        return {"colours that go with the picture": (self, data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> ColorizationLearner:
        learner = super().begin(data, model, seed)
        count = len(learner.everything)
        some: RowNumbers = np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.int64)
        images, grids = learner.take(some), grids_of(learner.network, learner.take(some[:1]))
        for (name, grid), part in zip(grids.items(), learner.network.parts, strict=True):
            if len(grid) != 2:
                raise NeedsError(
                    f"{self} tells a colour for each place, and the backbone {part.name} of {name!r} gives no map of "
                    'places. Take another, such as backbone="convnet" or "resnet".'
                )
        places = torch.cat([pooled(lab_of(as_float(images[name]))[:, 1:], grid) for name, grid in grids.items()])
        colours = colours_of(places, self.colours, seed)
        learner.register_buffer("colours", colours)
        learner.register_buffer("rarity", colour_weights(encoded(places, colours).mean(0), self.rebalance))
        learner.painters = nn.ModuleList(
            nn.Linear(part.token_width, len(colours) * FINER**2) for part in learner.network.parts
        )
        return learner

    def draw(self, learner: ColorizationLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return {"images": learner.views.weak(rows, rng)}

    def loss(self, learner: ColorizationLearner, batch: Batch) -> Loss:
        losses = []
        for logits, places in self.painted(learner, batch["images"]):
            target = encoded(places, learner.colours)
            weight = learner.rarity[target.argmax(1)]
            losses.append((weight * -(target * logits.log_softmax(1)).sum(1)).mean())
        return torch.stack(losses).mean(), {}

    def painted(self, learner: ColorizationLearner, images: Inputs) -> list[tuple[Tensor, Tensor]]:
        """Of each input the logits of the colours of all places, [places, colours], and their true a and b."""
        lab = {name: lab_of(as_float(x)) for name, x in images.items()}
        grey = {name: x[:, :1].expand(-1, 3, -1, -1) / 100 for name, x in lab.items()}
        pairs = []
        for (name, tokens), painter in zip(learner.network.tokens(grey).items(), learner.painters, strict=True):
            of_places = painter(tokens.placed.features).transpose(1, 2).reshape(len(lab[name]), -1, *tokens.grid)
            logits = pixel_shuffle(of_places, FINER).float()
            pairs.append((flat(logits), pooled(lab[name][:, 1:], tokens.grid)))
        return pairs

    def pretext(self, learner: ColorizationLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The accuracy of the nearest of the colours, each colour counting the same, and how far off a and b are."""
        pairs = self.painted(learner, inputs)
        logits, places = (torch.cat(part) for part in zip(*pairs, strict=True))
        nearest = encoded(places, learner.colours).argmax(1)
        right = (logits.argmax(1) == nearest).float()
        accuracies = [float(right[nearest == colour].mean()) for colour in torch.unique(nearest)]
        told = (logits / ANNEALED).softmax(1) @ learner.colours
        error, of_grey = ((places - guess).norm(dim=1).mean() for guess in (told, torch.zeros_like(told)))
        chance = 1 / len(accuracies)
        accuracy = sum(accuracies) * chance
        return {"accuracy": accuracy, "chance": chance, "colour_error": float(error), "error_of_grey": float(of_grey)}


@torch.no_grad()
def grids_of(network: Network, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """Rows and columns of the map that the network makes of each input."""
    was_training = network.training
    grids = {name: tokens.grid for name, tokens in network.eval().tokens(inputs).items()}
    network.train(was_training)
    return grids


def flat(values: Tensor) -> Tensor:
    """[rows, width, height, columns] as [rows · height · columns, width]."""
    return values.permute(0, 2, 3, 1).flatten(0, 2)


def pooled(ab: Tensor, grid: tuple[int, ...]) -> Tensor:
    """The mean colours of the places of a map, `FINER` along each side of the network's `grid`; [places, 2]."""
    return flat(adaptive_avg_pool2d(ab, (FINER * grid[0], FINER * grid[1])))


def encoded(places: Tensor, colours: Tensor) -> Tensor:
    """Colours [places, 2] as distributions over `colours`: the nearest five, by a Gaussian of their distance."""
    distances, nearest = torch.cdist(places, colours).topk(min(NEIGHBOURS, len(colours)), dim=1, largest=False)
    shares = (-(distances**2 - distances[:, :1] ** 2) / (2 * SIGMA**2)).exp()
    return torch.zeros(len(places), len(colours), device=places.device).scatter(
        1, nearest, shares / shares.sum(1, keepdim=True)
    )


def colours_of(places: Tensor, count: int, seed: int) -> Tensor:
    """The centres of k-means on the colours of `places` [places, 2], float32; no more than there are colours."""
    from sklearn.cluster import KMeans

    points = places.double().numpy()[:: max(1, len(places) // MOST_PLACES)]
    count = min(count, len(np.unique(points.round(3), axis=0)))
    return torch.from_numpy(KMeans(count, n_init=1, random_state=seed).fit(points).cluster_centers_).float()


def colour_weights(frequencies: Tensor, rebalance: float) -> Tensor:
    """Weights of colours by their frequencies (Zhang et al. 2016, equation 4); their mean by frequency is 1."""
    mixed = rebalance * frequencies + (1 - rebalance) / len(frequencies)
    weights = 1 / mixed.clamp_min(1e-4)
    return weights / (frequencies * weights).sum()
