"""Numbers as people read them, the same in the terminal, in the report and in the conclusion."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from manyways.comparison.results import Comparison, DataSummary, Entry
from manyways.metrics import is_fraction

MISSING = "—"
LOPSIDED = 0.1
"""Share of an interval's half width that its middle may lie off the score and still be written as ±."""
NEAR = 0.4
"""Of the range of the entries' intervals: so far away a line for reference may be and still be on the axis."""
METRIC_WORDS = {
    "nats_per_token": "nats per token",
    "frechet_distance": "Fréchet distance",
    "nats_per_character": "nats per character",
    "roc_auc": "ROC AUC",
    "f1": "F1",
    "brier_score": "Brier score",
    "log_loss": "log loss",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "nmi": "NMI",
    "ari": "ARI",
    "bic": "BIC",
    "knn_accuracy": "kNN accuracy",
    "knn_accuracy_in_2d": "kNN accuracy in 2-D",
}


def metric_words(name: str) -> str:
    """The metric `name` as words: "balanced accuracy", "RMSE"."""
    return METRIC_WORDS.get(name, name.replace("_", " "))


def mean_of(name: str) -> str:
    """The name of the mean over seeds: "mean accuracy"; of a metric that is a mean itself, the metric."""
    words = metric_words(name)
    return words if words.startswith("mean ") else f"mean {words}"


def scored_on(data: DataSummary) -> str:
    """Over what a score is the mean: "on 360 test rows", "over 20 episodes"."""
    over = data.scored_on or f"{count(data.test_rows)} test rows"
    return f"{'over' if 'episodes' in over else 'on'} {over}"


def number(value: float | None, digits: int = 3) -> str:
    """`value` with `digits` significant digits and thousands separated; a dash for None."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if not -9 <= decimals <= 9:
        return f"{value:.{digits - 1}e}"
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def count(value: float | None) -> str:
    """A whole number with thousands separated; a dash for None."""
    return MISSING if value is None else f"{round(value):,}"


def score(comparison: Comparison, value: float | None) -> str:
    """A score in the unit of the comparison's metric: "97.4%", "0.312"."""
    return measured(comparison.metric, value)


def measured(metric: str, value: float | None) -> str:
    """A value of `metric` in its own unit."""
    if value is None:
        return MISSING
    return f"{100 * value:.1f}%" if is_fraction(metric) else number(value)


def difference(comparison: Comparison, value: float, *, unit: bool = True) -> str:
    """The size of a difference between two scores: "1.3 points", "0.04"; `unit` False leaves "points" out."""
    if not comparison.percent:
        return number(abs(value), 2)
    points = f"{100 * abs(value):.1f}"
    if not unit:
        return points
    return f"{points} point" if points == "1.0" else f"{points} points"


class Scored(Protocol):
    """A score with an interval: of an entry, or of a point of a curve."""

    @property
    def score(self) -> float | None:
        """The score."""

    @property
    def low(self) -> float | None:
        """The lower end of its interval."""

    @property
    def high(self) -> float | None:
        """The upper end."""


def margin(comparison: Comparison, scored: Scored) -> str:
    """The interval of a score: half its width, "± 0.6", or its ends, "95.2–100.0"; nothing where there is none.

    Ends are said of all scores of a comparison where any entry's are not as far to both sides, so that intervals can be
    read against each other.
    """
    if scored.low is None or scored.high is None or scored.score is None:
        return ""
    low, high = within_bounds(comparison, scored.low), within_bounds(comparison, scored.high)
    if not any(_lopsided(comparison, each) for each in (scored, *comparison.contestants())):
        return f"± {difference(comparison, (high - low) / 2, unit=False)}"
    ends = (score(comparison, end).removesuffix("%") for end in (low, high))
    return " to ".join(ends) if low < 0 else "–".join(ends)


def _lopsided(comparison: Comparison, scored: Scored) -> bool:
    """True if an interval reaches clearly further to one side of its score than to the other."""
    if scored.low is None or scored.high is None or scored.score is None:
        return False
    low, high = within_bounds(comparison, scored.low), within_bounds(comparison, scored.high)
    return abs((low + high) / 2 - scored.score) > LOPSIDED * (high - low) / 2


def within_bounds(comparison: Comparison, value: float) -> float:
    """`value` within what the metric can be: 0 and 1 for most fractions."""
    return min(max(value, 0.0), 1.0) if comparison.bounded else value


def reached(comparison: Comparison, scored: Scored) -> str:
    """A score with its interval: "96.1% ± 1.0", "99.2% (95.2–100.0)"."""
    interval = margin(comparison, scored)
    return f"{score(comparison, scored.score)} {interval if interval[:1] in '±' else f'({interval})'}".strip()


def seconds(value: float | None) -> str:
    """A time: "0.42 s", "37 s", "12 min", "3.1 h"."""
    if value is None:
        return MISSING
    if value < 99.5:
        return f"{number(value, 2)} s"
    if value < 99.5 * 60:
        return f"{number(value / 60, 2)} min"
    return f"{number(value / 3600, 2)} h"


def megabytes(value: float | None) -> str:
    """A size of memory given in MB: "412 MB", "1.3 GB"."""
    if value is None:
        return MISSING
    return f"{number(value / 1000, 2)} GB" if value >= 999.5 else f"{value:.0f} MB"


def quantity(value: float | None) -> str:
    """A large count in short: "640", "38 k", "1.2 M", "7.1 B"."""
    if value is None:
        return MISSING
    for size, suffix in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * size:
            return number(value / size, 2 if value < 99.5 * size else 3) + suffix
    return count(value)


def labels(entry: Entry) -> str:
    """The number of labels that plain supervision needs to match `entry`, or the note that stands for the number."""
    if entry.labels_equivalent is not None:
        return count(entry.labels_equivalent) + labels_range(entry)
    return entry.labels_note or MISSING


def labels_range(entry: Entry) -> str:
    """The interval of the number of labels that `entry` is worth: " (138 to 273)", " (138 or more)", or nothing."""
    if entry.labels_low is None or (entry.labels_low == entry.labels_high == entry.labels_equivalent):
        return ""
    if entry.labels_high is None:
        return f" ({count(entry.labels_low)} or more)"
    return f" ({count(entry.labels_low)} to {count(entry.labels_high)})"


def beyond_the_curve(entry: Entry) -> bool:
    """True if plain supervision reaches the score of `entry` with no number of labels that was tried."""
    return entry.labels_note.startswith("more than ") or entry.labels_note.endswith(" or more")


def interval_over(comparison: Comparison) -> str:
    """The words for what intervals are over: "3 seeds and 360 test rows"."""
    seeds, data = len(comparison.seeds), comparison.data
    first, *rest = comparison.interval_over or ("seeds",)
    words = [f"{seeds} seed{'' if seeds == 1 else 's'}" if first == "seeds" else first]
    words += [data.scored_on or f"{count(data.test_rows)} {unit}" for unit in rest]
    return listed(words)


def short_labels(entry: Entry) -> str:
    """The number of labels that plain supervision needs to match `entry`, in short: "310 (190–420)", "≥ 1,437"."""
    between = between_labels(entry)
    return f"{bare_labels(entry)} ({between})" if between else bare_labels(entry)


def bare_labels(entry: Entry) -> str:
    """The number of `short_labels` without its interval: "310", "≥ 1,437", "< 40"."""
    note = entry.labels_note
    if note.startswith("no more than "):
        return f"≤ {count(entry.labels_equivalent)}"
    if entry.labels_equivalent is not None:
        return count(entry.labels_equivalent)
    if beyond_the_curve(entry):
        return f"≥ {note.removeprefix('about ').removesuffix(' or more').removeprefix('more than ')}"
    return f"< {note.removeprefix('fewer than ')}" if note.startswith("fewer than ") else MISSING


def between_labels(entry: Entry) -> str:
    """The interval of the number of labels that `entry` is worth, "190–420", or nothing where there is none."""
    low, high, number = entry.labels_low, entry.labels_high, entry.labels_equivalent
    if number is None or low is None or low == high == number or entry.labels_note.startswith("no more than "):
        return ""
    return f"≥ {count(low)}" if high is None else f"{count(low)}–{count(high)}"


def reason(entry: Entry, longest: int | None = None) -> str:
    """The first line of the reason why `entry` failed, without full stop, cut to `longest` characters."""
    return first_line(entry.error or "", longest)


def first_line(text: str, longest: int | None = None) -> str:
    """The first line of `text`, a reason, without full stop, cut to `longest` characters."""
    lines = text.strip().splitlines()
    line = lines[0].rstrip(".") if lines else "no reason given"
    return line if longest is None or len(line) <= longest else line[: longest - 1].rstrip() + "…"


def seams(title: str) -> list[str]:
    """The parts of a method's text between which a line may end: after a space, a comma, a bracket or a sign."""
    return [part for part in re.split(r"(?<=[ ,=])|(?<=[^ ]\()", title) if part]


def marks(entry: Entry) -> list[str]:
    """Words on what makes the score of `entry` less than those of others, or what it took more than they did."""
    failed, runs = len(entry.failed_seeds), len(entry.scores)
    words = [f"{failed} of {runs} failed"] if failed else []
    if entry.over_budget is not None:
        words.append(f"{number(entry.over_budget, 2)} × the budget")
    return words


def listed(words: Sequence[str]) -> str:
    """`words` as one phrase: "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def score_range(comparison: Comparison) -> tuple[float, float]:
    """The lowest and the highest end of the entries' intervals, for axes; within [0, 1] for a fraction.

    A line for reference far from all entries would leave these no room, and counts only where there is nothing else.
    """
    ranked = comparison.ranked()
    entries = [entry for entry in ranked if not entry.reference] or ranked
    ends = [
        within_bounds(comparison, end)
        for entry in entries
        for end in (entry.score, entry.low, entry.high, *entry.scores)
        if end is not None
    ]
    low, high = min(ends), max(ends)
    room = NEAR * (high - low)
    near = [entry.score for entry in ranked if entry.score is not None and low - room <= entry.score <= high + room]
    return min(low, *near), max(high, *near)


def sentence_start(words: str) -> str:
    """`words` with a capital first letter; the others stay as they are ("RMSE", "R²")."""
    return words[:1].upper() + words[1:]


def moment(iso: str) -> str:
    """An ISO 8601 time to the minute, with its zone; what is no such time stays as it is."""
    try:
        return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return iso


def field(value: object) -> str:
    """A value of a row or a setting: numbers with four significant digits, others as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = number(value, 4)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
