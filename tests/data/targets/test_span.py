"""Answers are learned by their tokens and given back to the character, scored as SQuAD scores them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.data.targets.span import LONGEST, SpanOutputs, SpanTarget, token_places
from manyways.errors import DataError, NeedsError

NAMES = ("Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
PLACES = ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Perth")


def people(count: int = 240, lacking: bool = False) -> Data:
    """Who moved where and when; nothing says why."""
    rng = np.random.default_rng(0)
    table: dict[str, list[object]] = {"question": [], "context": [], "answer": []}
    for row in range(count):
        who, where, when = str(rng.choice(NAMES)), str(rng.choice(PLACES)), str(rng.integers(1900, 2000))
        context = f"In {when} {who} moved to {where}." if row % 2 else f"{who} went to {where} in {when}."
        asked = [("Who moved?", who), ("Where was it?", where), ("When was it?", when), ("Why was it?", "")]
        question, answer = asked[row % (4 if lacking else 3)]
        table["question"].append(question)
        table["context"].append(context)
        spans = [(answer, context.index(answer))] if answer else []
        table["answer"].append({"text": [each[0] for each in spans], "start": [each[1] for each in spans]})
    return mw.read(table, label="answer")


def outputs() -> SpanOutputs:
    """Of two texts of four and three tokens, three characters each with a blank between."""
    places = torch.tensor([[0, 3], [4, 7], [8, 11], [12, 15]]).expand(2, -1, -1).clone()
    mask = torch.tensor([[True] * 5, [True] * 4 + [False]])
    generator = torch.Generator().manual_seed(0)
    start, end = (torch.randn(2, 5, generator=generator).masked_fill(~mask, -1e4) for _ in range(2))
    return SpanOutputs(start, end, mask, places)


@pytest.mark.quick
def test_answers_are_those_tokens_that_share_a_character_with_them() -> None:
    labels = torch.tensor([[4, 11], [5, 6]])
    assert [each.tolist() for each in token_places(outputs(), labels)] == [[2, 2], [3, 2]]
    assert [each.tolist() for each in token_places(outputs(), torch.tensor([[-1, -1], [3, 9]]))] == [[0, 2], [0, 3]]


@pytest.mark.quick
def test_the_loss_is_the_mean_cross_entropy_of_both_ends() -> None:
    out = outputs()
    losses = SpanTarget("answer").losses(out, torch.tensor([[4, 11], [-1, -1]]))
    first = cross_entropy(out.start, torch.tensor([2, 0]), reduction="none")
    last = cross_entropy(out.end, torch.tensor([3, 0]), reduction="none")
    assert torch.allclose(losses, (first + last) / 2)
    target = SpanTarget("answer")
    assert target.known(torch.tensor([[-2, -2], [-1, -1], [0, 3]])).tolist() == [False, True, True]
    assert target.consistency_loss(out, out) == 0
    assert target.distillation_loss(out, out, 2.0) < target.distillation_loss(out, out[torch.tensor([1, 0])], 2.0)


@pytest.mark.quick
def test_the_best_span_does_not_end_before_it_begins_nor_too_far_away() -> None:
    count = LONGEST + 10
    places = torch.arange(2 * count).view(1, count, 2)
    start, end = torch.zeros(1, count + 1), torch.zeros(1, count + 1)
    start[0, 1 + 5], start[0, 1 + 0], end[0, 1 + 3], end[0, 1 + 34] = 3.0, 2.5, 3.0, 2.0
    out = SpanOutputs(start, end, torch.ones(1, count + 1, dtype=torch.bool), places)
    # 5 … 3 ends before it begins, 5 … 34 is 30 tokens long, 0 … 34 too long; 0 … 3 has the most of the rest.
    both = {pair: float(start[0, 1 + pair[0]] + end[0, 1 + pair[1]]) for pair in ((5, 34), (0, 3))}
    best = max(both, key=lambda pair: both[pair])
    (guess,) = SpanTarget("answer").predictions(out)
    assert guess.code.tolist() == [2 * best[0], 2 * best[1] + 1]
    start[0, 0] = end[0, 0] = 9.0
    assert SpanTarget("answer").predictions(out)[0].code.tolist() == guess.code.tolist()
    (none,) = SpanTarget("answer", may_lack=True).predictions(out)
    assert none.code.tolist() == [-1, -1]
    assert 0.9 < none.confidence < 1


@pytest.mark.quick
def test_the_nearest_of_several_answers_is_scored() -> None:
    context = "Denver Broncos won"
    answers = {"text": ["Denver Broncos", "Broncos"], "start": [0, 7]}
    data = mw.read({"question": ["who?"] * 4, "context": [context] * 4, "answer": [answers] * 4}, label="answer")
    target = Target.fit(data)
    assert isinstance(target, SpanTarget)
    codes = target.encode(data)
    assert codes.tolist() == [[0, 14]] * 4
    guesses = [np.array(code) for code in ([7, 14], [0, 14], [7, 18], [-1, -1])]
    assert target.decode_rows(guesses, data).tolist()[0] == {"text": "Broncos", "start": 7}
    scores, by_row = target.scores_of_rows(guesses, codes, data, "answer_f1")
    assert scores["exact_match"] == 0.5
    assert scores["answer_f1"] == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)
    assert by_row is not None
    assert np.allclose(by_row, [1, 1, 2 / 3, 0], atol=1e-6)
    example = target.example(data.select(np.array([0])), codes[0], guesses[0])
    assert example == {"question": "who?", "context": context, "truth": [0, 14], "predicted": [7, 14]}
    assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target


def test_two_texts_are_needed() -> None:
    data = mw.read({"context": ["a b c"] * 3, "answer": [{"text": "b", "start": 2}] * 3}, label="answer")
    with pytest.raises(DataError, match='Name both: input=\\("question", "context"\\)'):
        mw.Supervised().fit(data, budget="1 step")
    table = {"count": [1.5, 2.5, 3.5], "answer": [{"text": "b", "start": 2}] * 3}
    with pytest.raises(DataError, match="no input is a text"):
        mw.read(table, label="answer")
    split = people(20)
    model = mw.Supervised().fit(split, budget="1 step")
    with pytest.raises(DataError, match="'context' is empty in row 1"):
        model.predict({"question": ["who?", "who?"], "context": ["Ada lives.", ""]})


def test_a_network_from_scratch_answers_and_says_where_there_is_no_answer(tmp_path: Path) -> None:
    split = people(360, lacking=True).with_test(0.2)
    model = mw.Supervised(learning_rate=3e-3).fit(split, budget="160 steps")
    scores = model.evaluate(split.test)
    assert scores["exact_match"] > 0.6
    answers = model.predict(split.test)
    contexts = split.test.take("context")
    assert {answer["text"] for answer in answers} >= {""}
    assert all(
        not answer["text"] or context[answer["start"] :].startswith(answer["text"])
        for answer, context in zip(answers, contexts, strict=True)
    )
    model.save(tmp_path / "model")
    again = mw.load(tmp_path / "model")
    assert again.predict(split.test).tolist() == answers.tolist()
    asked = {"question": ["Where was it?"], "context": ["  Eve went to Oslo in 1950, at last. "]}
    (answer,) = again.predict(asked)
    assert asked["context"][0][answer["start"] :].startswith(answer["text"])


@pytest.mark.quick
def test_a_start_that_read_question_and_text_apart_is_refused() -> None:
    with pytest.raises(NeedsError, match="inputs that are read together. Begin with supervised"):
        (mw.SimCLR() >> mw.Supervised()).fit(people(12), budget="2 steps")
