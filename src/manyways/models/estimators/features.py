"""Features that estimators read of rows: a table with its gaps and categories as they are, or a design matrix."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.categories import places_in
from manyways.data.data import Data
from manyways.data.encoders.categories import CategoryCode
from manyways.data.encoders.table import NumberCode, TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.specs import AudioSpec, ImageSpec
from manyways.data.storage import chunks_of
from manyways.models.backbones.raw import plain_backbone
from manyways.models.estimators.base import Array, Matrix
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


def numeric_features(data: Data, encoding: InputEncoding) -> Array:
    """Numbers with their gaps, pixels and log-mel energies, float64 [rows, numbers]."""
    parts = [np.empty((len(data), 0))]
    for name, encoder in encoding.encoders.items():
        parts += [numbers_of(code, data) for code in table_codes(encoder) if isinstance(code, NumberCode)]
        if is_decoded(encoder):
            parts.append(decoded_features(name, data, encoding))
    return np.concatenate(parts, axis=1)


def is_decoded(encoder: "Encoder") -> bool:
    """True for an input of images or sounds."""
    return isinstance(encoder.spec, ImageSpec | AudioSpec)


class OrdinalFeatures(RowFeatures):
    """Categories as codes, then numbers as they are, NaN where missing or never seen; pixels and log-mel energies.

    ranks: by column of categories the code of each that training saw, where there were too many for one of each.
    """

    name = "ordinal"

    def __init__(self, ranks: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.config = {"ranks": dict(ranks or {})}
        for at, (_, size) in enumerate(sorted(self.config["ranks"].items())):
            self.register_buffer(f"rank_{at}", torch.zeros(size, dtype=torch.int64))

    @staticmethod
    def fit(data: Data, encoding: InputEncoding, most: int | None = None) -> "tuple[OrdinalFeatures, Array]":
        """The features of `data`, all of whose rows are learned from, and their matrix.

        most: codes of a column of categories; where there are more, the rarest share the last one.
        """
        codes = category_codes_of(encoding)
        many = {code.column: code for code in codes if most is not None and len(code.known) > most}
        features = OrdinalFeatures({column: len(code.known) for column, code in many.items()})
        for column, code in many.items():
            assert most is not None
            counts = np.bincount(codes_of(code, data) + 1, minlength=1 + len(code.known))[1:]
            own = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
            ranks = np.full(len(code.known), most - 1)
            ranks[own] = np.arange(most - 1)
            found = features.rank(column)
            assert found is not None
            found.copy_(torch.from_numpy(ranks))
        return features, features.of(data, encoding)

    def rank(self, column: str) -> Tensor | None:
        """The codes of the categories of a column in the order that the encoding has them; None: as they stand."""
        names = sorted(self.config["ranks"])
        return self.get_buffer(f"rank_{names.index(column)}") if column in names else None

    def of(self, data: Data, encoding: InputEncoding) -> Array:
        # Categories come first, as scikit-learn's histogram trees put them there, too.
        parts = [self._category(code, data) for code in category_codes_of(encoding)]
        parts.append(numeric_features(data, encoding))
        return np.concatenate(parts, axis=1)

    def _category(self, code: CategoryCode, data: Data) -> Array:
        places, rank = codes_of(code, data), self.rank(code.column)
        codes = places if rank is None else rank.numpy()[places]
        return np.where(places < 0, np.nan, codes)[:, None]
