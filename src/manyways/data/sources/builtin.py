"""Small data sets that come with scikit-learn: something to try a method on without a download."""

from typing import Any

import numpy as np

from manyways.data.sources.base import Options, RawColumn, Table, table_of
from manyways.data.sources.objects import as_objects

ORDER = 50
BUILT_IN = ("digits", "breast-cancer", "wine", "diabetes")
"""digits: 1,797 grey images 8x8 of 10 digits; breast-cancer: 569 rows, 30 numbers, 2 classes; wine: 178 rows,
13 numbers, 3 classes; diabetes: 442 rows, 10 numbers, regression."""


def accepts(source: Any) -> bool:
    """The name of a built-in data set."""
    return isinstance(source, str) and source in BUILT_IN


def load(source: str, options: Options) -> Table:
    """The data set of that name, its label in the column `label`."""
    from sklearn import datasets

    if source == "digits":
        held = datasets.load_digits()
        images = np.round(held.images * (255 / 16)).astype(np.uint8)[:, None]
        return table_of([RawColumn("image", images, "image"), RawColumn("label", held.target)], source, source)
    held = getattr(datasets, f"load_{source.replace('-', '_')}")()
    columns = [
        RawColumn(str(name).replace(" ", "_"), held.data[:, at], "number") for at, name in enumerate(held.feature_names)
    ]
    classes = getattr(held, "target_names", None)
    label = held.target if classes is None else as_objects([str(classes[code]) for code in held.target])
    return table_of([*columns, RawColumn("label", label)], source, source)
