"""A multi-layer perceptron for tables."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import Spec, TableSpec
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, of_whole


class Perceptron(Backbone):
    """Linear layers, ReLU and dropout over a table row [B, inputs], one layer per entry of `widths`."""

    name: ClassVar[str] = "perceptron"
    kinds: ClassVar[tuple[str, ...]] = ("table",)

    def __init__(self, inputs: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__(widths[-1], inputs=inputs, widths=list(widths), dropout=dropout)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in pairwise([inputs, *widths])
        )

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        table = require_kind(spec, TableSpec, cls.name)
        width = scaled_width(128, size)
        return {"name": cls.name, "inputs": table.width, "widths": [width, width], "dropout": 0.1}

    def tokens(self, x: Tensor) -> Tokens:
        hidden = x
        for layer in self.layers:
            hidden = layer(hidden)
        return of_whole(hidden)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(layer) for layer in self.layers]
