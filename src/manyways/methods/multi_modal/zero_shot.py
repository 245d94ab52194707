"""Zero-shot classification: classes told apart by their names alone."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.targets import ClassTarget
from manyways.methods.method import Ablations, Learned, Method
from manyways.models.dual_encoder import DualEncoder
from manyways.models.model import Model, of_kind
from manyways.models.sentence_encoder import SentenceEncoder
from manyways.models.zero_shot import LABEL, TEMPLATE, check_class_names
from manyways.training.budget import Budget
from manyways.training.run import Run

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, kw_only=True)
class ZeroShot(Method):
    """Tell classes apart by their names, with a model that pairs something with texts; no example is looked at.

    What a row is paired with is compared with the text that stands for each class; the budget is not used. In Python
    `model.classifier(classes)` does it.
    """

    classes: tuple[str, ...] = ()
    """Names of the classes; by default those of the data's label."""
    template: str = TEMPLATE
    """The text that stands for a class, with {} for its name; best is one like the texts that were learned from."""
    label: str = LABEL
    """The column that is predicted, where the classes are named."""

    needs: ClassVar = ()
    gives: ClassVar = frozenset({"classify", "embed"})
    takes: ClassVar = frozenset({"retrieve"})
    requires_model: ClassVar = True
    suggests: ClassVar = ()
    paper: ClassVar = "Radford et al., Learning transferable visual models from natural language supervision, ICML 2021"

    field_trials: ClassVar = {
        "classes": {"classes": ("one", "two")},
        "template": {"template": "a {}"},
        "label": {"label": "says"},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_class_names(self.classes or None, self.template, "ZeroShot")

    @classmethod
    def example_data(cls) -> Data:
        """Digits, each with its name as a text and as its label."""
        data = super().example_data()
        words = np.array([WORDS[digit] for digit in data.label.take(np.arange(len(data.part)))], object)
        columns = [data.columns["image"], Column("says", "text", words), Column("label", "category", words)]
        return Data.from_columns(columns, {"input": ["image", "says"], "label": ["label"]}, name=data.name)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """The ten digits by their names."""
        return cls(classes=WORDS, template="{}")

    def ablations(self, data: Data) -> Ablations:
        return {"the order of its names": (replace(self, classes=self.classes[::-1]), data)}

    def lacks_of(self, data: Data) -> str | None:
        if self.classes or (len(data.labels) == 1 and data.classification):
            return super().lacks_of(data)
        return (
            "classes are needed, and the data has no label that is a category. Name them: "
            'zero-shot(classes=("cat", "dog")).'
        )

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if isinstance(model, DualEncoder) and model.text_input is None:
            return (
                f"it names classes in words, and {model.lineage.title} pairs {' with '.join(model.names)}, neither of "
                "which is text. Train one on texts: clip >> zero-shot."
            )
        return None

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        start = model if isinstance(model, SentenceEncoder) else of_kind(DualEncoder, model)
        target = ClassTarget(self.label, self.classes) if self.classes else ClassTarget(data.label.name, data.classes)
        nothing: NDArray[np.bool_] = np.zeros(len(data), bool)  # names were looked at, and no row
        return Learned(start.comparing(target, self.template), nothing, (start,))
