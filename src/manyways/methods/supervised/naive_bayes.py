"""Naive Bayes: each class by its own distribution of every feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import Spec, TableSpec, TextSpec
from manyways.data.targets import Target
from manyways.methods.bases.closed_form import OUTLIERS, ClosedFormHead
from manyways.methods.bases.estimator import Fitting
from manyways.methods.bases.texts_in_closed_form import TextsInClosedForm
from manyways.methods.fields import Positive
from manyways.methods.needs import Classes, Input
from manyways.methods.recommendations import Recommendation
from manyways.methods.supervised._bayes_of_texts import bayes_head
from manyways.models.backbones.raw import plain_backbone
from manyways.models.estimators.base import Matrix
from manyways.models.estimators.bayes import BayesHead
from manyways.models.estimators.design import DesignFeatures
from manyways.models.estimators.features import RowFeatures, category_codes_of
from manyways.models.moments import Moments

Part = tuple[str, int, int]
"""gaussian, multinomial or categorical, and the features [from, to) that are so distributed."""

NUMBERS_AT_ONCE = 1 << 18
UNSEEN = 30.0
"""By how much, in nats, a class without any row is less probable than the least probable of the others."""


class NaiveBayesHead(ClosedFormHead):
    """log p(class) + Σ log p(feature | class), and the counts and sums that say it.

    moments: of each class. log_prior [outputs]; for Gaussian features mean and variance [outputs, width]; for counted
    ones weights [outputs, width], the log-probability of a word or a category; all float64.
    """

    name = "naive-bayes"
    log_prior: Tensor
    mean: Tensor
    variance: Tensor
    weights: Tensor

    def __init__(
        self, width: int, outputs: int, parts: Sequence[Sequence[str | int]], smoothing: float,
        variance_smoothing: float, balanced: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.parts: list[Part] = [(str(kind), int(start), int(stop)) for kind, start, stop in parts]
        self.config = {
            "width": width, "outputs": outputs, "parts": [list(part) for part in self.parts], "smoothing": smoothing,
            "variance_smoothing": variance_smoothing, "balanced": balanced,
        }  # fmt: skip
        self.width, self.outputs = width, outputs
        self.smoothing, self.variance_smoothing, self.balanced = smoothing, variance_smoothing, balanced
        self.moments = Moments(outputs, width)
        self.register_buffer("log_prior", torch.zeros(outputs, dtype=torch.float64))
        for name in ("mean", "variance", "weights"):
            self.register_buffer(name, torch.zeros(outputs, width, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        values = features.double()
        log_joint = values @ self.weights.T + self.log_prior
        for start, stop in self._of("gaussian"):
            some, mean, variance = values[:, start:stop], self.mean[:, start:stop], self.variance[:, start:stop]
            size = max(1, NUMBERS_AT_ONCE // max(1, some.numel()))  # [rows, classes, width] at once would be large
            for codes in torch.split(torch.arange(self.outputs), size):
                apart = (some[:, None] - mean[codes]).square_().div_(variance[codes])
                log_joint[:, codes] -= 0.5 * apart.sum(2)
            log_joint = log_joint - 0.5 * (2 * torch.pi * variance).log().sum(1)
        seen = self.moments.count > 0
        least = log_joint[:, seen].amin(1, keepdim=True)
        return torch.where(seen, log_joint, least - UNSEEN)

    def add(self, features: Tensor, labels: Tensor) -> None:
        self.moments.move(features, labels, 1)

    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> "NaiveBayesHead":
        self.moments.move(features, labels, -1)
        return self

    def select(self, kept: Tensor) -> "NaiveBayesHead":
        parts, place = [], 0
        for kind, start, stop in self.parts:
            size = int(((kept >= start) & (kept < stop)).sum())
            parts.append((kind, place, place + size))
            place += size
        head = NaiveBayesHead(len(kept), self.outputs, parts, self.smoothing, self.variance_smoothing, self.balanced)
        head.moments = self.moments.select(kept)
        return head

    def doubt(self) -> str | None:
        return OUTLIERS if self.moments.lost else None

    def solve(self, target: Target) -> None:
        count = self.moments.count.double()
        present = (count > 0).double() if self.balanced else count
        self.log_prior.copy_(torch.where(count > 0, (present / present.sum()).log(), 0.0))
        self.mean.zero_()
        self.variance.fill_(1.0)
        self.weights.zero_()
        gaussian = self._of("gaussian")
        everyone = self.moments.together().variance()[0]
        largest = max((float(everyone[start:stop].amax()) for start, stop in gaussian if stop > start), default=0.0)
        floor = self.variance_smoothing * (largest or 1.0)
        for start, stop in gaussian:
            self.mean[:, start:stop] = self.moments.mean()[:, start:stop]
            self.variance[:, start:stop] = self.moments.variance()[:, start:stop] + floor
        for start, stop in [*self._of("multinomial"), *self._of("categorical")]:
            counted = self.moments.sums[0, :, start:stop] + self.smoothing
            self.weights[:, start:stop] = (counted / counted.sum(1, keepdim=True)).log()

    def _of(self, kind: str) -> list[tuple[int, int]]:
        return [(start, stop) for each, start, stop in self.parts if each == kind]


@dataclass(frozen=True, kw_only=True)
class NaiveBayes(TextsInClosedForm):
    """Tell classes apart by how often each has every value, as if features did not depend on each other.

    Numbers, pixels, sound and the features of a model are Gaussian, the terms of texts multinomial, weighed by their
    sparse TF-IDF (words and characters, as `Linear` has it), categories categorical; of several inputs the
    log-probabilities add up. A class without labels is never predicted.
    """

    smoothing: Positive = 1.0
    """Rows that every word and category is credited with (Laplace); scikit-learn's alpha."""
    variance_smoothing: Positive = 1e-9
    """Share of the largest variance that is added to all."""
    class_weight: Literal["balanced"] | None = None
    """Prior of the classes; balanced: each as probable as any other. None: as frequent as among the labels."""

    counts_words: ClassVar = True
    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify", "embed"})
    recommends: ClassVar = {
        "text": Recommendation("counts of words, in a moment: hard to beat with very few labels", 14),
        "image": Recommendation("one pass over the rows: a floor that others should be above", 70),
        "any": Recommendation("one pass over the rows, in a moment", 44),
    }
    paper: ClassVar = (
        "Duda & Hart, Pattern classification and scene analysis (1973); McCallum & Nigam, A comparison of event models "
        "for naive Bayes text classification, AAAI workshop 1998"
    )

    field_trials: ClassVar = {"smoothing": "Words and categories are smoothed, and a trial has pixels."}

    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> NaiveBayesHead:
        parts = [("gaussian", 0, width)] if specs is None else _parts(specs)
        balanced = self.class_weight == "balanced"
        return NaiveBayesHead(width, target.width, parts, self.smoothing, self.variance_smoothing, balanced)

    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        return DesignFeatures.fit(data, encoding, standardise=False)

    def head_of(self, fitting: Fitting) -> BayesHead:
        sizes = [len(code.known) for code in category_codes_of(fitting.encoding)]
        return bayes_head(
            fitting, sizes, self.smoothing, self.variance_smoothing, balanced=self.class_weight is not None
        )


def _parts(specs: Mapping[str, Spec]) -> list[Part]:
    """The distributions of the raw features of inputs like `specs`."""
    parts: list[Part] = []
    place = 0
    for spec in specs.values():
        if isinstance(spec, TableSpec):
            for at, (start, stop) in enumerate(spec.groups):
                kind = "gaussian" if at in spec.numeric else "categorical"
                parts.append((kind, place + start, place + stop))
            place += spec.width
        else:
            width = plain_backbone(spec, counts=True).width
            parts.append(("multinomial" if isinstance(spec, TextSpec) else "gaussian", place, place + width))
            place += width
    return _joined(parts)


def _joined(parts: list[Part]) -> list[Part]:
    """Gaussian features side by side as one part; each column of categories is a distribution of its own."""
    joined: list[Part] = []
    for kind, start, stop in parts:
        if joined and kind == joined[-1][0] == "gaussian" and joined[-1][2] == start:
            joined[-1] = (kind, joined[-1][1], stop)
        else:
            joined.append((kind, start, stop))
    return joined
