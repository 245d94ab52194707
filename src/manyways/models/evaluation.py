"""Evaluation: the scores of a model on some rows, and what each row contributes to one of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model.

    Attributes:
        scores: Scores by name.
        rows: Pseudo-values (`manyways.pseudo_values`) of each row of the source, or of each episode, for the metric
            that was asked for: their mean is its score; NaN for a row that is not scored. None where it has none.
    """

    scores: Mapping[str, float]
    rows: NDArray[np.float64] | None = None


def of_all_rows(values: NDArray[np.float64] | None, scored: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """`values` of the rows that are `scored`, as those of all rows: NaN for the others."""
    if values is None:
        return None
    rows = np.full(len(scored), np.nan)
    rows[scored] = values
    return rows
