"""Checks and draws that the views of all kinds share."""

import torch
from torch import Tensor

from manyways.errors import DataError, ParameterError


def require_range(view: object, low: float, high: float, *fields: str) -> None:
    """Raise ParameterError unless each of the named fields of `view` lies in [low, high]; None passes."""
    for field in fields:
        value = getattr(view, field)
        if value is not None and not low <= value <= high:
            raise ParameterError(f"{type(view).__name__}.{field} must be in [{low:g}, {high:g}]; got {value!r}.")


def require_shape(batch: Tensor, *shape: int) -> None:
    """Raise DataError unless `batch` is [rows, *shape]."""
    if tuple(batch.shape[1:]) != shape or batch.ndim != len(shape) + 1:
        wanted = ", ".join(str(size) for size in ("rows", *shape))
        raise DataError(
            f"The batch does not fit this view: its shape must be [{wanted}]; got {list(batch.shape)}. "
            "Build the view from the spec that encoded the batch."
        )


def uniform(rng: torch.Generator, rows: int, low: float, high: float, device: torch.device) -> Tensor:
    """One number per row from U[low, high), float32 [rows], drawn where `rng` lives and moved to `device`."""
    return torch.rand(rows, generator=rng, device=rng.device).mul_(high - low).add_(low).to(device)


def integers(rng: torch.Generator, rows: int, low: int, high: int, device: torch.device) -> Tensor:
    """One whole number per row from low to high, both included, int64 [rows]."""
    return torch.randint(low, high + 1, (rows,), generator=rng, device=rng.device).to(device)


def coin(rng: torch.Generator, rows: int, probability: float, device: torch.device) -> Tensor:
    """One boolean per row, true with `probability`."""
    return (torch.rand(rows, generator=rng, device=rng.device) < probability).to(device)


def gaussian(rng: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal noise, float32 of the shape and device of `like`."""
    return torch.randn(like.shape, generator=rng, device=rng.device).to(like.device)
