"""Ensembles of decision trees of scikit-learn, over tables with their gaps and categories as they are."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.methods.bases.estimator import EstimatorMethod
from manyways.models.estimators.base import Matrix
from manyways.models.estimators.features import RowFeatures, TableFeatures

MOST_CATEGORIES = 255
"""Categories of a column that are told apart; where there are more, the rarest are one."""


@dataclass(frozen=True, kw_only=True)
class TreeMethod(EstimatorMethod):
    """A method that fits decision trees: numbers and categories need no scaling, and may be missing."""

    one_hot: ClassVar[bool] = False
    """True if each category is a feature of its own, which is 0 or 1; False if a split chooses a set of them."""

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        texts = [column.name for column in data.inputs if column.kind == "text"]
        if not texts:
            return None
        others = [column.name for column in data.inputs if column.kind != "text"]
        name_others = f", or name the other inputs: input={tuple(others)!r}" if others else ""
        return (
            f"its trees split numbers and categories, and {texts[0]!r} is text. From text learns linear{name_others}."
        )

    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        return TableFeatures.fit(data, encoding, most=MOST_CATEGORIES, one_hot=self.one_hot)
