"""`manyways advise`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

from manyways.cli.arguments import Count, Reading, Source, at_least, parse
from manyways.cli.output import console, notes
from manyways.cli.wording import as_typed, command_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from manyways.comparison.advise import Advice
    from manyways.comparison.shortlist import Shortlist
    from manyways.data.data import Data

SHOWN = 8
NAMES_WIDTH = 32
FEW_LABELS = 40
LABELS_PER_CLASS = 4
PRETRAINED = (
    "With so few labels a pretrained network usually gives more than these can learn: --backbone FOLDER (of "
    "transformers or sentence-transformers, or owner/name on the Hub) starts all that can from it."
)


@dataclass(frozen=True)
class Advise:
    """Say which ways of learning your data allows, and what the others lack."""

    data: Source
    """The data to learn from; `manyways --help` lists what can be read."""
    reading: tyro.conf.OmitArgPrefixes[Reading]
    labels: Count = None
    """Training labels that may be seen; by default all there are."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways advise`."""
    options = parse(Advise, "advise", arguments)
    at_least("--labels", options.labels, 1)
    data = options.reading.read(options.data, quiet=True)
    data = data if options.labels is None else data.with_labels(options.labels)
    from manyways.comparison.advise import advise, shortlist_of

    suggestions, listed = advise(data), shortlist_of(data)
    out = console()
    for name, what in summary(data):
        out.print(f"{name:<12}{what}", soft_wrap=True)
    _print_shortlist(out, data, listed)
    _print_methods(out, suggestions, listed)
    out.print()
    out.print(f"Type next:\n  {next_command(data, suggestions, arguments)}", soft_wrap=True)
    return 0


def summary(data: "Data") -> list[tuple[str, str]]:
    """The data in a few lines: (what, how much)."""
    if data.environment is not None:
        observed, allowed = data.environment.spaces
        return [("data", f"{data.source}, an environment"), ("observed", str(observed)), ("action", str(allowed))]
    parts = [(part, len(getattr(data, part))) for part in ("training", "validation", "test")]
    split = ", ".join(f"{count:,} {part}" for part, count in parts if count)
    lines = [("data", data.source), ("rows", f"{len(data):,} ({split})")]
    if data.inputs:
        lines.append(("inputs", inputs(data)))
    for role, columns in data.roles.items():
        if role not in ("input", "label"):
            lines.append((role, ", ".join(columns)))
    if data.has("label"):
        lines += _label_lines(data)
    elif data.inputs:
        lines.append(("label", "none; name one with --label COL"))
    return lines + notes(data)


def inputs(data: "Data") -> str:
    """The inputs by kind: `30 numbers, 2 categories, 1 image of 8×8 pixels (photo)`."""
    phrases = []
    counts = Counter(column.of for column in data.inputs)
    for kind, count in counts.items():
        names = [column.name for column in data.inputs if column.of is kind]
        word = kind.words[count > 1]
        shown = ", ".join(names[:SHOWN]) + (", …" if count > SHOWN else "")
        phrases.append(f"{count} {word} ({shown})")
    return ", ".join(phrases) or "none"


def _label_lines(data: "Data") -> list[tuple[str, str]]:
    lines = []
    for label in data.labels:
        one = data.with_label(label.name)
        if not one.known.any():
            what = f"{label.name}: no row has one"
        elif one.classification:
            names = ", ".join(map(str, one.classes[:SHOWN])) + (", …" if len(one.classes) > SHOWN else "")
            what = f"{label.name}: {len(one.classes)} classes ({names})"
        elif label.kind == "number":
            what = f"{label.name}: a number"
        else:
            what = f"{label.name}: {label.of.words[1]}"
        lines.append(("label", what))
    labelled = int(data.training.labelled.sum())
    rest = len(data.training) - labelled
    return [*lines, ("labelled", f"{labelled:,} training rows have a label, {rest:,} have none")]


def _table(*headings: str, first: int | None = None) -> "Table":
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for at, heading in enumerate(headings):
        grid.add_column(heading, no_wrap=first is None and at == 0, max_width=None if at else first)
    return grid


def _print_shortlist(out: "Console", data: "Data", listed: "Shortlist") -> None:
    """The methods that a comparison tries by default, the quickest first, and why."""
    from manyways.methods.recommendations import profile_of

    if not listed.methods:
        return
    table = _table("shortlist: write", "why")
    for method in listed.methods:
        table.add_row(str(method), listed.reasons[str(method)])
    out.print()
    out.print(table)
    notes_on = [as_typed(note) for note in listed.notes()]
    if profile_of(data).pretrained_helps:
        notes_on.append(PRETRAINED)
    for note in notes_on:
        out.print()
        out.print(note)


def _print_methods(out: "Console", suggestions: "Sequence[Advice]", listed: "Shortlist") -> None:
    title = "also possible" if listed.methods else "possible"
    possible = _table(f"{title}: write", "gives", "what it does")
    for advice in suggestions:
        if advice.possible and advice.write not in listed.reasons:
            possible.add_row(advice.write, ", ".join(advice.gives), advice.title)
    if not any(advice.possible for advice in suggestions) or possible.rows:
        out.print()
        out.print(possible if possible.rows else "No method can learn from this data as it is.")
    reasons: dict[str, list[str]] = {}
    for advice in suggestions:
        if not advice.possible:
            reasons.setdefault(as_typed(advice.reason), []).append(advice.name)
    impossible = _table("not as it is", "why, and what to type instead", first=NAMES_WIDTH)
    for reason, names in reasons.items():
        impossible.add_row(", ".join(names), reason)
    if impossible.rows:
        out.print()
        out.print(impossible)


def next_command(data: "Data", suggestions: "Sequence[Advice]", arguments: Sequence[str]) -> str:
    """The command to type next with the data as it was given: a comparison, or a fit where nothing can be scored."""
    from manyways.comparison.shortlist import everything
    from manyways.comparison.tasks import all_tasks, task_of

    training = data.training
    if data.environment is not None:
        return command_line("compare", *arguments, "--report", "report.html")
    if not data.inputs and data.columns:
        task = task_of(data)
        begun = [] if everything(data, task) else ["--start", "FOLDER"]
        return command_line("compare", *arguments, *begun, "--report", "report.html")
    if data.has("label") and training.labelled.any() and _can_be_told_apart(data):
        labels = max(FEW_LABELS, LABELS_PER_CLASS * len(data.classes)) if data.classification else FEW_LABELS
        few = ["--labels", str(labels)] if training.labelled.all() and labels <= len(training) // 2 else []
        return command_line("compare", *arguments, *few, "--report", "report.html")
    scored = not data.has("label") or bool(training.known.any())
    if scored and any(task.applies(data) and not task.has_labels for task in all_tasks()):
        return command_line("compare", *arguments, "--report", "report.html")
    possible = [advice for advice in suggestions if advice.possible]
    if not possible:
        return command_line("advise", "--help")
    alone = [advice for advice in possible if not advice.from_labels and ">>" not in advice.write]
    embeds = [advice for each in (alone, possible) for advice in each if "embed" in advice.gives]
    return command_line("fit", (embeds or possible)[0].write, *arguments, "--out", "model")


def _can_be_told_apart(data: "Data") -> bool:
    """True if a comparison can score what is predicted of the label: one class alone is no question."""
    return not data.classification or len(data.classes) > 1
