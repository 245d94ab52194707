"""The answer of a comparison in plain sentences, from its numbers alone."""

import math
from math import nan

import numpy as np

from manyways.comparison import wording
from manyways.comparison.remarks import remarks
from manyways.comparison.results import Comparison, Conclusion, Entry
from manyways.comparison.statistics.components import ScoreTable
from manyways.comparison.statistics.intervals import t_quantile
from manyways.comparison.statistics.simultaneous import Gap, gaps_to_best
from manyways.metrics import AREA_UNDER_LABEL_CURVE

AREA = AREA_UNDER_LABEL_CURVE.name
BASELINE = "supervised"
START = "start"
BASELINES = {BASELINE: "plain supervision", START: "the untrained start"}
"""The entry that others are compared with, where it is among the entries, and how it is called."""
PER_TOKEN = ("nats_per_token", "perplexity")
FEW_SEEDS = 3
CHEAPER = 0.5
WIDE = 0.025
CONFIRM = "--confirm 0.2 scores the one that is chosen on rows kept apart"


def conclude(comparison: Comparison) -> Conclusion:
    """The way to take, and the reason.

    Entries are told apart from the best by the simultaneous intervals of their differences over seeds and test rows
    (`gaps_to_best`). Among those that cannot be told apart, the cheapest is recommended if it also lies within one
    standard error of the difference (Breiman et al., Classification and Regression Trees, 1984).
    """
    ranked = comparison.contestants()
    if not ranked:
        return Conclusion(title=_nothing(comparison), cautions=tuple(_unfinished(comparison)))
    best = ranked[0]
    gaps = gaps_behind(comparison)
    tied = [entry for entry in ranked[1:] if not gaps[entry.name].distinguishable]
    choice = _cheapest(best, [entry for entry in tied if _close(gaps[entry.name])])
    return Conclusion(
        title=_title(comparison, choice, ranked),
        sentences=(
            *_why(comparison, choice, best, tied, gaps),
            *_confirmed(comparison, choice),
            *_saving(comparison, choice),
            *_bounds(comparison),
        ),
        cautions=(
            *comparison.notes,
            *_cautions(comparison, choice),
            *_references(comparison, choice),
            *_unfinished(comparison),
        ),
        recommended=choice.name,
        indistinguishable=tuple(entry.name for entry in tied),
    )


def gaps_behind(comparison: Comparison) -> dict[str, Gap]:
    """The distance of each entry from the best, by name: as it was found from test rows, else from the scores alone."""
    best, *others = comparison.contestants()
    if all(entry.behind is not None for entry in others):
        return {entry.name: Gap(entry.behind or 0.0, entry.behind_error, entry.behind_half) for entry in others}
    ranked = (best, *others)
    scores = np.full((len(ranked), max(len(comparison.seeds), *(len(entry.scores) for entry in ranked))), nan)
    for at, entry in enumerate(ranked):
        scores[at, : len(entry.scores)] = [nan if score is None else score for score in entry.scores]
    gaps = gaps_to_best(ScoreTable(scores), 0, comparison.higher_is_better, comparison.confidence)[1:]
    if len(comparison.seeds) == 1:
        gaps = [_by_test_rows(comparison, best, entry, gap) for entry, gap in zip(others, gaps, strict=True)]
    return {entry.name: gap for entry, gap in zip(others, gaps, strict=True)}


def _by_test_rows(comparison: Comparison, best: Entry, other: Entry, gap: Gap) -> Gap:
    """`gap` of two accuracies with one seed, as if each were measured on test rows of its own."""
    one, two = (_test_margin(comparison, entry.score) for entry in (best, other))
    if one is None or two is None:
        return gap
    error = math.hypot(one, two) / t_quantile(comparison.confidence, math.inf)
    entries = len(comparison.contestants())
    together = 1 - (1 - comparison.confidence) / max(1, entries * (entries - 1) // 2)  # Bonferroni's
    return Gap(gap.mean, error, error * t_quantile(together, math.inf))


def _half(entry: Entry) -> float | None:
    return None if entry.low is None or entry.high is None else (entry.high - entry.low) / 2


def _test_margin(comparison: Comparison, score: float | None) -> float | None:
    """Half the width of Wilson's interval (1927) of an accuracy on the test rows; None for other metrics."""
    rows = comparison.data.test_rows
    share = (comparison.metric, comparison.data.task) in (
        ("accuracy", "classification"),
        ("preference_accuracy", "pairs"),
    )
    if not share or score is None or rows < 1:
        return None
    z = t_quantile(comparison.confidence, math.inf)
    return z / (1 + z * z / rows) * math.sqrt(score * (1 - score) / rows + z * z / (4 * rows * rows))


def _close(behind: Gap) -> bool:
    """True if a tie is near enough to be taken instead of the best: few seeds cannot prove much apart."""
    return behind.mean <= (behind.error or 0.0)


def _cheapest(best: Entry, ties: list[Entry]) -> Entry:
    if best.seconds is None:
        return best
    bound = CHEAPER * best.seconds
    quicker = [entry for entry in ties if entry.seconds is not None and entry.seconds <= bound]
    return min(quicker, key=lambda entry: (entry.seconds or 0.0, entry.parameters or math.inf), default=best)


def _nothing(comparison: Comparison) -> str:
    if any(entry.pending for entry in comparison.entries):
        return "No way of learning has finished yet"
    return "No way of learning ran to the end" if comparison.entries else "Nothing was compared"


def _title(comparison: Comparison, choice: Entry, ranked: list[Entry]) -> str:
    reached = f"{wording.score(comparison, choice.score)} {wording.metric_words(comparison.metric)}"
    if choice.name == START:
        return f"Keep the start as it is: {reached}, and nothing that was tried is better beyond doubt"
    source = comparison.data.learned_from
    if len(ranked) == 1:
        return f"{choice.title} reaches {reached} from {source}"
    level = "" if choice is ranked[0] else ", level with the best and quicker"
    return f"Take {choice.title}: {reached} from {source}{level}"


def _why(comparison: Comparison, choice: Entry, best: Entry, tied: list[Entry], gaps: dict[str, Gap]) -> list[str]:
    over = f"over {wording.interval_over(comparison)}"
    if not gaps:
        return ["It is the only entry with a score, so there is nothing to compare it with."]
    top = f"{best.title} has the best mean, {wording.reached(comparison, best)}"
    sentences = []
    if choice is not best:
        times = f"{wording.seconds(choice.seconds)} instead of {wording.seconds(best.seconds)}"
        level = f"{choice.title} at {wording.reached(comparison, choice)} cannot be told apart from it {over}"
        saves = "needs no training" if choice.name == START else f"trains in {times}"
        sentences.append(f"{top}, but {level} and {saves}.")
    elif tied:
        names = wording.listed([entry.title for entry in tied])
        quicker = _cheapest(best, tied) is not best
        none = "the quicker of them lie too far behind to prefer" if quicker else "none of them is much quicker"
        sentences.append(f"{top}, but {names} cannot be told apart from it {over}; {none}.")
    else:
        second = next(entry for entry in comparison.contestants() if entry.name in gaps)
        behind = gaps[second.name]
        lead = wording.difference(comparison, behind.mean)
        half = wording.difference(comparison, behind.half or 0.0, unit=False)
        sentences.append(f"{top} {over}, ahead of {second.title} by {lead} (± {half}).")
    others = [entry.title for entry in tied if entry is not choice]
    if choice is not best and others:
        sentences.append(f"{wording.listed(others)} cannot be told apart from the best either.")
    return sentences + _against_baseline(comparison, choice, tied)


def _against_baseline(comparison: Comparison, choice: Entry, tied: list[Entry]) -> list[str]:
    plain = next((entry for entry in comparison.contestants() if entry.name in BASELINES), None)
    if plain is None:
        return []
    called = BASELINES[plain.name]
    if plain is choice:
        return [f"No other entry is worth more than {called} here."]
    ahead = (choice.score or 0.0) - (plain.score or 0.0)
    side = "above" if ahead > 0 else "below"
    unsure = ", which is not beyond doubt" if plain in tied else ""
    amount = wording.difference(comparison, ahead)
    against = f"{called} ({wording.score(comparison, plain.score)})"
    return [f"{choice.title} is {amount} {side} {against}{unsure}."]


def _confirmed(comparison: Comparison, choice: Entry) -> list[str]:
    """The score on rows that were kept apart."""
    confirmed = comparison.confirmed
    if confirmed is None or confirmed.name != choice.name or confirmed.score is None:
        return []
    reached = wording.reached(comparison, confirmed)
    apart = f"{wording.count(confirmed.rows)} rows that were kept apart, and that no other entry was scored on"
    return [f"On {apart}, {choice.title} reaches {reached}."]


def _bounds(comparison: Comparison) -> list[str]:
    """Scores of those that learn under easier conditions, in words."""
    return [
        f"{entry.title}, which learns {entry.bound}, reaches {wording.reached(comparison, entry)}."
        for entry in comparison.ranked()
        if entry.bound
    ]


def _references(comparison: Comparison, choice: Entry) -> list[str]:
    """Warnings of lines for reference that the choice is not beyond."""
    sign = 1.0 if comparison.higher_is_better else -1.0
    level = [
        entry
        for entry in comparison.ranked()
        if entry.reference and entry is not choice and sign * ((choice.score or 0.0) - (entry.score or 0.0)) <= 0
    ]
    return [
        f"{choice.title} is no better than the line for reference, {entry.title} "
        f"({wording.reached(comparison, entry)}): {_worth_nothing(entry)}."
        for entry in level
        if AREA not in entry.metrics or AREA in choice.metrics  # of random questions, where the choice asks any
    ]


def _worth_nothing(line: Entry) -> str:
    if AREA in line.metrics:
        return "rows that were drawn at random were worth as much as those it asked about"
    return "nothing has been learned from the inputs that this score could show"


def _saving(comparison: Comparison, choice: Entry) -> list[str]:
    labels = comparison.data.labels_shown
    if choice.name == BASELINE:
        return []
    if choice.labels_equivalent is None:
        if wording.beyond_the_curve(choice) or choice.labels_note.startswith("fewer than"):
            return [f"Plain supervision would need {choice.labels_note} labels to match it."]
        return [f"How many labels it saves is {choice.labels_note}."] if choice.labels_note else []
    times = choice.labels_equivalent / max(labels, 1)
    needed, between = wording.count(choice.labels_equivalent), wording.labels_range(choice)
    if times < 1.05:
        return [f"It saves no labels: plain supervision needs about {needed} to match it{between}."]
    often = f"{wording.number(times, 2)} times the {wording.count(labels)} used here"
    unsure = ""
    if choice.labels_low is not None and choice.labels_low <= 1.05 * labels:
        unsure = " That it saves any is not beyond doubt."
    return [f"Plain supervision would need about {needed} labels to match it{between}, {often}.{unsure}"]


def _unfinished(comparison: Comparison) -> list[str]:
    failed = [entry for entry in comparison.entries if entry.error is not None]
    pending = [entry for entry in comparison.entries if entry.pending and entry.error is None]
    sentences = []
    if failed:
        reasons = "; ".join(f"{entry.title}: {wording.reason(entry, 100)}" for entry in failed)
        sentences.append(f"{len(failed)} of {len(comparison.entries)} failed ({reasons}).")
    sentences += remarks(comparison)
    for caution in dict.fromkeys(entry.caution for entry in comparison.entries if entry.caution):
        titles = [entry.title for entry in comparison.entries if entry.caution == caution]
        sentences.append(f"{wording.listed(titles)}: {caution}")
    if pending:
        names = wording.listed([entry.title for entry in pending])
        sentences.append(f"The comparison was interrupted before {names} finished.")
    return sentences


def _cautions(comparison: Comparison, choice: Entry) -> list[str]:
    sentences = []
    seeds = len(comparison.seeds)
    if seeds < FEW_SEEDS:
        known = "One seed says nothing of" if seeds == 1 else f"{seeds} seeds say little of"
        sentences.append(f"{known} the spread between runs; repeat with --seeds 5.")
    if comparison.confirmed is None and len(comparison.contestants()) > 1 and comparison.interval_over[1:]:
        among = f"The best of {len(comparison.contestants())} was chosen on these {comparison.interval_over[1]}"
        sentences.append(f"{among}, so its own score is a little flattering; {CONFIRM}.")
    by_chance = _test_margin(comparison, choice.score)
    if by_chance is not None and by_chance >= 0.01 and not comparison.interval_over[1:]:
        rows = wording.count(comparison.data.test_rows)
        amount = wording.difference(comparison, by_chance)
        sentences.append(f"With {rows} test rows, any accuracy here is uncertain by ± {amount}.")
    if comparison.metric in PER_TOKEN and all(entry.name != START for entry in comparison.entries):
        sentences.append(
            "Tokens of different tokenizers are different units: only entries that share one can be compared by "
            f"{wording.metric_words(comparison.metric)}; --metric nats_per_character compares them all."
        )
    half = _half(choice)
    limit = WIDE if comparison.percent else 2 * WIDE * abs(choice.score or 0.0)
    if half is not None and half > limit:
        amount = wording.difference(comparison, half)
        more = "more test rows or seeds" if comparison.interval_over[1:] and comparison.data.test_rows else "more seeds"
        sentences.append(f"The interval of {choice.title} is wide (± {amount}); {more} would narrow it.")
    return sentences
