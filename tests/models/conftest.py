"""Every network that we ship, with rows for four members or tasks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec


def images(channels: int, side: int) -> tuple[Spec, Callable[[Generator], Tensor]]:
    """Four times five square images."""

    def rows(rng: Generator) -> Tensor:
        return torch.randint(256, (4, 5, channels, side, side), generator=rng, dtype=torch.uint8)

    return ImageSpec(channels, side, side), rows


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
    "audio-net": (AudioSpec(8000, 2000), lambda g: torch.randint(-9000, 9000, (4, 5, 2000), generator=g).short()),
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
