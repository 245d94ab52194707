"""After forgetting nothing of the rows is in any file of Manyways' home: not what they held, nor their ids or names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.data.transport import save_table
from manyways.methods.features import plain_features

WHO = "zoe-quixano"
WORD = "quixotically"


def files(home: Path) -> Iterator[Path]:
    return (path for path in home.rglob("*") if path.is_file())


def traces(home: Path, secrets: list[bytes]) -> list[str]:
    """The files in which any of `secrets` is."""
    return [str(path.relative_to(home)) for path in files(home) if any(each in path.read_bytes() for each in secrets)]


def secrets_of(data: Data, column: str) -> list[bytes]:
    """What must not be found of rows: their ids, raw and as text, their images, and the name."""
    ids = [each.tobytes() for each in data.ids] + [id_text(each).encode() for each in data.ids]
    images = [np.ascontiguousarray(image).tobytes() for image in data.take(column)]
    assert all(len(set(image)) > 8 for image in images), "images that are all alike could be found anywhere"
    return [*ids, *images, WHO.encode()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 90 photos by five people, one of them Zoe."""
    rng = np.random.default_rng(0)
    names = ["ann", "bob", "cleo", "dan", WHO]
    (tmp_path / "photos").mkdir()
    for at in range(90):
        pixels = rng.integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{at % 3}_{names[at % 5]}_{at}.png")
    return tmp_path / "photos"


def test_nothing_of_the_images_is_left(photos: Path, home: Path, store: mw.Store) -> None:
    data = mw.read(photos, label_pattern=r"(?P<label>\d)_(?P<who>[\w-]+)_.*", subject="who").with_test(0.2)
    model = (mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()).fit(data, budget=4, run=mw.Run(store=store))
    mw.KMeans(clusters=3).fit(data, run=mw.Run(store=store))
    # What a comparison would have left.
    save_table(data, home / "comparisons" / "old" / "table")
    model.save(home / "comparisons" / "other" / "job" / "model")
    apart = data.select(data.take("who") != WHO)
    mw.KMeans(clusters=2).fit(apart).save(home / "comparisons" / "apart" / "job" / "model")
    secrets = secrets_of(data.select(data.take("who") == WHO), "image")
    before = traces(home, secrets)
    assert any(path.startswith("cache/") for path in before)
    assert any(path.startswith("store/store.db") for path in before)
    assert any("rows.safetensors" in path for path in before)
    done = mw.forget(subject=WHO)
    assert len(done.receipt["rows"]) == 18
    assert traces(home, secrets) == []
    assert (home / "comparisons" / "apart" / "job" / "model").exists(), "what the rows never reached stays"
    assert not (home / "comparisons" / "old").exists()
    assert not list(home.rglob("*.part"))
    assert not (store.folder / "forgetting").exists()
    trained = data.training
    assert {record.forgotten for record in store.models()} == {int((trained.take("who") == WHO).sum())}


def test_nothing_is_left_in_slices_exemplars_and_neighbours(photos: Path, home: Path, store: mw.Store) -> None:
    data = mw.read(
        photos, label_pattern=r"(?P<label>\d)_(?P<who>[\w-]+)_.*", subject="who", kinds={"label": "category"}
    )
    run = mw.Run(store=store)
    mw.Sharded(method=mw.Supervised(size=0.25), shards=2, slices=2).fit(data, budget=8, run=run)
    mw.Replay(size=0.25).fit(data.with_tasks(3), budget=9, run=run)
    near = mw.NearestNeighbours().fit(data, run=run)
    mine = data.select(data.take("who") == WHO)
    vectors = plain_features(mine, None).alone(mine)
    held = near.network.state_dict()["head.rows"].numpy()  # type: ignore[operator]
    kept = [row.tobytes() for row in held if (np.abs(vectors - row).max(1) < 1e-6).any()]
    assert len(kept) == len(mine), "what the neighbours hold of her"
    secrets = [*secrets_of(mine, "image"), *kept]
    assert any("weights" in path for path in traces(home, kept))
    done = mw.forget(subject=WHO)
    assert len(done.receipt["models"]) >= 3
    assert traces(home, secrets) == []


def test_nothing_of_the_words_is_left(tmp_path: Path, home: Path, store: mw.Store) -> None:
    rng = np.random.default_rng(0)
    words = ["red", "green", "blue", "round", "large", "small", "warm", "cold"]
    lines = ["text,who,label"]
    for at in range(80):
        said = " ".join(rng.choice(words, 6))
        zoe = at % 8 == 3
        lines.append(f"{said} {WORD if zoe else 'plainly'} {at},{WHO if zoe else f'p{at % 8}'},{at % 2}")
    path = tmp_path / "said.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = mw.read(path, subject="who", input="text", kinds={"text": "text"})
    mw.Supervised(size=0.25).fit(data, budget=4, run=mw.Run(store=store))
    secrets = [WORD.encode(), WHO.encode(), *(each.tobytes() for each in data.select(data.take("who") == WHO).ids)]
    assert any("description.json" in name for name in traces(home, secrets)), "the vocabulary has the word"
    mw.forget(subject=WHO)
    assert traces(home, secrets) == []


def test_how_this_machine_computes_is_not_forgotten(photos: Path, home: Path, store: mw.Store) -> None:
    """Which way a population is run decides its last bits."""
    data = mw.read(photos, label_pattern=r"(?P<label>\d)_(?P<who>[\w-]+)_.*", subject="who")
    mw.KMeans(clusters=3).fit(data, run=mw.Run(store=store))
    (home / "cache").mkdir(exist_ok=True)
    (home / "cache" / "population-abc").write_text("1", encoding="ascii")
    (home / "cache" / "abc.unpacked").mkdir()
    mw.forget(subject=WHO)
    assert [path.name for path in (home / "cache").iterdir()] == ["population-abc"]
