"""Trees of tensors: a tensor, or a dictionary or a sequence of trees, whose tensors share their first axis."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def mapped(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """`function` of every tensor."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {name: mapped(function, part) for name, part in tree.items()}
    return tuple(mapped(function, part) for part in tree)


def leaves(tree: Any) -> list[Tensor]:
    """Return all tensors."""
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def count_of(tree: Any) -> int:
    """Length of the first axis."""
    return len(leaves(tree)[0])


def sliced(tree: Any, number: int) -> Any:
    """The slice `number` of every tensor."""
    return mapped(lambda tensor: tensor[number], tree)


def stacked(trees: list[Any]) -> Any:
    """Trees that are alike as one, with a new first axis."""
    return _merged(torch.stack, trees)


def joined(trees: list[Any]) -> Any:
    """Trees that are alike as one, their first axes one after the other."""
    return _merged(torch.cat, trees)


def _merged(function: Callable[[list[Tensor]], Tensor], trees: list[Any]) -> Any:
    first = trees[0]
    if isinstance(first, Tensor):
        return function(trees)
    if isinstance(first, dict):
        return {name: _merged(function, [each[name] for each in trees]) for name in first}
    return tuple(_merged(function, list(parts)) for parts in zip(*trees, strict=True))
