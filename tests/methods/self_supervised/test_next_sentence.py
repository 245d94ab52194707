"""NextSentence: what follows what is learned, both tasks change half of the pairs, and chance is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.self_supervised.next_sentence import NextSentence, NextSentenceLearner, framed, marks
from manyways.randomness import generator

SMALL = NextSentence(batch_size=16, size=0.5)


@pytest.fixture(scope="module")
def journal() -> Data:
    return NextSentence.example_data()


def words(learner: NextSentenceLearner, tokens: torch.Tensor) -> list[list[str]]:
    """The two texts of each line of tokens, without marks and padding."""
    (start,) = marks(learner.encoder)[0]
    lines = [[token for token in line if token != learner.encoder.text.padding] for line in tokens.tolist()]
    sides = []
    for line in lines:
        between = line.index(start, 1)
        sides.append([learner.encoder.tokenizer.decode(part) for part in (line[1:between], line[between + 1 :])])
    return sides


@pytest.mark.quick
@pytest.mark.parametrize("task", ["next", "order"])
def test_half_of_the_pairs_are_changed_as_the_task_says(task: str) -> None:
    method = NextSentence(batch_size=64, task=task)  # type: ignore[arg-type]
    texts = [f"{'one' * (at // 100)} two{at % 10} six{at // 10 % 10}" for at in range(260)]
    distinct = Data.from_columns([Column("says", "text", as_objects(texts))], {"input": ["says"]}, name="distinct")
    learner = method.begin(distinct, None, 0)
    numbers = {learner.encoder.tokenizer.decode(ids): at for at, ids in enumerate(learner.pieces)}
    batch = method.draw(learner, 0, generator(0, 0))
    labels = batch["labels"].tolist()
    assert 16 < sum(labels) < 48
    places = [[numbers[text] for text in pair] for pair in words(learner, batch["tokens"])]
    apart = np.array([second - first for first, second in places])
    assert (apart[np.array(labels) == 1] == 1).all()
    wrong = apart[np.array(labels) == 0]
    assert (wrong == -1).all() if task == "order" else (wrong != 1).all() and len(set(wrong.tolist())) > 10


@pytest.mark.quick
def test_two_texts_fit_in_the_network_and_the_longer_one_loses_its_end(journal: Data) -> None:
    encoder = SMALL.begin(journal, None, 0).encoder
    encoder = replace(encoder, text=replace(encoder.text, length=12))
    (start,) = marks(encoder)[0]
    tokens, second = framed(encoder, [[5] * 20, [5] * 2, [5] * 20], [[7] * 20, [7] * 20, [7]])
    assert tokens.shape == (3, 12)
    assert second.tolist() == [7, 4, 11]
    assert tokens.tolist() == [
        [start, *[5] * 5, start, *[7] * 5],
        [start, *[5] * 2, start, *[7] * 8],
        [start, *[5] * 9, start, 7],
    ]


def test_what_follows_is_learned_on_texts_that_were_held_out(journal: Data) -> None:
    """The last days of the journal are told right; where the order is lost, they are told by chance, which is said."""
    part = np.where(np.arange(260) < 200, 0, 1).astype(np.uint8)
    data = replace(journal, part=part)
    method = NextSentence(task="order", learning_rate=4e-3)
    model = method.fit(data, budget="100 steps")
    scores = model.lineage.facts["pretext"]
    assert scores["accuracy"] > 0.75
    assert scores["chance"] == 0.5
    assert scores["pairs"] == 59
    assert "caution" not in model.lineage.facts
    _, without = method.ablations(data)["the order of its texts"]
    lost = method.fit(without, budget="20 steps").lineage.facts
    assert "The pretext task was not learned" in lost["caution"]


def test_running_text_is_read_by_paragraphs_and_features_are_of_each_text(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    source = next(path for path in real_data("tiny-shakespeare").iterdir() if path.suffix == ".txt")
    text = tmp_path / "play.txt"
    text.write_text(source.read_text(encoding="utf-8")[:30_000], encoding="utf-8")
    data = mw.read(text)
    model = SMALL.fit(data, budget=3)
    assert {"accuracy", "chance", "spread"} <= model.lineage.facts["pretext"].keys()
    assert model.embed(data).shape == (len(data), model.network.width)
    assert (SMALL.fit(data, budget=1).lineage.rows == data.ids).all()


@pytest.mark.quick
def test_texts_without_order_are_refused(journal: Data, digits: Data) -> None:
    with pytest.raises(NeedsError, match="texts and no other inputs"):
        SMALL.fit(digits, budget=1)
    with pytest.raises(DataError, match="not at random"):
        SMALL.begin(journal.select(np.arange(0, 260, 2)), None, 0)
    two = Data.from_columns([Column(n, "text", journal.take("says")) for n in "ab"], {"input": ["a", "b"]}, name="two")
    with pytest.raises(NeedsError, match="Name the one whose rows follow each other"):
        SMALL.fit(two, budget=1)
