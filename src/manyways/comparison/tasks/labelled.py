"""Tasks of predicting labels."""

from collections.abc import Mapping, Sequence

import numpy as np

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.comparison.label_curve_notes import LabelCurveNotes
from manyways.comparison.results import Best, Entry
from manyways.comparison.showcase import showcase
from manyways.comparison.tasks.base import TEST_ROWS, Task
from manyways.comparison.wording import metric_words
from manyways.data.data import Data
from manyways.data.targets import TARGETS, Target, kind_of
from manyways.methods.online.no_change import NoChange
from manyways.metrics import is_fraction, plain_metric
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.models.networks import sharing_of

MAJORITY = "majority"
CONSTANTS = {"softmax": "majority class", "sigmoid": "shares of the classes", "identity": "mean"}
"""The title of what predicts the same for every row, by the activation of the outputs."""
ROWS = 2000
"""Models on the way of active learning are scored on at most so many test rows."""
RARE = 0.4
"""Of an even share of the rows, below which a class is rare: of two classes 20% of all rows, of ten 4%."""


class OneLabel(Task):
    """Predicting one label of a kind: there is such a task for every kind of label."""

    labelled = True
    units = TEST_ROWS

    def __init__(self, kind: type[Target]) -> None:
        self.kind = kind
        self.name, self.metrics, self.precedence = kind.task, kind.metrics, 60
        self.gives = frozenset({kind.gives})

    def applies(self, data: Data) -> bool:
        return len(data.labels) == 1 and bool(data.inputs) and data.label.kind == self.kind.column_kind

    def references(self, data: Data) -> Mapping[str, str]:
        if self.kind.structured:
            return self.kind.references
        lines = {MAJORITY: CONSTANTS[self.kind.activation]}
        streamed = data.has("time") and self.kind.gives in NoChange.gives
        return {**lines, NoChange.method_name(): "last label"} if streamed else lines

    def fairer(self, data: Data) -> tuple[str, str] | None:
        """The metric that suits the labels: balanced accuracy, where a class has less than `RARE` of an even share."""
        if self.kind.structured:
            return self.kind.metric_for(data) if data.training.labelled.any() else None
        if not data.classification or "balanced_accuracy" not in self.metrics:
            return None
        known = data.select(data.known)
        classes, counts = np.unique(known.take(data.label.name).astype(str), return_counts=True)
        rarest, share = classes[counts.argmin()], counts.min() / counts.sum()
        if share * len(classes) >= RARE:
            return None
        others = "the other" if len(classes) == 2 else "frequent ones"
        return "balanced_accuracy", (
            f"Scored by balanced accuracy, in which every class counts the same: {share:.1%} of the rows are of the "
            f"class {str(rarest)!r}, and accuracy rewards predicting {others} alone. To score by it all the same: "
            "--metric accuracy."
        )

    def watch(self, data: Data) -> LabelCurveNotes:
        return LabelCurveNotes(lambda model: self.score(model, data, ROWS).get(self.metrics[0]))

    def closely(self, name: str, model: Model, test: Data) -> Best:
        return showcase(name, model, test)


class SeveralLabels(Task):
    """Predicting several labels of a row at once."""

    name = "several labels"
    precedence = 10
    gives = frozenset({"labels"})
    metrics = ("mean_score",)
    several_labels = True
    units = TEST_ROWS

    def applies(self, data: Data) -> bool:
        return len(data.labels) > 1 and bool(data.inputs)

    def references(self, data: Data) -> Mapping[str, str]:
        structured = any(kind_of(data.with_label(label.name)).structured for label in data.labels)
        return {} if structured else {MAJORITY: "majority classes and means"}

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        """The parts of the network that each label uses, where they share some of it."""
        sharing = sharing_of(model.network) if isinstance(model, LabelsPredictor) else None
        if sharing is None:
            return ()
        skips = sharing.kind == "adashare"
        matrix = Matrix(sharing.labels, sharing.blocks, sharing.values, "label", "block" if skips else "layer", True)
        note = (
            "The residual blocks that each label passes through (100%) or skips (0%), from input to output."
            if skips
            else "The part of its own features in what each label goes on with after each layer; the rest is of others."
        )
        return (Exhibit("Who shares what", note, matrix=matrix),)

    def learned_from(self, data: Data, visible: Data) -> str:
        return f"{int(visible.training.labelled.sum()):,} rows of {len(data.labels)} labels"

    def overview(self, entries: Sequence[Entry]) -> tuple[Exhibit, ...]:
        """The usual score of every label, way by way."""
        scored = sorted((entry for entry in entries if entry.scored), key=lambda entry: -(entry.score or 0.0))
        usual = [kind.metrics[0] for kind in TARGETS.all().values()]
        names = [name for entry in entries if entry.scored for name in entry.metrics if " of " in name]
        columns = tuple(dict.fromkeys(name for name in names if plain_metric(name) in usual))
        if not columns:
            return ()
        values = tuple(tuple(entry.metrics.get(name) for name in columns) for entry in scored)
        metrics = {plain_metric(name) for name in columns}
        percent = all(map(is_fraction, metrics))
        titles = tuple(name.partition(" of ")[2] if len(metrics) == 1 else name for name in columns)
        matrix = Matrix(tuple(entry.title for entry in scored), titles, values, "way of learning", "label", percent)
        shared = metric_words(metrics.pop()).capitalize() if len(metrics) == 1 else "The usual score"
        note = f"{shared} of each label on the test rows that have it."
        return (Exhibit("Label by label", note, matrix=matrix),)
