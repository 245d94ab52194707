"""The head of forecasts: from tokens of series to quantiles of the next values."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from manyways.data.targets.forecast import ForecastOutputs, ForecastTarget
from manyways.errors import DataError, ModelError
from manyways.models.backbones.patch_transformer import PatchTransformer, SeriesTokens
from manyways.models.heads import StructuredHead

if TYPE_CHECKING:
    from manyways.data.targets.base import Outputs
    from manyways.data.targets.structured import StructuredTarget
    from manyways.models.backbones.tokens import Tokens
    from manyways.models.network import Network


class ForecastHead(StructuredHead):
    """An affine map of all patches of a series to the next values, and of what runs beside it to corrections of these.

    The middle quantile is predicted, and how far each further one lies from that before it, so that they never cross.
    """

    name = "forecast"

    def __init__(
        self, series: str, patches: int, dimension: int, beside: int, horizon: int, quantiles: Sequence[float],
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = {
            "series": series, "patches": patches, "dimension": dimension, "beside": beside, "horizon": horizon,
            "quantiles": list(quantiles), "dropout": dropout,
        }  # fmt: skip
        self.series, self.horizon, self.quantiles = series, horizon, tuple(quantiles)
        self.width = dimension + beside
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(patches * dimension, horizon * len(quantiles))
        # What runs beside a series is heeded only as far as it has shown to help.
        self.beside = nn.Linear(dimension + beside, horizon * len(quantiles), bias=False)
        nn.init.zeros_(self.beside.weight)

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        parts = dict(zip(network.names, network.parts, strict=True))
        name = next((name for name, part in parts.items() if isinstance(part, PatchTransformer)), None)
        if name is None or not isinstance(target, ForecastTarget):
            raise DataError(
                "A forecast is made from the history of a series by the backbone patch-transformer; read the table "
                "with horizon=…, and leave backbone at auto."
            )
        part = parts[name]
        assert isinstance(part, PatchTransformer)
        beside = sum(each.token_width for other, each in parts.items() if other != name)
        return cls(name, part.patches, part.width, beside, target.horizon, target.quantiles, 0.1)

    def from_tokens(self, tokens: "Mapping[str, Tokens]") -> "Outputs":
        series = tokens[self.series]
        if not isinstance(series, SeriesTokens):
            raise ModelError(f"The head {self.name!r} reads patches of series, which {self.series!r} has none of.")
        rest = [series.others, *(each.mean() for name, each in tokens.items() if name != self.series)]
        flat = self.linear(self.dropout(series.of_first.flatten(1))) + self.beside(torch.cat(rest, dim=1))
        values = _in_order(flat.float().unflatten(1, (self.horizon, -1)), len(self.quantiles) // 2)
        return ForecastOutputs(values, series.level[:, 0], series.spread[:, 0])


def _in_order(raw: Tensor, middle: int) -> Tensor:
    """Increasing quantiles [..., quantiles]: the `middle` one, and the logs of the distances of the others, roughly."""
    steps = softplus(raw)
    centre = raw[..., middle]
    above = list(accumulate(steps[..., middle + 1 :].unbind(-1), lambda at, step: at + step, initial=centre))
    below = list(accumulate(steps[..., :middle].unbind(-1)[::-1], lambda at, step: at - step, initial=centre))
    return torch.stack([*below[:0:-1], *above], dim=-1)
