"""TF-IDF of the words and the characters of a text, sparse (Spärck Jones 1972)."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from manyways.errors import ModelError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

Analyzer = Literal["word", "char_wb"]
BETWEEN = "\n"
"""Stands between terms where they are written; no term holds it, as words and characters within them have no lines."""


class TermWeights(nn.Module):
    """The terms of a kind that training rows hold, and their inverse document frequencies.

    Attributes:
        terms: All terms as UTF-8, with line ends between them, uint8 [bytes].
        idf: float64 [terms].
    """

    terms: Tensor
    idf: Tensor

    def __init__(self, analyzer: Analyzer, shortest: int, longest: int, terms: int, size: int, counts: bool) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "analyzer": analyzer, "shortest": shortest, "longest": longest, "terms": terms, "size": size,
            "counts": counts,
        }  # fmt: skip
        self.counts = counts
        self.register_buffer("terms", torch.zeros(size, dtype=torch.uint8))
        self.register_buffer("idf", torch.zeros(terms, dtype=torch.float64))

    @staticmethod
    def fit(
        texts: Sequence[str], analyzer: Analyzer, shortest: int, longest: int, *, counts: bool
    ) -> "tuple[TermWeights, csr_matrix]":
        """The terms of `texts` and what they are as TF-IDF; `counts` counts them in place of that."""
        vectorizer = _vectorizer(analyzer, shortest, longest, counts)
        try:
            features = vectorizer.fit_transform(texts)
        except ValueError:  # there are no words in them: the vocabulary is empty
            return TermWeights(analyzer, shortest, longest, 0, 0, counts), _empty(len(texts))
        written = BETWEEN.join(vectorizer.get_feature_names_out()).encode("utf-8", "surrogatepass")
        weights = TermWeights(analyzer, shortest, longest, features.shape[1], len(written), counts)
        weights.terms.copy_(torch.frombuffer(bytearray(written), dtype=torch.uint8))
        if not counts:
            weights.idf.copy_(torch.from_numpy(vectorizer.idf_))
        return weights, features

    @property
    def width(self) -> int:
        """Terms."""
        return len(self.idf)

    @cached_property
    def _fitted(self) -> "TfidfVectorizer":
        config = self.config
        vectorizer = _vectorizer(config["analyzer"], config["shortest"], config["longest"], self.counts)
        terms = bytes(self.terms.numpy()).decode("utf-8", "surrogatepass").split(BETWEEN)
        if len(set(terms)) != self.width:
            raise ModelError(f"The model has weights for {self.width:,} terms and names {len(terms):,}; it is damaged.")
        vectorizer.set_params(vocabulary={term: at for at, term in enumerate(terms)})
        if not self.counts:
            vectorizer.idf_ = self.idf.numpy()
        return vectorizer

    def of(self, texts: Sequence[str]) -> "csr_matrix":
        """`texts` as TF-IDF, each of length 1, or as counts; float64 [texts, terms]."""
        return self._fitted.transform(texts) if self.width else _empty(len(texts))

    def __deepcopy__(self, memo: dict[int, Any]) -> "TermWeights":
        copy = TermWeights(**self.config)
        copy.load_state_dict(self.state_dict())
        return copy


def _vectorizer(analyzer: Analyzer, shortest: int, longest: int, counts: bool) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer

    plain: dict[str, Any] = {"use_idf": False, "norm": None} if counts else {"sublinear_tf": True}
    return TfidfVectorizer(analyzer=analyzer, ngram_range=(shortest, longest), **plain)


def _empty(rows: int) -> "csr_matrix":
    from scipy.sparse import csr_matrix

    return csr_matrix((rows, 0), dtype=np.float64)
