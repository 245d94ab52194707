"""Rotation: by how many quarters was an image turned?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Count
from manyways.methods.method import Ablations
from manyways.methods.needs import Images, Input, Need
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner

TURNS = 4


def _square(data: Data) -> str | None:
    if reason := Images.check(data):
        return reason
    odd = {
        image.name: image.values.shape[2:] for image in data.inputs if image.values.shape[2] != image.values.shape[3]
    }
    if not odd:
        return None
    name, (height, width) = next(iter(odd.items()))
    return (
        f"it needs square images, as a quarter turn must keep the shape, and those of {name!r} have {height} × {width} "
        f"pixels. Read them in one size: image_size={min(height, width)}."
    )


SquareImages = Need("square images", "square images, and no other inputs", _square)


class RotationLearner(RowLearner):
    """A learner of images, and the layer that tells the turns apart; it is dropped afterwards."""

    turns: nn.Linear


@dataclass(frozen=True, kw_only=True)
class Rotation(SelfSupervised[RotationLearner]):
    """RotNet: tell by which of four quarter turns an image was turned, for which it must see what is upright."""

    batch_size: Count = 64
    """Rows in a batch; each is seen in all four turns."""

    needs: ClassVar = (Input, SquareImages)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ("rotation >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first by the turn of an image", 83)}
    paper: ClassVar = "Gidaris et al., Unsupervised representation learning by predicting image rotations, ICLR 2018"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        """Images that look the same however they are turned."""
        for image in data.inputs:
            pixels = image.take(every := np.arange(len(image))).astype(np.float32)
            data = with_values(data, image.name, every, sum(np.rot90(pixels, turn, (2, 3)) / 4 for turn in range(4)))
        return {"an upright": (self, data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> RotationLearner:
        learner = super().begin(data, model, seed)
        learner.turns = nn.Linear(learner.network.width, TURNS)
        return learner

    def draw(self, learner: RotationLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return turned(learner.views.weak(rows, rng))

    def loss(self, learner: RotationLearner, batch: Batch) -> Loss:
        logits = learner.turns(learner.network.features(batch["inputs"])).float()
        accuracy = (logits.argmax(1) == batch["turns"]).float().mean()
        return cross_entropy(logits, batch["turns"]), {"accuracy": accuracy}

    def pretext(self, learner: RotationLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        batch = turned(inputs)
        right = learner.turns(learner.network.features(batch["inputs"])).argmax(1) == batch["turns"]
        return {"accuracy": float(right.float().mean()), "chance": 1 / TURNS}

    def unlearned(self) -> str:
        return (
            "Images without an upright, such as those taken from above or through a microscope, give nothing to learn "
            "here; take simclr or mae for them."
        )


def turned(inputs: Inputs) -> Batch:
    """Images by 0, 1, 2 and 3 quarters, one after the other, and those numbers; no pixel is interpolated."""
    images = {name: torch.cat([x.rot90(turn, (2, 3)) for turn in range(TURNS)]) for name, x in inputs.items()}
    count, device = next((len(x), x.device) for x in inputs.values())
    return {"inputs": images, "turns": torch.arange(TURNS, device=device).repeat_interleave(count)}
