"""View: a random change of a batch, with parameters of their own for every row."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class View(ABC):
    """A random change of a batch: same rows, new values; the same state of `rng` gives the same bits.

    A view is a frozen dataclass over the `spec` of an input, whose other fields have defaults. Its name is the kind of
    input and what the change is called, "image-weak": a method's field `view` takes the latter.
    """

    name: ClassVar[str]
    moves: ClassVar[bool] = True
    """True if it may move what lies in a picture, so that boxes and masks would not fit any more."""

    @abstractmethod
    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        """The changed batch, of the same shape."""
