"""The kind of a column, told from its values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds.base import KINDS, Kind
from manyways.data.kinds.basic import CATEGORY, NUMBER
from manyways.data.notation import is_missing
from manyways.data.storage import Rows


def infer_kind(values: Rows) -> Kind:
    """The kind that `values` look like.

    Arrays of three or four axes are images. Floats, and integers with more than 2 values, are numbers. Strings are text
    where they have three words or more on average, categories otherwise.
    """
    return next((kind.name for kind in KINDS.all().values() if kind.fits(values)), CATEGORY.name)


def infer_label_kind(values: NDArray[Any]) -> Kind:
    """The kind that `values` look like as a label: a category, unless they are amounts.

    Numbers are classes where they are whole and few (`most_classes`), or 0 … K-1 or 1 … K with several rows each.
    """
    known = values[~is_missing(values)]
    if known.dtype.kind not in "iuf":
        return next((kind.name for kind in KINDS.all().values() if kind.fits_label(known)), CATEGORY.name)
    if not np.all(known == np.round(known)):
        return NUMBER.name
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) <= most_classes(len(known)):
        return CATEGORY.name
    counted = distinct[0] in (0, 1) and distinct[-1] - distinct[0] == len(distinct) - 1
    return CATEGORY.name if counted and counts.min() > 1 else NUMBER.name


def most_classes(count: int) -> int:
    """The number of different whole numbers in `count` rows up to which they are classes, whatever they are."""
    return max(20, min(100, count // 20))
