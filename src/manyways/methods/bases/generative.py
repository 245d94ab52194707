"""Gradient methods that learn to draw rows: images, or rows of a table."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from manyways.data.data import Data
from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.storage import RowNumbers
from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.fields import Count, Interval, NotNegative
from manyways.methods.needs import Input
from manyways.models.generative.units import Units
from manyways.models.generator import drawn, modelled
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import Learner


class GenerativeLearner(Learner):
    """A learner of encoded rows of one kind, all of which are learned from."""

    def __init__(self, network: nn.Module, data: Data, encoding: InputEncoding, seed: int) -> None:
        super().__init__(network, data, seed)
        self.encoding, self.units = encoding, Units.of(data)
        self.training_data = data.training
        self.rows: Encoded = encoding.encode(self.training_data)
        self.everything: RowNumbers = np.arange(len(self.rows))
        self.modality, self.spec = drawn(encoding)

    def take(self, positions: RowNumbers) -> Inputs:
        """The encoded training rows at `positions`, on the network's device."""
        return self.rows.batch(positions, self.device)


GenerativeT = TypeVar("GenerativeT", bound=GenerativeLearner)


@dataclass(frozen=True, kw_only=True)
class GenerativeMethod(GradientMethod[GenerativeT], Generic[GenerativeT]):
    """A gradient method over one column of images, or over the numbers and categories of a table."""

    batch_size: Count = 128
    """Rows in a batch."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices."""
    size: Annotated[float, Interval("(0, 64]")] = 1.0
    """Multiplies the width of the networks."""

    needs: ClassVar = (Input,)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or modelled(data)


def is_black_and_white(rows: Encoded, most: int = 2000) -> bool:
    """True if images are black or white in every pixel: of at most `most` rows, evenly spread."""
    positions = np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)
    (images,) = rows.batch(positions).values()
    return images.dtype == torch.uint8 and bool(((images == 0) | (images == 255)).all())
