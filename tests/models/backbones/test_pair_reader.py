"""A pair is read in windows: each token is that of the window with the most context, and stands for its characters."""

from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from checkpoints import tiny_bert
from manyways.data.columns import Column
from manyways.data.encoders.pair import PairEncoder, PairSpec
from manyways.data.specs import TextSpec
from manyways.models.backbones.pair_reader import PairReader, best_windows, window_starts

WORDS = "the quick brown Fox jumps, over ½ lazy dogs' naïve tails and sleeps"


def encoder(count: int = 40) -> tuple[PairEncoder, list[Column]]:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.permutation(WORDS.split() * 3)) for _ in range(count)]
    questions = ["which fox?", "what jumps over it?"] * (count // 2)
    columns = [
        Column("question", "text", np.array(questions, object)),
        Column("context", "text", np.array(texts, object)),
    ]
    return PairEncoder.fit(columns, np.arange(count)), columns


@pytest.mark.quick
def test_tokens_stand_for_their_characters() -> None:
    pair, columns = encoder()
    (piece,) = pair.pieces(["  " + WORDS + "  "])
    text = "  " + WORDS + "  "
    pieces = [text[start:end].strip() for _, start, end in piece]
    assert "".join(pieces) == WORDS.replace(" ", "")
    assert (np.diff(piece[:, 1]) >= 0).all()
    # A text is kept once, however many questions are about it.
    rows = pair.rows_of([columns[0], Column("context", "text", np.array([WORDS] * 40, object))], np.arange(40))
    assert len(rows.texts) == 1
    assert rows[np.array([3, 5])].shape == (2, pair.spec.question + len(rows.texts[0]), 3)
    again = PairEncoder.from_json(pair.to_json())
    assert np.array_equal(again.encode(columns, np.arange(40)), pair.encode(columns, np.arange(40)))


@pytest.mark.quick
def test_windows_begin_a_stride_apart_and_cover_the_text() -> None:
    assert window_starts(10, 10, 4).tolist() == [0]
    assert window_starts(11, 10, 4).tolist() == [0, 4]
    assert window_starts(25, 10, 4).tolist() == [0, 4, 8, 12, 16]


@pytest.mark.quick
@pytest.mark.parametrize("length", [1, 9, 10, 11, 23, 60])
def test_a_token_is_of_the_window_where_it_has_the_most_context(length: int) -> None:
    starts = window_starts(length, 10, 4)
    best = best_windows(length, 10, starts)
    for place in range(length):
        held = [
            min(place - start, min(start + 10, length) - 1 - place) if start <= place < start + 10 else -1
            for start in starts.tolist()
        ]
        assert held[best[place]] == max(held) >= 0


@pytest.mark.quick
def test_the_token_of_a_text_is_taken_from_its_window() -> None:
    text = TextSpec(1000, 20, 0, 2)
    spec = PairSpec(text, 60, 8, (1,), (3,), (4,))
    reader = PairReader(
        encoder={"name": "text-transformer", **_tiny()}, window=20, question=8, before=[1], between=[3], after=[4],
        padding=0, stride=6,
    ).eval()  # fmt: skip
    seen: list[tuple[list[int], list[int]]] = []

    def states(ids: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
        seen.extend(zip(ids.tolist(), sides.tolist(), strict=True))
        return ids[..., None].float().expand(-1, -1, reader.width)

    reader._states = states  # type: ignore[method-assign]
    x = torch.full((2, 8 + 30, 3), -1)
    x[:, :2, 0] = torch.tensor([50, 51])
    x[0, 8:38, 0] = torch.arange(100, 130)
    x[1, 8:13, 0] = torch.arange(200, 205)
    x[:, 8:, 1:] = torch.arange(60).view(30, 2)
    tokens = reader.tokens(x)
    assert tokens.features[0, 1:, 0].tolist() == list(range(100, 130))
    assert tokens.features[1, 1:6, 0].tolist() == list(range(200, 205))
    assert tokens.features[:, 0, 0].tolist() == [1.0, 1.0]
    assert tokens.mask is not None
    assert tokens.mask.sum(1).tolist() == [31, 6]
    assert torch.equal(tokens.places, x[:, 8:, 1:])
    # 20 tokens hold [CLS], two of the question, [SEP], 15 of the text and [SEP].
    lines = [[token for token in ids if token] for ids, _ in seen]
    assert lines[0] == [1, 50, 51, 3, *range(100, 115), 4]
    assert [line[4] for line in lines] == [100, 106, 112, 118, 200]
    assert spec.shape == (68, 3)
    assert seen[0][1] == [0] * 4 + [1] * 16


def _tiny() -> dict[str, object]:
    return {"vocabulary": 1000, "length": 20, "dimension": 32, "depth": 1, "heads": 1, "padding": 0, "dropout": 0.0}


@pytest.mark.quick
def test_long_texts_do_not_change_what_short_windows_say() -> None:
    pair, columns = encoder()
    reader = PairReader.for_spec(pair.spec).eval()
    x = torch.from_numpy(pair.encode(columns, np.arange(4))).long()
    alone = reader.tokens(x[:1]).features
    together = reader.tokens(x).features[:1, : alone.shape[1]]
    assert torch.allclose(alone, together, atol=1e-5)


def test_a_checkpoint_reads_pairs_with_its_own_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    words = ["who", "what", "the", "answer", "is", "here", "?", *map(str, range(20))]
    answers = [str(place) for place in range(20)]
    table = {
        "question": ["who ?", "what ?"] * 10,
        "context": [f"the answer is {answer} here " * 4 for answer in answers],
        "answer": [{"text": answer, "start": 14} for answer in answers],
    }
    data = mw.read(table, label="answer")
    folder = tiny_bert(tmp_path / "bert", words, positions=24)
    model = mw.Supervised(backbone=str(folder), batch_size=4).fit(data, budget="2 steps")
    (reader,) = model.network.parts
    assert isinstance(reader, PairReader)
    # Its 24 positions hold [CLS], 2 words, [SEP], 18 of 20 and [SEP]: two windows.
    assert reader.window == 24
    model.save(tmp_path / "model")
    assert mw.load(tmp_path / "model").predict(data).tolist() == model.predict(data).tolist()
