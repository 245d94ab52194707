"""`manyways compare`."""

import contextlib
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import arg

from manyways.cli import INTERRUPTED
from manyways.cli.arguments import (
    UNSAID,
    Count,
    File,
    Reading,
    Source,
    at_least,
    check_budget,
    check_method_names,
    one,
    parse,
)
from manyways.cli.output import check_file, console
from manyways.cli.wording import command_line
from manyways.errors import ParameterError

if TYPE_CHECKING:
    from manyways.comparison.results import Comparison

ALL = "all"
"""The word for every method that the data allows."""


@dataclass(frozen=True)
class Compare:
    """Compare ways of learning on your data, side by side under one budget.

    Every way sees the same rows, the same labels and the same budget; the answer names the best, how sure
    that is, and how many labels plain supervision would need for the same. Language models are compared on pairs of
    answers, on answers, or on running text. Finished trainings are kept: the
    same command, typed again after Ctrl-C, goes on from there.
    """

    data: Source
    """The data to compare on; `manyways --help` lists what can be read."""
    reading: tyro.conf.OmitArgPrefixes[Reading]
    labels: Count = None
    """Training labels that every way may see, those that it asks for among them; by default all there are."""
    draw: Literal["random", "stratified"] = "random"
    """The draw of these labels: random, as they come, or stratified, in proportion to the classes and one of each."""
    methods: Annotated[tuple[str, ...], arg(metavar="METHODS …", help_behavior_hint="")] = ()
    """Names, names with fields or chains, divided by commas: supervised,'simclr >> fixmatch(threshold=0.9)'.
    By default a shortlist of at most 12 by the kind of data and the number of labels; all: every one that the data
    allows."""
    budget: Annotated[str, arg(metavar="BUDGET")] = "10s"
    """The budget of each training: 20s, '2 minutes', '500 steps', '10000 examples' or '2 tflops'."""
    seeds: Annotated[int, one(int, "a whole number", "N")] = 3
    """Trainings of each way, each with other labels and another start."""
    metric: Annotated[str | None, one(str, "a name", "NAME"), UNSAID] = None
    """Score to compare by; by default accuracy for classes (where one is rare, balanced), R² for numbers, for
    language models preference accuracy on pairs of answers, else nats per character, or per token where all start
    from one model."""
    start: Annotated[Path | None, one(Path, "a folder", "MODEL"), UNSAID] = None
    """Folder of a model that methods start from, saved here, by transformers or by peft: those that need one, and
    all of language models."""
    backbone: Annotated[str | None, one(str, "a folder or a name", "CHECKPOINT"), UNSAID] = None
    """Pretrained checkpoint that every way starts from which can: a folder of transformers or sentence-transformers,
    or its name on the Hub (owner/name). Plain supervision stays from scratch, unless it is named."""
    test_share: Annotated[float, one(float, "a number", "SHARE")] = 0.2
    """Share of the rows to test on, where the data has no test rows of its own: of running text and of rows with a time
    the last, of the classes where only methods that learn to tell new ones apart are named."""
    split: Literal["auto", "random", "time", "group"] = "auto"
    """The rows to test on: random ones, the last by their time, or whole groups (no subject or group is ever on both
    sides, whatever the split). By default by time where rows have one, else random."""
    folds: Count = None
    """Divide the rows into N folds, and test on each once, for every seed."""
    splits: Count = None
    """Draw N splits at random, each with test rows of its own, in place of one."""
    confirm: Annotated[float | None, one(float, "a number", "SHARE"), UNSAID] = None
    """Share of the rows that is kept apart from everything; in the end the way that is chosen, and no other, is scored
    on them. Of data with test rows of its own, a share of these."""
    workers: Count = None
    """Trainings at the same time; by default one for each core, up to 8, and on a cluster all that it has room for."""
    limit: Annotated[float | None, one(float, "a number of seconds", "SECONDS"), UNSAID] = None
    """Seconds after which a training that has not ended is ended, and fails; by default ten times the budget and five
    minutes more, or for a budget in other units an hour without progress."""
    on: Annotated[str | None, one(str, "a cluster", "CLUSTER"), UNSAID] = None
    """Cluster to train on: ray, the Ray cluster that this machine is part of, or ray://HOST:PORT."""
    report: File = None
    """Write the whole comparison here as one HTML file with plots."""
    json: File = None
    """Write all numbers here as JSON."""
    fresh: tyro.conf.FlagCreatePairsOff[bool] = False
    """Throw away finished trainings of an earlier, same comparison."""
    open: tyro.conf.FlagCreatePairsOff[bool] = False
    """Open the report in the browser."""

    def check(self) -> None:
        """Raise ParameterError for what is wrong before any data is read."""
        check_budget(self.budget)
        at_least("--labels", self.labels, 1)
        at_least("--seeds", self.seeds, 1)
        at_least("--workers", self.workers, 0)
        at_least("--folds", self.folds, 2)
        at_least("--splits", self.splits, 2)
        if not 0 < self.test_share < 1:
            raise ParameterError(f"--test-share must be in (0, 1); got {self.test_share}.")
        if self.on is not None:  # what checks it loads what trains
            from manyways.comparison.given import check_on

            check_on(self.on)
        if self.confirm is not None and not 0 < self.confirm < 1:
            raise ParameterError(f"--confirm must be in (0, 1); got {self.confirm}.")
        if self.limit is not None and not self.limit > 0:
            raise ParameterError(f"--limit must be above 0; got {self.limit}.")
        check_file("--report", self.report)
        check_file("--json", self.json)
        if self.open and self.report is None:
            raise ParameterError("--open opens the report, and none is written; add --report report.html.")
        for method in self.methods:
            if self.methods != (ALL,):
                check_method_names(method)


def main(arguments: Sequence[str]) -> int:
    """Run `manyways compare`; the exit code is 0 if a way has a score, 1 if all failed, 130 after Ctrl-C."""
    options = parse(Compare, "compare", arguments)
    options.check()
    from manyways.cli.compare_view import CompareView
    from manyways.comparison.compare import compare
    from manyways.methods.expressions import parse_method, split_methods

    everything = options.methods == (ALL,)
    named = [] if everything else [parse_method(one) for text in options.methods for one in split_methods(text)]
    data = options.reading.read(options.data)
    with CompareView() as view:
        comparison = compare(
            data,
            methods="all" if everything else named or None,
            labels=options.labels,
            draw=options.draw,
            budget=options.budget,
            seeds=options.seeds,
            metric=options.metric,
            test_share=options.test_share,
            split=options.split,
            folds=options.folds,
            splits=options.splits,
            confirm=options.confirm,
            workers=options.workers,
            limit=options.limit,
            on=options.on,
            fresh=options.fresh,
            start=options.start,
            backbone=options.backbone,
            command=command_line("compare", *arguments),
            on_progress=view,
        )
    return _finish(comparison, options)


def _finish(comparison: "Comparison", options: Compare) -> int:
    from manyways.comparison.report import write_report
    from manyways.comparison.results import write_results
    from manyways.comparison.table import render_table

    out = console()
    out.print(render_table(comparison))
    if options.report or options.json:
        out.print()
    if options.report:
        out.print(f"report: {write_report(comparison, options.report)}", soft_wrap=True)
    if options.json:
        out.print(f"numbers: {write_results(comparison, options.json)}", soft_wrap=True)
    if options.open and options.report:
        with contextlib.suppress(webbrowser.Error):  # no browser: the path above says where the report is
            webbrowser.open(options.report.absolute().as_uri())
    if any(entry.pending for entry in comparison.entries):
        out.print("\nInterrupted: finished trainings are kept. Type the same command again to go on.")
        return INTERRUPTED
    return 0 if any(entry.scored and not entry.reference for entry in comparison.entries) else 1
