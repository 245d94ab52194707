"""Scores of texts, against sacreBLEU, and by hand."""

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from manyways.text_scores import (
    TEXT_METRICS,
    edit_distance,
    final_answer,
    rouge_l,
    rouge_n,
    text_scores,
    text_statistics,
    token_f1,
)

pytestmark = pytest.mark.quick

REFERENCES = [
    "A man in an orange hat starring at something.",
    "A Boston Terrier is running on lush green grass in front of a white fence.",
    "People are fixing the roof of a house.",
    "Two, or three?",
    "no",
]
WRITTEN = [
    "A man in an orange hat is looking at something.",
    "A Boston terrier runs over lush green grass in front of a white fence .",
    "People repair the roof of a house.",
    "",
    "no",
]


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [1], [3], [4], [2, 3], [0, 4]])
def test_bleu_and_chrf_are_those_of_sacrebleu(rows: list[int]) -> None:
    ours, theirs = [WRITTEN[row] for row in rows], [REFERENCES[row] for row in rows]
    scores = text_scores(text_statistics(ours, theirs).sum(0))
    assert float(scores["bleu"]) == pytest.approx(BLEU().corpus_score(ours, [theirs]).score, abs=1e-9)
    assert float(scores["chrf"]) == pytest.approx(CHRF().corpus_score(ours, [theirs]).score, abs=1e-9)


def test_a_corpus_without_any_long_n_gram_is_smoothed_as_sacrebleu_does() -> None:
    ours, theirs = ["a dog there runs home", "one cat"], ["the dog runs away home", "a cat"]
    scores = text_scores(text_statistics(ours, theirs).sum(0))
    assert float(scores["bleu"]) == pytest.approx(BLEU().corpus_score(ours, [theirs]).score, abs=1e-9)


def test_scores_of_many_sums_are_those_of_each() -> None:
    statistics = text_statistics(WRITTEN, REFERENCES)
    without = statistics.sum(0) - statistics
    together = text_scores(without)
    assert set(together) == set(TEXT_METRICS)
    for row in range(len(WRITTEN)):
        alone = text_scores(without[row])
        assert {name: float(each[row]) for name, each in together.items()} == pytest.approx(
            {name: float(each) for name, each in alone.items()}
        )


def test_rouge_by_hand() -> None:
    # "police kill the gunman" against "police killed the gunman" and its reverse (Lin, 2004).
    assert rouge_n("police kill the gunman", "Police killed the gunman.", 1) == pytest.approx(3 / 4)
    assert rouge_n("police kill the gunman", "police killed the gunman", 2) == pytest.approx(1 / 3)
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(2 / 4)
    assert rouge_l("", "x") == rouge_n("x", "", 1) == 0


def test_answers_are_compared_as_squad_does() -> None:
    assert token_f1("The Eiffel Tower!", "eiffel tower") == 1
    assert token_f1("tower of London", "the tower") == pytest.approx(2 * (1 / 3) * 1 / (1 / 3 + 1))
    assert token_f1("the", "a") == 1
    assert token_f1("", "tower") == 0
    scores = text_scores(text_statistics(["the cat."], ["Cat"]).sum(0))
    assert scores["exact_match"] == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "distance"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("flaw", "lawn", 2),
        ("same", "same", 0),
        ("a", "bcd", 3),
    ],
)
def test_edit_distance(ours: str, theirs: str, distance: int) -> None:
    assert edit_distance(ours, theirs) == edit_distance(theirs, ours) == distance
    assert edit_distance(list(ours), list(theirs)) == distance


def test_error_rates_divide_by_the_references() -> None:
    scores = text_scores(text_statistics(["one two three", "four"], ["one too", "four five six"]).sum(0))
    assert float(scores["word_error_rate"]) == pytest.approx((2 + 2) / 5)
    assert float(scores["character_error_rate"]) == pytest.approx((edit_distance("one two three", "one too") + 9) / 20)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So he has 2 left.\n#### 1,250", "1250"),
        ("5 and 6\nThe answer is 12.50 dollars.", "12.5"),
        ("it is -3", "-3"),
        ("7\nThe Dog", "dog"),
        ("", ""),
    ],
)
def test_the_final_answer(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_no_rows_have_statistics_of_the_right_width() -> None:
    assert text_statistics([], []).shape == (0, text_statistics(["a"], ["a"]).shape[1])
    assert not np.isnan(text_scores(text_statistics([], []).sum(0))["bleu"])
