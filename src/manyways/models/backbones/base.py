"""Backbone: one encoded modality in, features out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from manyways.data.specs import Spec
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones.tokens import Tokens

SpecT = TypeVar("SpecT", bound=Spec)


class Backbone(nn.Module, ABC):
    """A network from one encoded modality to features [B, width].

    A subclass lives in a file of its own in this folder, is found there by its `name`, and takes the keys of
    its `config` (without "name") as keyword arguments.
    """

    name: ClassVar[str]
    """Name in the registry."""
    kinds: ClassVar[tuple[str, ...]]
    """The kinds of `Spec` that it can read."""
    rate: ClassVar[float] = 1.0
    """The multiple of a method's learning rate at which a network with it learns best from scratch."""
    vectorises: ClassVar[bool] = True
    """False if torch.func.vmap cannot run it, so that networks of a population run one by one."""
    differentiable_twice: ClassVar[bool] = True
    """False if it has no second derivative, which MAML takes unless it is of first order."""
    width: int
    """Number of features."""
    config: dict[str, Any]
    """JSON values from which `BACKBONES.rebuild` makes the same architecture, "name" included."""

    def __init__(self, width: int, /, **config: Any) -> None:
        super().__init__()
        self.width = width
        self.config = {"name": self.name, **config}

    @classmethod
    @abstractmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        """The config for data like `spec`; `size` > 0 multiplies the widths, depth follows from both."""

    @classmethod
    def for_spec(cls, spec: Spec, size: float = 1.0) -> Self:
        """A network with new weights (drawn from torch's global generator) for data like `spec`."""
        return cls.from_config(cls.sized(spec, size))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A network with new weights and this `config`.

        Raises:
            TypeError: The keys do not fit.
        """
        make: Callable[..., Self] = cls
        return make(**{key: value for key, value in config.items() if key != "name"})

    @property
    def token_width(self) -> int:
        """Number of features per token."""
        return self.width

    @abstractmethod
    def tokens(self, x: Tensor) -> Tokens:
        """Features per position [B, positions, token_width] of an encoded batch `x` [B, ...], before pooling."""

    def pool(self, tokens: Tokens) -> Tensor:
        """Features [B, width] of tokens: their mean over positions, unless a subclass pools otherwise."""
        return tokens.mean()

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, width] of an encoded batch `x` [B, ...]: its tokens, pooled."""
        return self.pool(self.tokens(x))

    @abstractmethod
    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from input to output, each exactly once: for learning rates by depth and unfreezing."""


class ImageBackbone(Backbone):
    """A backbone for images [B, C, H, W], uint8 in [0, 255] or float in [0, 1]."""

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    mean: Tensor
    std: Tensor

    def __init__(self, width: int, /, channels: int, **config: Any) -> None:
        super().__init__(width, channels=channels, **config)
        self.register_buffer("mean", torch.full((channels,), 0.5))
        self.register_buffer("std", torch.full((channels,), 0.5))

    def set_statistics(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> None:
        """Set the mean and standard deviation per channel, of pixels in [0, 1], that standardise the inputs.

        Raises ModelError on a wrong number of channels and ParameterError unless all std > 0.
        """
        new_mean = torch.as_tensor(mean, dtype=self.mean.dtype, device=self.mean.device)
        new_std = torch.as_tensor(std, dtype=self.std.dtype, device=self.std.device)
        if new_mean.shape != self.mean.shape or new_std.shape != self.std.shape:
            raise ModelError(
                f"{self.name} reads {len(self.mean)} channel(s), so mean and std need that many values; "
                f"got {new_mean.numel()} and {new_std.numel()}."
            )
        if not bool((new_std > 0).all()):
            raise ParameterError(f"std must be above 0 in every channel; got {new_std.tolist()}.")
        self.mean.copy_(new_mean)
        self.std.copy_(new_std)

    def standardise(self, x: Tensor) -> Tensor:
        """Pixels [B, C, H, W] as floats with zero mean and unit variance per channel."""
        scaled = x.to(self.mean.dtype) / 255 if x.dtype == torch.uint8 else x.to(self.mean.dtype)
        return (scaled - self.mean[:, None, None]) / self.std[:, None, None]


def require_kind(spec: Spec, kind: type[SpecT], name: str) -> SpecT:
    """`spec` if it is of the class `kind`. Raises ParameterError otherwise."""
    if not isinstance(spec, kind):
        raise ParameterError(f"The backbone {name!r} reads {kind.kind} inputs; this input is {spec.kind}.")
    return spec


def scaled_width(width: int, size: float, multiple: int = 8) -> int:
    """`width` times `size`, rounded to a multiple (8 fills the vector registers) and at least one of it."""
    if not 0 < size < float("inf"):
        raise ParameterError(f"size must be a number above 0 (1.0 is the default); got {size}.")
    return max(multiple, round(width * size / multiple) * multiple)
