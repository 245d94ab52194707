"""Hugging Face data sets, in memory and by name."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways import hub
from manyways.errors import DataError, ModelError
from manyways.models.language.architectures import load_network

datasets = pytest.importorskip("datasets")
# The package itself warns on some Python versions; that is not ours to fail on.
pytestmark = pytest.mark.filterwarnings("default:::datasets", "default:::multiprocess")


def png(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (5, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(colours: list[int], labels: list[int | None]) -> "datasets.Dataset":
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    images = [{"bytes": png(colour), "path": None} for colour in colours]
    return datasets.Dataset.from_dict({"image": images, "kind": labels}, features=features)


def test_images_and_class_labels() -> None:
    data = mw.read(pictures([10, 20, 30], [1, None, 0]))
    assert data.roles == {"label": ("kind",), "input": ("image",)}
    assert data.take("kind").tolist() == ["dog", None, "cat"]
    assert data.labelled.tolist() == [True, False, True]
    assert data.take("image")[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_splits_are_parts() -> None:
    splits = datasets.DatasetDict(test=pictures([1], [0]), train=pictures([2, 3], [0, 1]))
    data = mw.read(splits)
    assert data.part.tolist() == [0, 0, 2]
    assert data.take("image")[:, 0, 0, 0].tolist() == [2, 3, 1]
    splits["extra"] = pictures([4], [1])
    with pytest.raises(DataError, match=r"has the splits test, train, extra; 'extra' names no part"):
        mw.read(splits)


def test_a_selection_keeps_its_own_rows() -> None:
    chosen = pictures([10, 20, 30, 40], [0, 1, 0, 1]).select([3, 1])
    assert mw.read(chosen).take("image")[:, 0, 0, 0].tolist() == [40, 20]


def test_numbers_texts_and_vectors() -> None:
    rows = {
        "x": [1.5, None, 2.5],
        "says": ["a b c", "d e f", "g h i"],
        "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    }
    data = mw.read(datasets.Dataset.from_dict(rows), bad_rows="skip")
    assert data.take("x").tolist() == [1.5, 2.5]
    assert data.columns["says"].kind == "text"
    assert data.take("v").tolist() == [[1, 2], [5, 6]]


def test_sounds_without_torchcodec() -> None:
    soundfile = pytest.importorskip("soundfile")
    wave = np.arange(400, dtype=np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 8000, format="WAV", subtype="PCM_16")
    sounds = {"audio": [{"bytes": buffer.getvalue(), "path": "x.wav"}] * 2, "label": ["a", "b"]}
    data = mw.read(datasets.Dataset.from_dict(sounds).cast_column("audio", datasets.Audio()))
    assert data.inputs[0].rate == 8000
    assert np.array_equal(data.take("audio")[1], wave)


def test_parquet_files_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pictures([10, 20], [0, 1]).to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"))
    data = mw.read(tmp_path / "data", label="kind")
    assert data.take("image")[:, 0, 0, 0].tolist() == [10, 20]
    assert data.take("kind").tolist() == [0, 1]


def test_a_name_is_looked_up_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(*given: object) -> object:
        asked.append(given)
        return datasets.DatasetDict(train=pictures([10, 20], [0, 1]))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    data = mw.read("hub:somebody/pets:small")
    assert asked == [("somebody/pets", "small")]
    assert len(data) == 2
    assert data.source == "hub:somebody/pets:small"


def test_what_cannot_be_loaded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*given: object) -> object:
        raise ConnectionError("Couldn't reach 'somebody/pets' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match=r"hub:somebody/pets cannot be loaded from the .* Hub: Couldn't reach"):
        mw.read("hub:somebody/pets")
    with pytest.raises(DataError, match=r"'hub:pets' is no name on the Hugging Face Hub\. Write hub:owner/name"):
        mw.read("hub:pets")


def test_a_path_that_is_not_there_is_never_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: pytest.fail("the Hub was asked"))
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    (tmp_path / "photos" / "people.csv").write_text("a,label\n1,x\n")
    for given, near in {
        "photos/peple.csv": "photos/people.csv",
        "phots/people.csv": "photos/people.csv",
        "phots/sumer": "photos/summer",
        str(tmp_path / "photo" / "people.csv"): str(tmp_path / "photos" / "people.csv"),
        "digitts": "digits",
    }.items():
        with pytest.raises(DataError, match="There is no file or folder") as error:
            mw.read(given)
        assert f"Did you mean {near!r}?" in str(error.value)
    with pytest.raises(DataError, match="A data set on the Hugging Face Hub is written hub:somebody/pets"):
        mw.read("somebody/pets")


def test_without_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(DataError, match=r"hub:somebody/pets is on .*pip install 'manyways\[hub\]'"):
        mw.read("hub:somebody/pets")


def test_the_hub_is_asked_once_and_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[float] = []

    class Session:
        def head(self, url: str, timeout: float) -> None:
            asked.append(timeout)
            raise ConnectionError("no network")

    monkeypatch.setattr(hub, "_answers", [])
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    slept: list[float] = []  # between tries
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(DataError, match="cannot be loaded from the Hugging Face Hub"):
        mw.read("hub:somebody/pets-that-nobody-has")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_network("somebody/model-that-nobody-has", "causal")
    assert not slept
    assert asked == [hub.SECONDS]
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE
