"""A merge from folders to a folder, one tensor at a time."""

import errno
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from manyways.errors import ModelError
from manyways.methods.merging._formulas import blocks
from manyways.methods.merging._ingredients import Ingredient
from manyways.models.saving import DESCRIPTION
from manyways.models.tensor_files import read_metadata, write_tensors

COPIED = (".json", ".txt", ".model", ".jinja")
"""Endings of what lies beside the weights: configurations and tokenizers."""

Recipe = Callable[[str, list[Tensor], torch.dtype], Callable[[list[Tensor]], Tensor]]
"""Of a tensor's name, what every ingredient has under it, flat, and the type to compute in: what merges its blocks."""


def stream(ingredients: Sequence[Ingredient], recipe: Recipe, out: Path) -> None:
    """Write into the folder `out` the merged weights and, as the first ingredient has them, the files beside them.

    Holds one tensor of each ingredient at a time. Raises ModelError as `merged` does, or where `out` cannot be written.
    """
    first = ingredients[0]
    for name, held in first.weights.files.items():
        metadata = read_metadata(first.path / name)
        write_tensors(out / name, held, lambda tensor: merged(tensor, ingredients, recipe), metadata)
    for path in sorted(first.path.iterdir()):
        if path.is_file() and path.suffix in COPIED and path.name != DESCRIPTION:
            try:
                shutil.copyfile(path, out / path.name)
            except OSError as error:
                why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
                raise ModelError(f"{path} cannot be copied to {out}: {why}. Give another folder.") from error


def merged(name: str, ingredients: Sequence[Ingredient], recipe: Recipe) -> Tensor:
    """The tensor `name` of the merged model, in the type that the first ingredient has it in.

    What is the same in all stays as it is. Of whole numbers, a single one (a counter) is the first ingredient's;
    several that differ cannot be averaged, and raise ModelError, as does a result that is not finite.
    """
    given = [each.weights.read(name) for each in ingredients]
    first = given[0]
    differing = [at for at, tensor in enumerate(given) if not _same(first, tensor)]
    if not differing or (not first.is_floating_point() and first.numel() == 1):
        return first
    if not first.is_floating_point():
        raise ModelError(
            f"{name!r} holds whole numbers that differ between {ingredients[0].path} and "
            f"{ingredients[differing[0]].path}; they cannot be averaged. If the models are quantised, save them as "
            "floating-point numbers."
        )
    exact = torch.float64 if any(tensor.dtype == torch.float64 for tensor in given) else torch.float32
    flat = [tensor.reshape(-1) for tensor in given]
    combine = recipe(name, flat, exact)
    out = torch.empty_like(flat[0])
    done = 0
    for block in blocks(flat, exact):
        result = combine(block)
        if name.endswith("running_var"):
            # Sums of differences can leave the variance of a normalisation below 0, where nothing can be divided by it.
            result = torch.where(result > 0, result, torch.stack(block).amin(0))
        part = out[done : done + len(result)]
        part.copy_(result)
        if not part.to(exact).sum(dtype=torch.float64).isfinite():
            raise ModelError(_not_finite(name, ingredients, block, first.dtype))
        done += len(result)
    return out.reshape(first.shape)


def _same(first: Tensor, other: Tensor) -> bool:
    """True if two tensors of one shape are bitwise the same."""
    if first.dtype != other.dtype:
        return False
    one, two = (tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (first, other))
    return torch.equal(one, two)


def _not_finite(name: str, ingredients: Sequence[Ingredient], given: Sequence[Tensor], kind: torch.dtype) -> str:
    for ingredient, tensor in zip(ingredients, given, strict=True):
        if wrong := int((~tensor.isfinite()).sum()):
            return f"{name!r} of {ingredient.path} holds {wrong} numbers that are NaN or infinite; train it anew."
    return f"{name!r} of the merged model has numbers beyond the largest of {kind}; lower the scale or the weights."
