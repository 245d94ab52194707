"""Results of a comparison: plain records that travel as JSON (docs/results.md describes the schema)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from manyways.checked_json import read
from manyways.comparison.exhibits import Exhibit, Kind, check_payload
from manyways.comparison.records import Record
from manyways.errors import DataError
from manyways.metrics import bounds, is_fraction
from manyways.whole import write_whole

SCHEMA = 2
READABLE = (1, 2)
"""Versions that are read. Intervals of version 1 are over seeds alone, as `interval_over` of what lacks it says."""
MOST_BYTES = 1 << 30
"""Of a file of results: pictures and sounds are in it."""
SCATTER_LIMIT = 500


def within(metric: str, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """The ends of an interval, as far as `metric` can be so low and so high."""
    least, most = bounds(metric)
    lower = low if low is None or least is None else max(low, least)
    return lower, high if high is None or most is None else min(high, most)


@dataclass(frozen=True)
class InputColumn(Record):
    """One input of the data: its column name, kind ("image", "table", "text", "audio") and a detail."""

    name: str
    kind: str
    detail: str = ""


@dataclass(frozen=True)
class DataSummary(Record):
    """The data that was compared on.

    Attributes:
        name: Name of the data.
        source: Place that they were read from.
        fingerprint: Hash of the rows, their roles, parts and visible labels.
        rows: Number of rows.
        training_rows: Number of training rows.
        test_rows: Number of test rows.
        labels_shown: Number of training labels that were used; 0 where no single label is to be predicted.
        labels_known: Number of training labels that there are; 0 likewise.
        label: Label column; empty likewise.
        task: Task, one of `manyways.comparison.tasks`.
        classes: Classes, where the label has some.
        inputs: Inputs.
        learned_from: Training examples in words ("632 pairs").
        scored_on: Test examples in words ("360 test rows").
    """

    name: str
    source: str
    fingerprint: str
    rows: int
    training_rows: int
    test_rows: int
    labels_shown: int
    labels_known: int
    label: str
    task: str
    classes: tuple[str, ...] | None = None
    inputs: tuple[InputColumn, ...] = ()
    learned_from: str = ""
    scored_on: str = ""


@dataclass(frozen=True)
class Machine(Record):
    """The machine it ran on: processor cores, threads that each run used, and versions."""

    cores: int
    threads: int
    python: str
    torch: str
    platform: str


@dataclass(frozen=True)
class CurvePoint(Record):
    """The test score after `step` steps and `seconds` of training: mean over seeds and its interval over them alone."""

    step: int
    seconds: float | None
    score: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LabelPoint(Record):
    """The test score of plain supervision with `labels` labels: mean over seeds, its interval, one per seed."""

    labels: int
    score: float | None
    low: float | None = None
    high: float | None = None
    scores: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Entry(Record):
    """One way of learning and what it reached.

    Attributes:
        name: Name of the way.
        title: Method as text.
        score: Mean of `scores`; None where it failed.
        low: Lower end of the score's interval; None where nothing tells its error.
        high: Upper end; None likewise.
        behind: Distance of the mean from that of the best entry, positive where the best is better.
        behind_error: Standard error of that distance.
        behind_half: Half the width of its interval, simultaneous over all pairs of entries.
        scores: A score per seed, in the order of the comparison's seeds.
        seconds: Training time of one seed.
        peak_memory_mb: Largest memory of a training.
        parameters: Number of parameters.
        steps: Number of steps.
        labels_equivalent: Number of labels that plain supervision needs for the same score.
        labels_low: Lower end of the interval of that number.
        labels_high: Upper end; None where it is beyond all labels that were tried.
        labels_note: Words for it, or the reason why it has no number ("about 1,437 or more").
        error: Reason of a failure.
        metrics: All metrics by name.
        curve: Scores during training.
        needs: Needs of the method.
        gives: Abilities of its models.
        source: Paper.
        hyperparameters: Fields of the method.
        pending: True if it had not finished when the comparison was interrupted.
        exhibits: Exhibits of its model of the first seed.
        bound: Easier conditions that it learns under, in words; empty for most.
        caution: Trouble in a training that has a score all the same.
        reason: Reason why it is on the shortlist; empty where methods were named.
        over_budget: Multiple of the budget that it took, where that is above 1.2; else None.
        failed_seeds: Reasons by the seed, as text, of trainings that failed where others did not; `score` is the mean
            of the others, and `scores` is None there.
        reference: True for a line for reference, such as the majority class, which is no candidate for the best.
    """

    name: str
    title: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    scores: tuple[float | None, ...] = ()
    seconds: float | None = None
    peak_memory_mb: float | None = None
    parameters: int | None = None
    steps: int | None = None
    behind: float | None = None
    behind_error: float | None = None
    behind_half: float | None = None
    labels_equivalent: float | None = None
    labels_low: float | None = None
    labels_high: float | None = None
    labels_note: str = ""
    error: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    source: str = ""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    pending: bool = False
    exhibits: tuple[Exhibit, ...] = ()
    bound: str = ""
    caution: str = ""
    reason: str = ""
    over_budget: float | None = None
    failed_seeds: dict[str, str] = field(default_factory=dict)
    reference: bool = False

    @property
    def scored(self) -> bool:
        """True if the entry has a score to compare."""
        return self.error is None and self.score is not None


@dataclass(frozen=True)
class Confusion(Record):
    """Counts of test rows, `counts[true class][predicted class]`, classes in the order of `classes`."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        size = len(self.classes)
        if [len(row) for row in self.counts] != [size] * size:
            raise DataError(f"Confusion.counts must be {size} by {size}, as many as there are classes.")


@dataclass(frozen=True)
class Mistake(Record):
    """A test row that the best entry got wrong, with its input ready to show.

    `payload` is a data: URI for an image or audio, the text itself, or column name -> value for a table.
    `confidence` is the probability in [0, 1] of the predicted class; `residual` is predicted minus true.
    """

    row: str
    truth: str | float
    predicted: str | float
    kind: Kind
    payload: str | dict[str, Any]
    confidence: float | None = None
    residual: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_payload(self.kind, self.payload, "Mistake.payload")


@dataclass(frozen=True)
class Example(Record):
    """A test row with its true and its predicted label, of a kind with a structure, ready to be drawn.

    Attributes:
        row: Id of the row.
        kind: Kind of label, of which there is a drawing (`manyways.comparison.report.drawings`).
        payload: Members that the drawing takes.
        score: Usual score of the row alone.
        confidence: Confidence of the prediction, in (0, 1).
    """

    row: str
    kind: str
    payload: dict[str, Any]
    score: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Best(Record):
    """The entry with the best mean, seen closely; `scatter`: (true, predicted) of at most 500 test rows.

    `heading` is that of its mistakes, with {} for the entry; `called` how their truth and their prediction are called.
    `examples` are rows whose labels have a structure, the worst first.
    """

    name: str
    confusion: Confusion | None = None
    mistakes: tuple[Mistake, ...] = ()
    scatter: tuple[tuple[float, float], ...] = ()
    heading: str = "Where {} goes wrong"
    called: tuple[str, str] = ("true", "predicted")
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.scatter) > SCATTER_LIMIT:
            raise DataError(f"Best.scatter holds at most {SCATTER_LIMIT} pairs; got {len(self.scatter)}.")


@dataclass(frozen=True)
class Confirmed(Record):
    """The score of the recommended entry on rows that were kept apart from the whole comparison.

    Attributes:
        name: Name of the entry.
        rows: Number of these rows.
        score: Mean over its models, one of each seed.
        low: Lower end of its interval.
        high: Upper end.
        scores: A score per model.
    """

    name: str
    rows: int
    score: float | None
    low: float | None = None
    high: float | None = None
    scores: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Conclusion(Record):
    """The answer in words: which way to take and why; `recommended` is None when no entry has a score.

    `cautions` say what the numbers cannot carry, and what failed. `indistinguishable` names the entries that
    cannot be told apart from the best mean.
    """

    title: str
    sentences: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    recommended: str | None = None
    indistinguishable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison(Record):
    """A whole comparison; intervals are of the mean over seeds and, as far as `interval_over` says, over test rows.

    Attributes:
        data: Data that was compared on.
        metric: Metric that entries are ranked by.
        higher_is_better: True if a higher score is the better one.
        labels: Number of labels that every method could see; None: all.
        budget: Budget of each entry.
        seeds: Seeds.
        machine: Machine that it ran on.
        version: Version of Manyways.
        started: Time of the start (ISO 8601).
        seconds: Time of the whole comparison.
        entries: Entries.
        label_curve: Scores of plain supervision at growing numbers of labels.
        best: Best entry.
        conclusion: Conclusion.
        confirmed: Score of the recommended entry on rows kept apart, where some were.
        command: Command that repeats it.
        confidence: Level of the intervals, in (0, 1).
        interval_over: What intervals of scores are over: "seeds" or "splits", and "test rows" or "episodes".
        beside: Metrics that are shown beside the score.
        exhibits: Exhibits of all entries together.
        notes: Sentences on how it was measured that its numbers must be read with.
    """

    data: DataSummary
    metric: str
    higher_is_better: bool
    labels: int | None
    budget: str
    seeds: tuple[int, ...]
    machine: Machine
    version: str
    started: str
    seconds: float | None
    entries: tuple[Entry, ...]
    label_curve: tuple[LabelPoint, ...] = ()
    best: Best | None = None
    conclusion: Conclusion | None = None
    confirmed: Confirmed | None = None
    command: str = ""
    confidence: float = 0.95
    interval_over: tuple[str, ...] = ("seeds",)
    beside: tuple[str, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """True if a label was to be predicted, of which some may have been hidden."""
        return self.data.labels_known > 0

    @property
    def percent(self) -> bool:
        """True if the metric is a fraction of 1 that people read in per cent."""
        return is_fraction(self.metric)

    @property
    def bounded(self) -> bool:
        """True if the metric lies in [0, 1]."""
        return bounds(self.metric) == (0.0, 1.0)

    @property
    def ways(self) -> tuple[Entry, ...]:
        """The entries that are no lines for reference, in their order."""
        return tuple(entry for entry in self.entries if not entry.reference)

    def ranked(self) -> list[Entry]:
        """The entries that have a score, best first; equal scores: the quicker first."""
        sign = -1 if self.higher_is_better else 1
        scored = [entry for entry in self.entries if entry.scored]
        return sorted(scored, key=lambda entry: (sign * (entry.score or 0.0), entry.seconds or math.inf))

    def contestants(self) -> list[Entry]:
        """Those of `ranked` that learned under the conditions that were asked, no lines for reference; else all."""
        ranked = self.ranked()
        return [entry for entry in ranked if not (entry.bound or entry.reference)] or ranked

    def to_json(self) -> dict[str, Any]:
        """This comparison as plain JSON values, with the schema version first."""
        return {"schema": SCHEMA, **super().to_json()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], where: str = "results") -> Self:
        """The comparison that `to_json` wrote. Raises DataError on another version or damage."""
        version = saved.get("schema") if isinstance(saved, Mapping) else None
        if type(version) is not int or version not in READABLE:
            raise DataError(
                f"{where} must have the schema version {' or '.join(map(str, READABLE))}; got {version!r}. "
                "Read it with the version of manyways that wrote it, or run the comparison again."
            )
        return super().from_json(saved, where)


def write_results(comparison: Comparison, path: str | Path) -> Path:
    """Write `comparison` to `path` as JSON, whole or not at all. Raises DataError if it cannot be written."""
    text = json.dumps(comparison.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    return write_whole(path, text + "\n")


def read_results(path: str | Path) -> Comparison:
    """The comparison that `write_results` wrote to `path`. Raises DataError if it cannot be read."""
    saved = read(path, f"{path}, which is no results file of manyways compare,", DataError, MOST_BYTES)
    try:
        return Comparison.from_json(saved.members, str(path))
    except DataError as error:  # parts that do not fit each other do not know where they stand
        if str(path) in str(error):
            raise
        raise DataError(f"{path} is damaged: {error}") from error
