"""Sample weights: how much each row counts in what is learned."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manyways.data.notation import as_numbers
from manyways.data.phrases import count_of, listed
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data


def weights_of(data: "Data") -> NDArray[np.float64]:
    """The sample weights of the rows of `data`, float64 [rows], in the column of the role weight.

    Raises DataError for one that is missing, infinite or below 0, and where all are 0.
    """
    (name,) = data.roles["weight"]
    values = data.take(name)
    weights, odd = (values.astype(np.float64), np.empty(0, int)) if values.dtype.kind in "iuf" else as_numbers(values)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    wrong[odd] = True
    if wrong.any():
        rows = data.source_rows[wrong]
        raise DataError(
            f"The weight {name!r} must be a number of 0 or more in every row; {count_of(len(rows), 'row')} of "
            f"{data.name} {'has' if len(rows) == 1 else 'have'} none ({listed(rows)}; rows count from 0). Give each "
            "row a weight, or leave those rows out."
        )
    if len(weights) and not weights.any():
        raise DataError(f"The weight {name!r} is 0 in all rows of {data.name}, so none counts. Weigh some above 0.")
    return weights
