"""Networks of several labels that pass their layers side by side: cross-stitch units, and AdaShare's policies.

The rows of a batch go through one network once for each label, [labels · rows], label after label, so that any backbone
whose layers take rows first can do it.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from manyways.checked_json import DAMAGED, described
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.backbones.tokens import Tokens

Kind = Literal["cross-stitch", "adashare"]
KINDS = get_args(Kind)
MOST = 1000
"""Labels."""
OWN = 0.9
"""The part of a label's own features after a cross-stitch unit at first; the others have the rest."""


@dataclass(frozen=True)
class Lockstep:
    """The networks of several labels that pass the layers of one side by side.

    Attributes:
        kind: The way in which they share: "cross-stitch" or "adashare".
        labels: The number of labels.
        place: The place of one of them, whose network this is.
    """

    kind: Kind
    labels: int
    place: int = 0

    def divide(self, backbone: Backbone) -> None:
        """Put units in the place of the layers of `backbone`. Raises ParameterError where it has none such."""
        (stitch if self.kind == "cross-stitch" else make_skippable)(backbone, self.labels)

    def repeated(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inputs of a batch once for each label."""
        return {name: torch.cat([each] * self.labels) for name, each in inputs.items()}

    def own(self, tokens: Mapping[str, Tokens], place: int | None = None) -> dict[str, Tokens]:
        """The tokens of the rows of one label, by default of its own."""
        at = self.place if place is None else place
        of_label: dict[str, Tokens] = {}
        for name, each in tokens.items():
            rows = len(each.features) // self.labels
            of_label[name] = each.at(slice(at * rows, (at + 1) * rows))
        return of_label

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs."""
        return {"kind": self.kind, "labels": self.labels, "place": self.place}

    @staticmethod
    def from_json(saved: Any) -> "Lockstep":
        """The networks that `to_json` wrote. Raises ModelError for anything else."""
        given = described(saved, "what several labels share", ModelError)
        kind, labels, place = given.get("kind", str), given.get("labels", int), given.get("place", int)
        if kind not in KINDS or not 0 <= place < labels <= MOST:
            raise ModelError(f"The model says that labels share a network by {kind!r}, {place} of {labels}; {DAMAGED}.")
        return Lockstep("cross-stitch" if kind == "cross-stitch" else "adashare", labels, place)


class PerLabel(nn.Module):
    """Copies of a layer, one for each label, each of which reads the rows of its label."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.copies = nn.ModuleList(layers)

    def forward(self, *args: Any, **options: Any) -> Any:
        return together([
            layer(*own, **named)
            for layer, (own, named) in zip(self.copies, shares(len(self.copies), args, options), strict=True)
        ])  # fmt: skip


class CrossStitch(PerLabel):
    """A cross-stitch unit after a layer: features of each label are mixed with those of the others (Misra et al. 2016).

    `alphas` [labels, labels] is learned: x̃_a = Σ_b α_ab x_b, for all positions and channels alike. It is kept as a
    vector: weight decay, which is of matrices, would shrink all features.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__(layers)
        count = len(layers)
        others = (1 - OWN) / max(1, count - 1)
        first = torch.full((count, count), others) + (OWN - others) * torch.eye(count)
        self.mixing = nn.Parameter(first.flatten())

    @property
    def alphas(self) -> Tensor:
        """The parts that the features of each label have of each, [labels, labels]."""
        return self.mixing.view(len(self.copies), len(self.copies))

    def forward(self, *args: Any, **options: Any) -> Any:
        given = super().forward(*args, **options)
        features = given[0] if isinstance(given, tuple) else given
        apart = features.view(len(self.copies), -1, *features.shape[1:])
        mixed = torch.einsum("ab,b...->a...", self.alphas.to(features.dtype), apart).flatten(0, 1)
        return (mixed, *given[1:]) if isinstance(given, tuple) else mixed


class Skippable(nn.Module):
    """A residual block that each label passes through or skips (Sun et al., AdaShare, 2020).

    `logits` [labels] are those of passing, from which a policy is learned; `policy` [labels] says which labels pass,
    and `passing` is what a step takes in its place: shares in [0, 1], through which gradients flow.
    """

    policy: Tensor
    passing: Tensor | None

    def __init__(self, block: nn.Module, labels: int) -> None:
        super().__init__()
        self.block = block
        self.logits = nn.Parameter(torch.zeros(labels))
        self.register_buffer("policy", torch.ones(labels))
        self.passing = None

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Any:
        labels = len(self.policy)
        if self.passing is None:
            if bool((self.policy == 1).all()):
                return self.block(x, *args, **options)
            return self._passed(x, args, options)
        given = self.block(x, *args, **options)
        features = given[0] if isinstance(given, tuple) else given
        share = self.passing.to(features.dtype).view(labels, *[1] * features.ndim)
        before, after = (each.view(labels, -1, *each.shape[1:]) for each in (x, features))
        mixed = (before + share * (after - before)).flatten(0, 1)
        return (mixed, *given[1:]) if isinstance(given, tuple) else mixed

    def _passed(self, x: Tensor, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The rows of labels that pass through the block, and those of the others as they are."""
        labels = len(self.policy)
        passing = [label for label in range(labels) if self.policy[label] == 1]
        if not passing:
            return x
        rows = list(x.chunk(labels))
        own = [of_labels(each, len(x), labels, passing) for each in (x, *args)]
        named = {name: of_labels(each, len(x), labels, passing) for name, each in options.items()}
        given = self.block(*own, **named)
        features = given[0] if isinstance(given, tuple) else given
        for label, after in zip(passing, features.chunk(len(passing)), strict=True):
            rows[label] = after
        mixed = torch.cat(rows)
        return (mixed, *given[1:]) if isinstance(given, tuple) else mixed


def shares(labels: int, args: tuple[Any, ...], options: dict[str, Any]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of a layer for the rows of each label."""
    rows = next(each.shape[0] for each in (*args, *options.values()) if isinstance(each, Tensor))
    return [
        (
            tuple(of_labels(each, rows, labels, [label]) for each in args),
            {name: of_labels(each, rows, labels, [label]) for name, each in options.items()},
        )
        for label in range(labels)
    ]


def of_labels(value: Any, rows: int, labels: int, chosen: Sequence[int]) -> Any:
    """The part of an argument that is of the rows of the `chosen` labels; all of it where it is no tensor of `rows`."""
    if not isinstance(value, Tensor) or not value.ndim or value.shape[0] != rows:
        return value
    parts = value.chunk(labels)
    return parts[chosen[0]] if len(chosen) == 1 else torch.cat([parts[label] for label in chosen])


def together(parts: Sequence[Any]) -> Any:
    """The outputs of layers, label after label: tensors under each other, the members of tuples each so."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts)) if first.ndim else first
    if isinstance(first, tuple):
        return tuple(together([part[at] for part in parts]) for at in range(len(first)))
    return first


def stitch(backbone: Backbone, labels: int) -> None:
    """Give `backbone` copies of its layers for each label, and a cross-stitch unit after each of its trunk.

    Raises:
        ParameterError: Nothing tells its layers.
    """
    trunk = trunk_of(backbone)
    if trunk is None:
        raise ParameterError(
            f"sharing='cross-stitch' mixes features after each layer, and the backbone {backbone.name!r} says of no "
            "layers that follow each other. Take another backbone, or sharing='soft'."
        )
    layers = {id(layer) for layer in trunk}
    _replace(backbone, layers, lambda layer: _copies(CrossStitch, layer, labels), labels)


def make_skippable(backbone: Backbone, labels: int) -> None:
    """Make each residual block of `backbone` one that labels may skip.

    Raises:
        ParameterError: It has none.
    """
    trunk = trunk_of(backbone)
    blocks = [] if trunk is None else [block for block in trunk if is_residual(backbone, block)]
    if not blocks:
        raise ParameterError(
            f"sharing='adashare' skips residual blocks that keep the shape of features, and the backbone "
            f"{backbone.name!r} has none. Take one that has, such as resnet, vit or text-transformer."
        )
    chosen = {id(block) for block in blocks}
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in chosen:
                setattr(parent, name, Skippable(child, labels))


def trunk_of(backbone: Backbone) -> nn.ModuleList | None:
    """The layers that follow each other in `backbone`: of all lists of layers the one with the most parameters."""
    lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList) and len(module)]
    return max(lists, key=lambda each: sum(p.numel() for p in each.parameters()), default=None)


def is_residual(backbone: Backbone, block: nn.Module) -> bool:
    """True if `block` adds to its input, of which it keeps the shape, so that it can be skipped."""
    if isinstance(backbone, Pretrained):
        return True  # layers of transformers are
    stated = getattr(block, "residual", False)
    return bool(stated)


def units_of(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    """The units of `kind` in a network, from input to output."""
    return [module for module in network.modules() if isinstance(module, kind)]


def _copies(kind: type[PerLabel], layer: nn.Module, labels: int) -> PerLabel:
    return kind([layer, *(copy.deepcopy(layer) for _ in range(labels - 1))])


def _replace(parent: nn.Module, layers: set[int], unit: Any, labels: int) -> None:
    """Put units in the place of `layers` in `parent`, and copies in that of other modules with parameters."""
    for name, child in list(parent.named_children()):
        if id(child) in layers:
            setattr(parent, name, unit(child))
        elif any(id(module) in layers for module in child.modules()) or isinstance(child, nn.ModuleList):
            _replace(child, layers, unit, labels)
        elif next(child.parameters(), None) is not None:
            setattr(parent, name, _copies(PerLabel, child, labels))
