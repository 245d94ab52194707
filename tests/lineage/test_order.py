"""Models with several inputs come out of the store with their inputs in order, so that what follows is bitwise."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.lineage.forgetting.verification import verify
from manyways.lineage.store.weight_store import DESCRIPTION
from manyways.models.dual_encoder import DualEncoder
from manyways.models.predictor import Predictor
from manyways.testing.trial import difference

WORDS = ("red", "blue", "green", "dog", "cat", "house", "tree", "sun")


@pytest.fixture
def notes(tmp_path: Path) -> Data:
    """A CSV file whose first input, a number, is of a `table`; after it comes a text whose name sorts before that."""
    rng = np.random.default_rng(0)
    with (tmp_path / "notes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "note", "kind", "label", "who"])
        for at in range(90):
            note = f"{' '.join(rng.choice(WORDS, 5))} {at}"
            writer.writerow([round(rng.normal(), 3), note, "abc"[at % 3], "xyz"[at % 3], f"p{at % 10}"])
    return mw.read(tmp_path / "notes.csv", label="label", subject="who", kinds={"note": "text"}).with_test(0.2)


def test_a_fine_tune_of_a_stored_start_is_learned_again_bitwise(notes: Data, store: mw.Store, tmp_path: Path) -> None:
    run = mw.Run(store=store)
    start = mw.Supervised(size=0.25, batch_size=8).fit(notes, budget=4, run=run)
    mw.FineTune(batch_size=8).fit(notes, start, budget=4, run=run)
    kept = store.load(start)
    assert isinstance(kept, Predictor)
    assert list(kept.inputs.specs) == ["table", "note"]
    mw.forget(subject="p1", receipt=tmp_path / "receipt.json")
    verdicts = verify(tmp_path / "receipt.json", allow=mw.receipt_sources(tmp_path / "receipt.json")[0]).models
    assert [(each.verdict, each.note) for each in verdicts] == [("same", "bitwise")] * 2


def test_the_network_says_the_order_where_a_description_was_sorted(notes: Data, tmp_path: Path) -> None:
    start = mw.Supervised(size=0.25, batch_size=8).fit(notes, budget=2)
    saved = json.loads(json.dumps(start.write(tmp_path), sort_keys=True))
    assert list(saved["inputs"]) == ["note", "table"]
    loaded = type(start).read(tmp_path, saved, start.gives, start.lineage)
    made = [mw.FineTune(batch_size=8).fit(notes, each, budget=3) for each in (start, loaded)]
    assert difference(*made) is None


def test_two_towers_are_told_apart_by_name(notes: Data, tmp_path: Path) -> None:
    twins = mw.read(
        {"picture": np.zeros((12, 8, 8), np.uint8) + np.arange(12, dtype=np.uint8)[:, None, None],
         "caption": [f"the picture {at}" for at in range(12)]},
        input=["picture", "caption"], kinds={"caption": "text"},
    )  # fmt: skip
    model = mw.CLIP(size=0.25, batch_size=4).fit(twins, budget=2)
    saved = json.loads(json.dumps(model.write(tmp_path), sort_keys=True))
    loaded = DualEncoder.read(tmp_path, saved, model.gives, model.lineage)
    assert loaded.names == ("picture", "caption")
    assert difference(model, loaded) is None
    assert np.array_equal(model.embed(twins), loaded.embed(twins))


def test_the_store_writes_a_description_in_its_own_order(notes: Data, store: mw.Store) -> None:
    model = mw.Supervised(size=0.25, batch_size=8).fit(notes, budget=1, run=mw.Run(store=store))
    text = (store.weights.place(store.find(model).weights) / DESCRIPTION).read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["kind", "network", "inputs", "target"]
    assert list(json.loads(text)["inputs"]) == ["table", "note"]


def test_a_language_model_on_a_stored_start_is_learned_again_bitwise(store: mw.Store, tmp_path: Path) -> None:
    """A tokenizer that was loaded is written as the one that was made: it does not say where it was read."""
    lines = [{"text": f"what is {at}? it is {2 * at} now", "who": f"p{at % 6}"} for at in range(48)]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    data = mw.read(tmp_path / "lines.jsonl", text="text", subject="who")
    run = mw.Run(store=store)
    start = mw.Pretrain(tokenizer="bytes", context=32, size=0.2, batch_size=4).fit(data, budget=2, run=run)
    mw.Pretrain(batch_size=4).fit(data, start, budget=2, run=run)
    mw.forget(subject="p1", receipt=tmp_path / "receipt.json")
    verdicts = verify(tmp_path / "receipt.json", allow=mw.receipt_sources(tmp_path / "receipt.json")[0]).models
    assert [(each.verdict, each.note) for each in verdicts] == [("same", "bitwise")] * 2
