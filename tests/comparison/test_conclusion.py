"""The answer follows from the numbers."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from manyways.comparison.conclusion import conclude, gaps_behind
from manyways.comparison.results import Comparison, Conclusion, Entry

pytestmark = pytest.mark.quick

MakeEntry = Callable[..., Entry]
MakeComparison = Callable[..., Comparison]


def said(conclusion: Conclusion) -> str:
    return " ".join((*conclusion.sentences, *conclusion.cautions))


def test_a_clear_winner(full: Comparison) -> None:
    conclusion = conclude(full)
    assert conclusion.title == "Take Fixmatch: 96.1% accuracy from 40 labels"
    assert (conclusion.recommended, conclusion.indistinguishable) == ("fixmatch", ())
    text = said(conclusion)
    assert "ahead of Pseudo-Label by 11.0 points" in text
    assert "16.1 points above plain supervision (80.0%)" in text
    assert "about 310 labels to match it, 7.8 times the 40 used here" in text
    assert "1 of 5 failed (Spread: Out of memory at row 7)" in text
    assert "interrupted before Slow finished" in text


def test_pairing_tells_apart_what_overlapping_intervals_would_not(
    make_entry: MakeEntry, make_comparison: MakeComparison
) -> None:
    hard_seed = [0.90, 0.60, 0.75]
    better = make_entry("better", [score + step for score, step in zip(hard_seed, (0.020, 0.021, 0.019), strict=True)])
    comparison = make_comparison(better, make_entry("other", hard_seed, 1.0))
    behind = gaps_behind(comparison)["other"]
    assert behind.mean == pytest.approx(0.02)
    assert behind.error == pytest.approx(0.001 / math.sqrt(3))
    assert behind.half == pytest.approx(4.3027 * 0.001 / math.sqrt(3), rel=0.1), "of two entries Student's t, drawn"
    assert behind.distinguishable
    assert conclude(comparison).recommended == "better"


def test_a_tie_goes_to_the_quicker(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (
        make_entry("grand", [0.950, 0.940, 0.945], 60.0),
        make_entry("plain", [0.945, 0.944, 0.942], 6.0),
        make_entry("middling", [0.939, 0.947, 0.944], 20.0),
    )
    conclusion = conclude(make_comparison(*entries))
    assert conclusion.recommended == "plain"
    assert set(conclusion.indistinguishable) == {"plain", "middling"}
    assert conclusion.title.endswith("level with the best and quicker")
    assert "trains in 6.0 s instead of 60 s" in said(conclusion)
    assert "Middling cannot be told apart from the best either" in said(conclusion)


def test_a_tie_that_is_hardly_quicker_changes_nothing(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (make_entry("a", [0.95, 0.94, 0.945], 60.0), make_entry("b", [0.945, 0.944, 0.942], 59.0))
    conclusion = conclude(make_comparison(*entries))
    assert conclusion.recommended == "a"
    assert "none of them is much quicker" in said(conclusion)


def test_few_seeds_do_not_make_a_far_worse_way_as_good(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (make_entry("good", [0.95, 0.93], 60.0), make_entry("poor", [0.60, 0.85], 2.0))
    conclusion = conclude(make_comparison(*entries))
    assert conclusion.indistinguishable == ("poor",)
    assert conclusion.recommended == "good"
    assert "lie too far behind" in said(conclusion)
    assert "2 seeds say little" in said(conclusion)


def test_lower_is_better(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (
        make_entry("supervised", [58.0, 58.2, 57.9], labels_equivalent=40.0),
        make_entry("ridge", [50.1, 50.0, 50.2], labels_equivalent=120.0),
    )
    comparison = make_comparison(*entries, metric="rmse", higher_is_better=False, task="regression")
    conclusion = conclude(comparison)
    assert conclusion.title == "Take Ridge: 50.1 RMSE from 40 labels"
    assert "ahead of Supervised by 7.9" in said(conclusion)
    assert "7.9 below plain supervision" in said(conclusion)
    assert "test rows" not in said(conclusion)


def test_one_seed_falls_back_on_the_test_set(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    close = make_comparison(make_entry("a", [0.90]), make_entry("b", [0.89], 1.0))
    conclusion = conclude(close)
    assert conclusion.indistinguishable == ("b",)
    assert conclusion.recommended == "b"
    assert "One seed says nothing of the spread" in said(conclusion)
    far = conclude(make_comparison(make_entry("a", [0.90]), make_entry("b", [0.70], 1.0)))
    assert (far.recommended, far.indistinguishable) == ("a", ())


def test_one_seed_without_any_error_tells_nothing_apart(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (make_entry("a", [1.0]), make_entry("b", [2.0], 1.0))
    conclusion = conclude(make_comparison(*entries, metric="rmse", higher_is_better=False))
    assert (conclusion.recommended, conclusion.indistinguishable) == ("a", ("b",))


def test_a_single_entry(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    conclusion = conclude(make_comparison(make_entry("fixmatch", [0.90, 0.91, 0.92])))
    assert conclusion.title == "Fixmatch reaches 91.0% accuracy from 40 labels"
    assert "nothing to compare it with" in said(conclusion)


def test_nothing_ran(make_comparison: MakeComparison) -> None:
    failed = Entry("a", "A", error="no labels")
    assert conclude(make_comparison(failed)).title == "No way of learning ran to the end"
    assert conclude(make_comparison(failed)).recommended is None
    assert "1 of 1 failed (A: no labels)" in said(conclude(make_comparison(failed)))
    pending = make_comparison(failed, Entry("b", "B", pending=True))
    assert conclude(pending).title == "No way of learning has finished yet"
    assert conclude(make_comparison()).title == "Nothing was compared"


def test_a_missing_seed_is_not_paired(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    whole = make_entry("whole", [0.9, 0.9, 0.9])
    part = replace(make_entry("part", [0.895, 0.895]), scores=(0.895, None, 0.885))
    behind = gaps_behind(make_comparison(whole, part))["part"]
    assert behind.mean == pytest.approx(0.01)
    assert behind.error == pytest.approx(0.005 * math.sqrt(2) / math.sqrt(2))
    assert not behind.distinguishable


def test_distances_found_from_test_rows_are_used(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    """Two closed forms without any spread over seeds: on 36 rows one is right once more."""
    one, other = make_entry("one", [1.0, 1.0, 1.0]), make_entry("other", [0.972, 0.972, 0.972])
    other = replace(other, behind=0.028, behind_error=0.039, behind_half=0.08)
    comparison = make_comparison(one, other, interval_over=("seeds", "test rows"))
    assert conclude(comparison).indistinguishable == ("other",)
    assert "cannot be told apart from it over 3 seeds and 400 test rows" in said(conclude(comparison))
    assert "The best of 2 was chosen on these test rows" in said(conclude(comparison))
    told = replace(comparison, entries=(one, replace(other, behind_half=0.02)))
    assert conclude(told).indistinguishable == ()


def test_labels_without_a_number(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    other = make_entry("b", [0.5, 0.51, 0.5])
    for note in ("more than 1,400", "about 1,400 or more"):
        more = make_entry("a", [0.9, 0.91, 0.9], labels_note=note)
        assert f"need {note} labels to match it" in said(conclude(make_comparison(more, other)))
    unknown = replace(more, labels_note="not measurable: no plain supervision was run")
    assert "match it" not in said(conclude(make_comparison(unknown, other)))
    assert "How many labels it saves is not measurable: no plain" in said(conclude(make_comparison(unknown, other)))
    between = replace(more, labels_note="", labels_equivalent=190.0, labels_low=138.0, labels_high=273.0)
    text = said(conclude(make_comparison(between, other)))
    assert "need about 190 labels to match it (138 to 273), 4.8 times the 40 used here" in text
    open_end = replace(between, labels_low=40.0, labels_high=None)
    text = said(conclude(make_comparison(open_end, other)))
    assert "(40 or more), 4.8 times the 40 used here. That it saves any is not beyond doubt." in text
    none = replace(more, labels_note="", labels_equivalent=40.0)
    assert "It saves no labels" in said(conclude(make_comparison(none, other)))


def test_a_small_test_set_is_cautioned_against(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (make_entry("a", [0.9, 0.9, 0.91]), make_entry("b", [0.5, 0.51, 0.5]))
    assert "With 100 test rows" in said(conclude(make_comparison(*entries, test_rows=100)))
    assert "test rows" not in said(conclude(make_comparison(*entries, test_rows=100_000)))


def test_plain_supervision_may_win(make_entry: MakeEntry, make_comparison: MakeComparison) -> None:
    entries = (make_entry("supervised", [0.9, 0.9, 0.91]), make_entry("b", [0.5, 0.51, 0.5]))
    conclusion = conclude(make_comparison(*entries))
    assert conclusion.recommended == "supervised"
    assert "No other entry is worth more than plain supervision here" in said(conclusion)
