"""The column of pictures in which a label of boxes or masks lies."""

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError


def picture_column(data: Data) -> Column:
    """The only image among the inputs of `data`.

    Raises:
        DataError: There is none, or several.
    """
    images = [column for column in data.inputs if column.kind == "image"]
    if len(images) != 1:
        raise DataError(
            f"Boxes and masks lie in one column of images; the inputs of {data.name} hold "
            f'{", ".join(column.name for column in images) or "none"}. Name the one that they lie in: input="…".'
        )
    return images[0]
