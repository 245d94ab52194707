"""The plan of a comparison: which methods on which rows, under which conditions, and the trainings of it."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from manyways.comparison.conclusion import BASELINE, START
from manyways.comparison.job import Job, fields_of
from manyways.comparison.label_efficiency import label_counts
from manyways.comparison.shortlist import Shortlist, everything, shortlist
from manyways.comparison.start import Start
from manyways.comparison.tasks import Task, task_of
from manyways.comparison.titles import titles
from manyways.data.apart import kept_apart
from manyways.data.data import Data
from manyways.data.domains import scored_on_targets
from manyways.data.given import Draw
from manyways.data.parts import TEST
from manyways.data.splitting import Rule, Split, Splitting
from manyways.data.targets import check_labels
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.expressions import parse_method
from manyways.methods.features import checkpoints_of
from manyways.methods.method import Method
from manyways.methods.starts import given, last
from manyways.metrics import AREA_UNDER_LABEL_CURVE
from manyways.models.abilities import any_of
from manyways.training.budget import Budget
from manyways.version import __version__

ALL = "all"
"""In place of methods: every one that the data allows."""
MOST_WORKERS = 8


@dataclass(frozen=True)
class ComparisonPlan:
    """The plan of a comparison: the data, the methods by their text, and the conditions for all.

    `rows` are the data as they are before they are split, by the `rule` that `splitting` comes to on them; `data` is
    the first split of them, with its test part.
    """

    rows: Data
    splitting: Splitting
    rule: Rule
    data: Data
    methods: dict[str, Method]
    labels: int | None
    budget: Budget
    seeds: tuple[int, ...]
    metric: str
    workers: int
    threads: int
    curve: tuple[int, ...]
    task: Task
    start: Start | None = None
    apart: Data | None = None
    """Rows that nothing is learned from or tested on; the entry that is chosen is scored on them in the end."""
    draw: Draw = "random"
    metric_note: str = ""
    """The reason for the metric, where it is not the usual one and nobody named it."""
    shortlist: Shortlist = field(default_factory=Shortlist)
    """The choice of the methods where none was named."""
    references: Mapping[str, str] = field(default_factory=dict)
    """The methods of lines for reference, as text, with their titles; see `Task.references`."""
    yardsticks: Mapping[str, Method] = field(default_factory=dict)
    """Those among them that stand beside some of the methods, which choose at random what these choose."""

    @property
    def entries(self) -> dict[str, Method]:
        """The methods, and those of the lines for reference that are not among them."""
        lines = [text for text in self.references if text not in self.methods]
        return {**self.methods, **{text: self.yardsticks.get(text) or parse_method(text) for text in lines}}

    def jobs(self) -> list[Job]:
        """Every training, the first seed of all methods first, so that an early look compares them all."""
        runs = [(seed, split) for place, seed in enumerate(self.seeds) for split in self.splits(place)]
        kept = {runs[0]} if self.apart is None else {(seed, self.splits(at)[0]) for at, seed in enumerate(self.seeds)}
        entries = [
            self._begun(
                Job(
                    name, self.labels, seed, str(self.budget), self.metric, (seed, split) in kept, fields_of(method),
                    split=split, draw=self.draw,
                )
            )
            for seed, split in runs
            for name, method in self.entries.items()
        ]  # fmt: skip
        if self.start is not None and self.start.scored_by(self.task):
            untrained = [
                Job(START, self.labels, self.seeds[0], "", self.metric, split=split) for split in self.splits(0)
            ]
            entries = [*map(self._begun, untrained), *entries]
        if not self.task.labelled:
            return entries
        plain = fields_of(parse_method(BASELINE))
        curve = [
            Job(BASELINE, count, seed, str(self.budget), self.metric, fields=plain, split=split, draw=self.draw)
            for seed, split in runs
            for count in self.curve
        ]
        have = {job.key for job in entries}
        return entries + [job for job in curve if job.key not in have]

    def splits(self, place: int) -> tuple[Split, ...]:
        """The splits that the seed at `place` is trained on."""
        return self.splitting.splits(self.rule, place)

    def tested(self) -> Data:
        """The data with all rows as test rows that a seed is scored on: those of all folds, else of the first split."""
        if not self.splitting.folds:
            return self.data
        part = self.rows.part.copy()
        for split in self.splits(0):
            part[split.of(self.rows).test.rows] = TEST
        return replace(self.rows, part=part)

    def _begun(self, job: Job) -> Job:
        """`job` with the model that it starts from, where it does."""
        method = self.methods.get(job.method)
        if self.start is None or (method is not None and not self.start.begins(method, self.task)):
            return job
        return replace(job, start=str(self.start.folder), start_key=self.start.key)

    @cached_property
    def titles(self) -> dict[str, str]:
        """The titles of the methods by their text."""
        return {**titles(self.entries), **{text: title for text, title in self.references.items() if title}}

    @property
    def beside(self) -> tuple[str, ...]:
        """The metrics that are shown beside the score: where another one takes its place, the usual one, too."""
        usual = (self.task.metrics[0],) if self.metric_note else ()
        own = (AREA_UNDER_LABEL_CURVE.name,) if self.yardsticks and self.task.labelled else ()
        return tuple(metric for metric in (*usual, *self.task.beside, *own) if metric != self.metric)

    @property
    def key(self) -> str:
        """A hash of what all results have in common."""
        facts = [
            self.rows.fingerprint,
            self.rows.allowance,
            self.threads if self.budget.unit == "seconds" else None,
            __version__,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def make_plan(
    data: Data, methods: Sequence[Method | str] | str | None, labels: int | None, budget: Budget,
    seeds: int | Sequence[int], metric: str | None, splitting: Splitting, workers: int | None,
    start: Start | None = None, backbone: str | None = None, draw: Draw = "random", confirm: float | None = None,
) -> ComparisonPlan:  # fmt: skip
    """Check what was asked for and fill in the defaults."""
    named = None if methods is None or methods == ALL else [_method(method) for method in methods]
    if backbone is not None:
        checkpoints_of(backbone, data)  # one that reads none of the inputs is refused now, not in every job
        named = named and [method.with_backbone(backbone) for method in named]
    data = scored_on_targets(data)
    rule = splitting.rule(data, new_classes=bool(named) and all(last(method).new_classes for method in named or ()))
    apart = None
    if confirm is not None:
        data, apart = kept_apart(data, confirm, rule)
    rows = data
    if rule == "classes":
        data = splitting.splits(rule, 0)[0].of(data)  # else the classes to be told apart would be known ones
    task = task_of(data, metric)
    if task.has_labels and not data.training.known.any():
        columns = " or ".join(repr(label.name) for label in data.labels)
        raise DataError(
            f"No training row of {data.name} has a label in the column {columns}; a comparison needs labels "
            "to learn from and to score by. Label some rows."
        )
    wanted = task.gives | task.scored
    if named and not any(given(method) & wanted for method in named):
        raise NeedsError(
            f"Models that give {any_of(wanted)} can be compared on {data.name} ({task.name}); "
            f"{', '.join(map(str, named))} makes none. `manyways advise` says which methods do."
        )
    if labels is not None and not task.has_labels:
        raise ParameterError(
            f"labels says how many labels are shown, and {data.name} has none to predict; leave it out."
        )
    data = splitting.splits(rule, 0)[0].of(rows)
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers or len(set(numbers)) < len(numbers):
        raise ParameterError(f"seeds must be at least one, and each another; got {seeds!r}.")
    visible = data.with_labels(labels, numbers[0], draw=draw) if labels is not None else task.visible(data)
    if task.has_labels:
        check_labels(visible)
    listed = shortlist(visible, task, start, backbone) if methods is None else Shortlist(tuple(named or ()))
    chosen = everything(visible, task, start, backbone) if methods == ALL else listed.methods
    if not chosen:
        hint = "" if start is not None or task.has_labels else " A language model to start from opens more: start=…."
        raise NeedsError(f"No method can learn from {data.name}; `manyways advise` says what each one lacks.{hint}")
    texts: dict[str, Method] = {}
    for method in chosen:
        if texts.setdefault(str(method), method) != method:
            raise ParameterError(
                f"Two methods that differ are both written {method}; compare them one after the other."
            )
    fairer = task.fairer(data) if metric is None else None
    lines = task.references(visible)
    yardsticks = {str(line): line for method in chosen if (line := method.yardstick()) is not None}
    cores = os.cpu_count() or 1
    count = min(cores, MOST_WORKERS) if workers is None else workers
    if count < 0:
        raise ParameterError(f"workers must be 0 or more; got {count}.")
    return ComparisonPlan(
        rows=rows,
        splitting=splitting,
        rule=rule,
        data=data,
        methods=texts,
        labels=labels,
        budget=budget,
        seeds=numbers,
        metric=metric or (fairer[0] if fairer else task.usual(shared=start is not None)),
        metric_note=fairer[1] if fairer else "",
        workers=count,
        threads=max(1, cores // max(1, count)),
        curve=_label_curve(data, visible) if task.labelled and _learns(BASELINE, visible) else (),
        task=task,
        start=start,
        apart=apart,
        draw=draw,
        shortlist=listed,
        references={text: title for text, title in lines.items() if _learns(text, visible)}
        | dict.fromkeys(yardsticks, ""),
        yardsticks=yardsticks,
    )


def _learns(method: str, data: Data) -> bool:
    """True if a method of no entry, such as that of a curve, can learn from `data`; rows may have gaps, for example."""
    return parse_method(method).lacks(data) is None


def _label_curve(data: Data, visible: Data) -> tuple[int, ...]:
    known, seen = int(data.training.known.sum()), int(visible.training.labelled.sum())
    return tuple(label_counts(seen, known, len(data.classes) if data.classification else 2))


def _method(given: Method | str) -> Method:
    return parse_method(given) if isinstance(given, str) else given
