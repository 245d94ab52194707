"""Features that estimators read of rows: a table with its gaps and categories as they are, or a design matrix."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manyways.data.categories import places_in
from manyways.data.data import Data
from manyways.data.encoders.categories import CategoryCode
from manyways.data.encoders.series import SeriesEncoder
from manyways.data.encoders.table import NumberCode, TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.specs import AudioSpec, ImageSpec
from manyways.data.storage import chunks_of
from manyways.models.backbones.raw import plain_backbone
from manyways.models.estimators.base import Array, Matrix
from manyways.models.estimators.lags import few_lags, relative
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.data.encoders.base import Encoder

TOGETHER = 256
"""Pictures or sounds whose features are taken at a time."""


class RowFeatures(nn.Module):
    """Features [rows, width] of rows, by what was learned of the labelled training rows.

    A subclass has a `name`, found in `FEATURES`, and a `config` of JSON values that its constructor takes.
    """

    name: ClassVar[str]
    config: dict[str, Any]

    @abstractmethod
    def of(self, data: Data, encoding: InputEncoding) -> Matrix:
        """The features of the rows of `data`, whose columns `encoding` knows."""


FEATURES: Classes[RowFeatures] = Classes("estimator_features", RowFeatures, "manyways.models.estimators")
"""Every kind of features by its name: those of this folder, and of the group `manyways.estimator_features`."""


def numbers_of(code: NumberCode, data: Data) -> Array:
    """The numbers of a column, float64 [rows, numbers]; NaN where missing.

    Raises:
        DataError: One is infinite or no number, or a row has too many or too few.
    """
    return code.numbers(data.take(code.column))


def codes_of(code: CategoryCode, data: Data) -> NDArray[np.int64]:
    """The places of the categories of a column, int64 [rows]; -1 where training saw none such, or where missing."""
    return places_in(data.take(code.column), code.known)


def table_codes(encoder: "Encoder") -> Sequence[NumberCode | CategoryCode]:
    """The codes of the columns of a table; none for other inputs."""
    return encoder.codes if isinstance(encoder, TableEncoder) else ()


def decoded_features(name: str, data: Data, encoding: InputEncoding) -> Array:
    """Pixels of images or log-mel energies of sounds, float64 [rows, width]."""
    alone = InputEncoding({name: encoding.encoders[name]})
    rows, backbone = alone.encode(data), plain_backbone(alone.specs[name])
    out = np.empty((len(rows), backbone.width))
    with torch.inference_mode():
        for at in chunks_of(len(rows), TOGETHER):
            out[at] = backbone(rows.batch(at)[name]).numpy()
    return out


def category_codes_of(encoding: InputEncoding) -> list[CategoryCode]:
    """The columns of categories."""
    codes = [code for encoder in encoding.encoders.values() for code in table_codes(encoder)]
    return [code for code in codes if isinstance(code, CategoryCode)]


def numeric_features(data: Data, encoding: InputEncoding, *, few: bool = False) -> Array:
    """Numbers with their gaps, lags of series (all or `few`), pixels and log-mel energies, float64 [rows, numbers]."""
    parts = [np.empty((len(data), 0))]
    for name, encoder in encoding.encoders.items():
        parts += [numbers_of(code, data) for code in table_codes(encoder) if isinstance(code, NumberCode)]
        if isinstance(encoder, SeriesEncoder):
            windows = encoder.encode([data.columns[encoder.column]], data.rows)
            parts.append(few_lags(windows, encoder.reading.season) if few else relative(windows))
        if is_decoded(encoder):
            parts.append(decoded_features(name, data, encoding))
    return np.concatenate(parts, axis=1)


def is_decoded(encoder: "Encoder") -> bool:
    """True for an input of images or sounds."""
    return isinstance(encoder.spec, ImageSpec | AudioSpec)


class TableFeatures(RowFeatures):
    """Categories, then numbers as they are, NaN where missing or never seen; pixels and log-mel energies.

    A category is its code, or one-hot, all zeros where it is missing or was never seen.

    Args:
        one_hot: True for categories one-hot, False for codes.
        ranks: By column the number of the categories that training saw, where there were too many for one code each.
    """

    name = "table"

    def __init__(self, one_hot: bool, ranks: Mapping[str, int]) -> None:
        super().__init__()
        self.one_hot = one_hot
        self.config = {"one_hot": one_hot, "ranks": dict(ranks)}
        for at, (_, size) in enumerate(sorted(self.config["ranks"].items())):
            self.register_buffer(f"rank_{at}", torch.zeros(size, dtype=torch.int64))

    @staticmethod
    def fit(data: Data, encoding: InputEncoding, *, most: int, one_hot: bool) -> "tuple[TableFeatures, Array]":
        """The features of `data`, all of whose rows are learned from, and their matrix.

        Args:
            data: The rows.
            encoding: The encoding of their columns.
            most: Codes of a column of categories; where there are more, the rarest share the last one.
            one_hot: True for categories one-hot, False for codes.
        """
        many = {code.column: code for code in category_codes_of(encoding) if len(code.known) > most}
        features = TableFeatures(one_hot, {column: len(code.known) for column, code in many.items()})
        for column, code in many.items():
            counts = np.bincount(codes_of(code, data) + 1, minlength=1 + len(code.known))[1:]
            own = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
            ranks = np.full(len(code.known), most - 1)
            ranks[own] = np.arange(most - 1)
            features.get_buffer(features.ranks[column]).copy_(torch.from_numpy(ranks))
        return features, features.of(data, encoding)

    @property
    def ranks(self) -> dict[str, str]:
        """The buffer with the codes of the categories, in the order that the encoding has them, by column."""
        return {column: f"rank_{at}" for at, column in enumerate(sorted(self.config["ranks"]))}

    def of(self, data: Data, encoding: InputEncoding) -> Array:
        # Categories come first, as scikit-learn's histogram trees put them there, too.
        parts = [self._category(code, data) for code in category_codes_of(encoding)]
        parts.append(numeric_features(data, encoding, few=True))
        return np.concatenate(parts, axis=1)

    def _category(self, code: CategoryCode, data: Data) -> Array:
        places, buffer = codes_of(code, data), self.ranks.get(code.column)
        codes, width = places, len(code.known)
        if buffer is not None:
            ranks = self.get_buffer(buffer).numpy()
            codes, width = ranks[places], int(ranks.max()) + 1
        if not self.one_hot:
            return np.where(places < 0, np.nan, codes)[:, None]
        known = np.flatnonzero(places >= 0)
        out = np.zeros((len(places), width))
        out[known, codes[known]] = 1
        return out
