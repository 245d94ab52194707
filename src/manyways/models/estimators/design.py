"""The design matrix of linear models, kernels and neighbours: numbers, categories one-hot, and texts as TF-IDF."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoders.base import Encoder
from manyways.data.encoders.categories import CategoryCode
from manyways.data.encoders.hashed_text import texts_of
from manyways.data.encoding import InputEncoding
from manyways.data.specs import TextSpec
from manyways.models.estimators.base import Array, Matrix, put
from manyways.models.estimators.features import (
    RowFeatures,
    category_codes_of,
    codes_of,
    numeric_features,
)
from manyways.models.estimators.tfidf import Analyzer, TermWeights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TERMS: tuple[tuple[Analyzer, int, int], ...] = (("word", 1, 2), ("char_wb", 2, 5))
"""Terms of a text: runs of so many words, and of so many characters within words."""
COUNTED: tuple[tuple[Analyzer, int, int], ...] = (("word", 1, 2),)
MANY = 256
"""Categories from which on the matrix is sparse."""


class DesignFeatures(RowFeatures):
    """Standardised numbers, pixels and log-mel energies, categories one-hot, and texts as TF-IDF; sparse with texts.

    A missing number is the median, a missing category none, and so is one that was never seen.

    Attributes:
        middle: The median of each number, float64 [numbers].
        mean, scale: What is taken from it and what it is divided by, float64 [numbers].
    """

    name = "design"
    middle: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, numbers: int, sparse: bool, texts: Mapping[str, Sequence[TermWeights | dict[str, Any]]]) -> None:
        super().__init__()
        weights = {
            column: [each if isinstance(each, TermWeights) else TermWeights(**each) for each in terms]
            for column, terms in texts.items()
        }
        self.sparse = sparse
        self.config = {
            "numbers": numbers, "sparse": sparse,
            "texts": {column: [each.config for each in terms] for column, terms in weights.items()},
        }  # fmt: skip
        # A column may have any name, and the name of a module no dot.
        self.columns = tuple(weights)
        self.terms = nn.ModuleList([nn.ModuleList(terms) for terms in weights.values()])
        self.register_buffer("middle", torch.zeros(numbers, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(numbers, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(numbers, dtype=torch.float64))

    @property
    def _terms_by_column(self) -> dict[str, list[TermWeights]]:
        modules = [each for each in self.modules() if isinstance(each, TermWeights)]
        sizes = [len(terms) for terms in self.config["texts"].values()]
        ends = np.cumsum(sizes).tolist()
        return {column: modules[end - size : end] for column, size, end in zip(self.columns, sizes, ends, strict=True)}

    @staticmethod
    def fit(
        data: Data, encoding: InputEncoding, *, standardise: bool = True, counts: bool = False
    ) -> "tuple[DesignFeatures, Matrix]":
        """The features of `data`, all of whose rows are learned from, and their matrix.

        Args:
            data: The rows.
            encoding: The encoding of their columns.
            standardise: False to leave numbers as they are.
            counts: True to count words in texts in place of TF-IDF.
        """
        from sklearn.preprocessing import StandardScaler

        texts: dict[str, list[TermWeights]] = {}
        blocks: list[csr_matrix] = []
        for encoder in _texts(encoding):
            (column,) = encoder.columns
            texts[column] = []
            for analyzer, shortest, longest in COUNTED if counts else TERMS:
                held = texts_of(data.columns[column], data.rows)
                weights, block = TermWeights.fit(held, analyzer, shortest, longest, counts=counts)
                texts[column].append(weights)
                blocks.append(block)
        numbers = numeric_features(data, encoding)
        known = np.isfinite(numbers).any(axis=0)
        middle = np.zeros(numbers.shape[1])
        middle[known] = np.nanmedian(numbers[:, known], axis=0)
        categories = sum(len(code.known) for code in category_codes_of(encoding))
        features = DesignFeatures(numbers.shape[1], bool(blocks) or categories > MANY, texts)
        put(features, middle=middle)
        if standardise and numbers.shape[1]:
            scaler = StandardScaler().fit(np.where(np.isnan(numbers), middle, numbers))
            put(features, mean=scaler.mean_, scale=scaler.scale_)
        return features, features._joined(data, encoding, numbers, blocks)

    def of(self, data: Data, encoding: InputEncoding) -> Matrix:
        blocks = []
        for column, terms in self._terms_by_column.items():
            held = texts_of(data.columns[column], data.rows)
            blocks += [each.of(held) for each in terms]
        return self._joined(data, encoding, numeric_features(data, encoding), blocks)

    def _joined(self, data: Data, encoding: InputEncoding, numbers: Array, blocks: "list[csr_matrix]") -> Matrix:
        scaled = np.where(np.isnan(numbers), self.middle.numpy(), numbers)
        scaled -= self.mean.numpy()
        scaled /= self.scale.numpy()
        categories = [_one_hot(code, data) for code in category_codes_of(encoding)]
        if not self.sparse:
            return np.hstack([scaled, *(block.toarray() for block in categories)])
        from scipy.sparse import csr_matrix, hstack

        left = [csr_matrix(scaled)] if scaled.shape[1] else []
        return csr_matrix(hstack([*left, *categories, *blocks], format="csr"))


def _texts(encoding: InputEncoding) -> list[Encoder]:
    return [encoder for encoder in encoding.encoders.values() if isinstance(encoder.spec, TextSpec)]


def _one_hot(code: CategoryCode, data: Data) -> "csr_matrix":
    from scipy.sparse import csr_matrix

    places = codes_of(code, data)
    known = np.flatnonzero(places >= 0)
    return csr_matrix((np.ones(len(known)), (known, places[known])), shape=(len(places), len(code.known)))
