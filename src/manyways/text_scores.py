"""Scores of written texts against references, as functions of sums over rows, so that they can be jack-knifed.

`text_statistics` gives numbers for each row; the scores of any rows follow from the sums of theirs alone. BLEU and chrF
count as sacreBLEU does (Post, A call for clarity in reporting BLEU scores, 2018), tokens by its 13a.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.metrics import Metric, fraction

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

Floats = NDArray[np.float64]
BLEU_ORDERS, CHRF_ORDERS, CHRF_BETA = 4, 6, 2
SIZES = {"bleu": 2 + 2 * BLEU_ORDERS, "chrf": 3 * CHRF_ORDERS, "means": 6, "words": 2, "characters": 2, "rows": 1}
"""Numbers of a row by what they are for, in this order."""
WIDTH = sum(SIZES.values())
MEANS = ("rouge_1", "rouge_2", "rouge_l", "exact_match", "token_f1", "final_answer_match")
METRICS = (
    Metric("bleu", low=0.0, high=100.0),
    Metric("chrf", low=0.0, high=100.0),
    *map(fraction, MEANS),
    Metric("word_error_rate", higher_is_better=False, low=0.0, fraction=True),
    Metric("character_error_rate", higher_is_better=False, low=0.0, fraction=True),
)
TEXT_METRICS = tuple(metric.name for metric in METRICS)
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
WORD = re.compile(r"\w+")
AMOUNT = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
MARK = "####"
"""Before the final answer, as in GSM8K."""


def text_statistics(written: Sequence[str], references: Sequence[str]) -> Floats:
    """The numbers [rows, WIDTH] from whose sums `text_scores` follow."""
    rows = [_row(text, reference) for text, reference in zip(written, references, strict=True)]
    return np.array(rows, np.float64).reshape(len(rows), WIDTH)


def text_scores(sums: Floats) -> dict[str, Floats]:
    """The `TEXT_METRICS` of sums [..., WIDTH] of rows' statistics, each [...].

    BLEU and chrF are from 0 to 100, as the field writes them; all others are shares. Error rates may exceed 1.
    """
    ends = np.cumsum(list(SIZES.values()))
    parts = dict(zip(SIZES, np.split(np.asarray(sums, np.float64), ends[:-1], axis=-1), strict=True))
    words, characters, rows = parts["words"], parts["characters"], parts["rows"]
    means = parts["means"] / np.maximum(rows, 1)
    return {
        "bleu": _bleu(parts["bleu"]),
        "chrf": _chrf(parts["chrf"]),
        **{name: means[..., place] for place, name in enumerate(MEANS)},
        "word_error_rate": words[..., 0] / np.maximum(words[..., 1], 1),
        "character_error_rate": characters[..., 0] / np.maximum(characters[..., 1], 1),
    }


def _row(text: str, reference: str) -> list[float]:
    ours, theirs = text.split(), reference.split()
    means = [
        rouge_n(text, reference, 1),
        rouge_n(text, reference, 2),
        rouge_l(text, reference),
        float(squad_normal(text) == squad_normal(reference)),
        token_f1(text, reference),
        float(final_answer(text) == final_answer(reference)),
    ]
    letters = edit_distance(" ".join(ours), " ".join(theirs)), len(" ".join(theirs))
    return [
        *_bleu_counts(text, reference), *_chrf_counts(text, reference), *means,
        edit_distance(ours, theirs), len(theirs), *letters, 1,
    ]  # fmt: skip


@cache
def _sentence_bleu() -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="13a", effective_order=True)


def _bleu_counts(text: str, reference: str) -> list[float]:
    score = _sentence_bleu().sentence_score(text, [reference])
    return [score.sys_len, score.ref_len, *score.counts, *score.totals]


def _bleu(sums: Floats) -> Floats:
    """BLEU of sums of lengths, right n-grams and n-grams, with sacreBLEU's exponential smoothing."""
    ours, theirs = sums[..., 0], sums[..., 1]
    right, total = sums[..., 2 : 2 + BLEU_ORDERS], sums[..., 2 + BLEU_ORDERS :]
    misses = np.cumsum((right == 0) & (total > 0), axis=-1)
    precision = np.where(right > 0, right, 0.5**misses) / np.maximum(total, 1)
    whole = (total > 0).all(-1) & (right > 0).any(-1)
    with np.errstate(divide="ignore"):
        brevity = np.minimum(0.0, 1 - theirs / np.maximum(ours, 1))
    return np.where(whole, 100 * np.exp(brevity + np.log(precision).mean(-1)), 0.0)


def _chrf_counts(text: str, reference: str) -> list[float]:
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    counts: list[float] = []
    ours = extract_all_char_ngrams(text, CHRF_ORDERS, include_whitespace=False)
    theirs = extract_all_char_ngrams(reference, CHRF_ORDERS, include_whitespace=False)
    for our, their in zip(ours, theirs, strict=True):
        # As sacreBLEU has it: where a reference is too short for an order, that order does not count.
        counts += [sum(our.values()) if their else 0, sum(their.values()), _overlap(our, their)]
    return counts


def _chrf(sums: Floats) -> Floats:
    """ChrF2 (Popović, 2015) of sums of our, their and common character n-grams by order."""
    by_order = sums.reshape(*sums.shape[:-1], CHRF_ORDERS, 3)
    ours, theirs, common = by_order[..., 0], by_order[..., 1], by_order[..., 2]
    counted = (ours > 0) & (theirs > 0)
    orders = np.maximum(counted.sum(-1), 1)
    precision = (counted * common / np.maximum(ours, 1)).sum(-1) / orders
    recall = (counted * common / np.maximum(theirs, 1)).sum(-1) / orders
    bottom = CHRF_BETA**2 * precision + recall
    score: Floats = 100 * (1 + CHRF_BETA**2) * precision * recall / np.where(bottom > 0, bottom, 1)
    return score


def rouge_n(text: str, reference: str, order: int) -> float:
    """The F1 of common n-grams of words in small letters (ROUGE-N; Lin, 2004)."""
    ours, theirs = (WORD.findall(each.lower()) for each in (text, reference))
    our, their = (Counter(zip(*(words[at:] for at in range(order)), strict=False)) for words in (ours, theirs))
    return _f1(_overlap(our, their), sum(our.values()), sum(their.values()))


def rouge_l(text: str, reference: str) -> float:
    """The F1 of the longest common subsequence of words in small letters (ROUGE-L; Lin, 2004)."""
    ours, theirs = (WORD.findall(each.lower()) for each in (text, reference))
    return _f1(_longest_common(ours, theirs), len(ours), len(theirs))


def squad_normal(text: str) -> str:
    """`text` in small letters without punctuation and articles, with single spaces (Rajpurkar et al., SQuAD, 2016)."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def token_f1(text: str, reference: str) -> float:
    """The F1 of common words after `squad_normal` (SQuAD); of two texts without any, 1."""
    ours, theirs = squad_normal(text).split(), squad_normal(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return _f1(_overlap(Counter(ours), Counter(theirs)), len(ours), len(theirs))


def final_answer(text: str) -> str:
    """The answer that `text` ends with: what follows "####", or its last line; of that the last number, if any.

    Numbers are written without commas and without zeros at the end, so that 1,000.0 is 1000 (GSM8K; Cobbe et al.,
    2021).
    """
    last = text.rpartition(MARK)[2] if MARK in text else (text.strip().splitlines() or [""])[-1]
    numbers = AMOUNT.findall(last)
    if not numbers:
        return squad_normal(last)
    plain = str(numbers[-1]).replace(",", "")
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain).removeprefix("+")


def edit_distance(ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    """The fewest insertions, deletions and substitutions from one sequence to the other (Levenshtein, 1966)."""
    if not ours or not theirs:
        return max(len(ours), len(theirs))
    code: dict[Any, int] = {}
    long, short = sorted(([code.setdefault(part, len(code)) for part in each] for each in (ours, theirs)), key=len)[
        ::-1
    ]
    across = np.asarray(long)
    places = np.arange(len(long) + 1)
    row = places.copy()
    for part in short:
        best = np.minimum(row[1:] + 1, row[:-1] + (across != part))
        step = np.concatenate([[row[0] + 1], best])
        # The insertions along the row: each cell is the least of those before it, one more for each place between.
        row = places + np.minimum.accumulate(step - places)
    return int(row[-1])


def _longest_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    if not ours or not theirs:
        return 0
    row = np.zeros(len(theirs) + 1, np.int64)
    words = np.asarray(theirs, object)
    for word in ours:
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + (words == word)))
    return int(row[-1])


def _overlap(ours: "Counter[Any]", theirs: "Counter[Any]") -> int:
    return sum((ours & theirs).values())


def _f1(common: float, ours: float, theirs: float) -> float:
    return 2 * common / (ours + theirs) if common else 0.0
