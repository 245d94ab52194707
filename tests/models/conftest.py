"""Every network that we ship, with rows for four members or tasks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from manyways.data.encoders._word_features import SURFACE
from manyways.data.encoders.series import SeriesSpec
from manyways.data.encoders.words import WordsSpec
from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec


def images(channels: int, side: int) -> tuple[Spec, Callable[[Generator], Tensor]]:
    """Four times five square images."""

    def rows(rng: Generator) -> Tensor:
        return torch.randint(256, (4, 5, channels, side, side), generator=rng, dtype=torch.uint8)

    return ImageSpec(channels, side, side), rows


def sounds(rng: torch.Generator) -> torch.Tensor:
    """Waveforms, rows of rows."""
    return torch.randint(-9000, 9000, (4, 5, 2000), generator=rng).short()


SPECS: dict[str, tuple[Spec, Any]] = {
    "convnet": images(1, 12),
    "conv4": images(1, 12),
    "conv4-strided": images(3, 12),
    "strided": images(1, 12),
    "flat-perceptron": images(1, 8),
    "resnet": images(3, 16),
    "vit": images(3, 16),
    "perceptron": (TableSpec(6, ((0, 6),), (0,)), lambda g: torch.randn(4, 5, 6, generator=g)),
    "text-transformer": (TextSpec(50, 7), lambda g: torch.randint(4, 50, (4, 5, 7), generator=g)),
    "transformer-encoder": (TextSpec(50, 7), lambda g: torch.randint(4, 50, (4, 5, 7), generator=g)),
    "bilstm": (WordsSpec(60, 6), lambda g: torch.randint(1, 60, (4, 5, 6, 1 + SURFACE), generator=g)),
    "patch-transformer": (SeriesSpec(2, 24), lambda g: torch.randn(4, 5, 2, 24, generator=g).double()),
    "pyramid": images(3, 16),
    "unet": images(1, 16),
    **{name: (AudioSpec(8000, 2000), sounds) for name in ("audio-net", "audio-gru", "audio-transformer")},
}


@pytest.fixture(params=SPECS)
def shipped(request: pytest.FixtureRequest) -> str:
    """The name of each network in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shipped_specs() -> dict[str, tuple[Spec, Any]]:
    """By the name of a network: what it reads, and a function that makes rows of it [4, 5, …] with a generator."""
    return SPECS
