"""Encodings are made once, kept in the cache, and the same however they are stored."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from manyways.data import encoding as encoding_module
from manyways.data import storage
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.specs import ImageSpec, TableSpec, TextSpec
from manyways.data.storage import FileRows, RowNumbers
from manyways.errors import DataError, ModelError


def mixed(count: int = 50) -> Data:
    """A number, a category, a text and an image in every row; the last fifth are test rows."""
    rng = np.random.default_rng(0)
    words = np.array(["some", "words", "that", "come", "in", "any", "order", "here"])
    texts = np.empty(count, object)
    texts[:] = [" ".join(rng.permutation(words)[:5]) for _ in range(count)]
    columns = [
        Column("x", "number", rng.normal(size=count)),
        Column("kind", "category", rng.choice(np.array(["u", "v"], object), count)),
        Column("says", "text", texts),
        Column("image", "image", rng.integers(0, 256, (count, 1, 4, 4), np.uint8)),
    ]
    part = np.where(np.arange(count) >= count * 4 // 5, TEST, 0)
    return Data.from_columns(columns, {"input": [c.name for c in columns]}, part=part, name="mixed")


@pytest.fixture
def encoded_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of TableEncoder.encode encoded; every encoding is written to the cache."""
    calls: list[int] = []
    encode = TableEncoder.encode

    def counted(self: TableEncoder, columns: list[Column], rows: RowNumbers) -> NDArray[np.float32]:
        calls.append(len(rows))
        return encode(self, columns, rows)

    monkeypatch.setattr(encoding_module, "KEPT_IN_MEMORY", 0)
    monkeypatch.setattr(TableEncoder, "encode", counted)
    return calls


def test_modalities_are_the_table_and_each_other_column() -> None:
    specs = InputEncoding.fit(mixed()).specs
    assert list(specs) == ["table", "says", "image"]
    assert isinstance(specs["table"], TableSpec)
    assert isinstance(specs["says"], TextSpec)
    assert specs["image"] == ImageSpec(1, 4, 4)


def test_a_batch_is_an_index_with_the_documented_types() -> None:
    data = mixed()
    encoded = InputEncoding.fit(data).encode(data)
    batch = encoded.batch(np.array([3, 1, 3]))
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "table": torch.float32,
        "says": torch.int64,
        "image": torch.uint8,
    }
    assert np.array_equal(batch["image"].numpy(), data.columns["image"].take(np.array([3, 1, 3])))
    assert len(encoded) == 50
    few = encoded.select(np.array([40, 3]))
    assert all(torch.equal(few.batch(np.array([1]))[name], batch[name][:1]) for name in batch)
    assert all(tensor.is_contiguous() for tensor in batch.values())


def test_changing_a_batch_does_not_change_the_rows() -> None:
    data = mixed()
    encoded = InputEncoding.fit(data).encode(data)
    encoded.batch(np.arange(5))["image"].zero_()
    assert encoded.batch(np.arange(5))["image"].any()
    assert data.columns["image"].take(np.arange(5)).any()


def test_uniform_images_are_not_copied() -> None:
    data = mixed()
    assert InputEncoding.fit(data).encode(data).stores["image"] is data.columns["image"].values


def test_the_second_time_nothing_is_encoded(encoded_rows: list[int], home: Path) -> None:
    data, fitted = mixed(), InputEncoding.fit(mixed())
    first = fitted.encode(data).batch(np.arange(50))
    assert sum(encoded_rows) == 50
    files = sorted((home / "cache").iterdir())
    assert len(files) == 2, "the table and the text are stored, the image is its own store"
    again = InputEncoding.from_json(fitted.to_json()).encode(mixed().select(np.arange(50)[::-1]))
    assert sum(encoded_rows) == 50, "the rows were encoded again"
    assert isinstance(again.stores["table"], np.memmap)
    for name, tensor in again.batch(np.arange(50)[::-1].copy()).items():
        assert torch.equal(tensor, first[name])
    assert sorted((home / "cache").iterdir()) == files


def test_other_rows_or_another_encoder_are_encoded_anew(encoded_rows: list[int]) -> None:
    data = mixed()
    fitted = InputEncoding.fit(data)
    fitted.encode(data)
    other = mixed(40)
    fitted.encode(other)
    assert sum(encoded_rows) == 90
    refitted = InputEncoding.fit(other)
    assert refitted.encoders["table"].key() != fitted.encoders["table"].key()
    refitted.encode(data)
    assert sum(encoded_rows) == 140


def test_memory_cache_and_reading_on_demand_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, encoded_rows: list[int]
) -> None:
    data = mixed()
    fitted = InputEncoding.fit(data)
    positions = np.random.default_rng(0).permutation(50)

    def stored() -> tuple[Encoded, dict[str, torch.Tensor]]:
        encoded = fitted.encode(data)
        return encoded, encoded.batch(positions)

    mapped, first = stored()
    assert isinstance(mapped.stores["table"], np.memmap)
    monkeypatch.setattr(storage, "_address_space", lambda: 1000.0)
    read, second = stored()
    assert isinstance(read.stores["table"], FileRows)
    monkeypatch.setattr(encoding_module, "KEPT_IN_MEMORY", 1 << 20)
    held, third = stored()
    assert type(held.stores["table"]) is np.ndarray
    monkeypatch.setattr(encoding_module, "KEPT_IN_MEMORY", 0)
    monkeypatch.setattr(storage, "CHUNK_BYTES", 200)
    (path,) = [Path(read.stores["table"].path)]
    path.unlink()
    before = len(encoded_rows)
    _, fourth = stored()
    assert len(encoded_rows) > before + 5, "the rows were not encoded in small pieces"
    for name in first:
        assert torch.equal(first[name], second[name])
        assert torch.equal(first[name], third[name])
        assert torch.equal(first[name], fourth[name])


def test_a_damaged_cache_file_is_refused(encoded_rows: list[int], home: Path) -> None:
    data = mixed()
    fitted = InputEncoding.fit(data)
    fitted.encode(data)
    for file in (home / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"bytes of rows; .* expected. Delete it and read again"):
        fitted.encode(data)


def test_a_missing_column_is_named() -> None:
    fitted = InputEncoding.fit(mixed())
    lacking = Data.from_columns([Column("x", "number", np.zeros(3))], {"input": ["x"]}, name="new")
    with pytest.raises(DataError, match=r"new lacks the input column 'kind' that the model was trained on; .* are x"):
        fitted.encode(lacking)


def test_without_inputs_or_training_rows_there_is_nothing_to_fit() -> None:
    data = mixed()
    with pytest.raises(DataError, match="mixed has no training rows to learn from"):
        InputEncoding.fit(data.test)
    text = Data.from_columns([Column("a", "text", np.array(["x y z"], object))], {"text": ["a"]}, name="prose")
    with pytest.raises(DataError, match="prose has no input column; columns are a"):
        InputEncoding.fit(text)


def test_encodings_travel_as_json_and_damage_is_named() -> None:
    fitted = InputEncoding.fit(mixed())
    saved: dict[str, Any] = fitted.to_json()
    back = InputEncoding.from_json(saved)
    assert back.specs == fitted.specs
    assert {name: each.key() for name, each in back.encoders.items()} == {
        name: each.key() for name, each in fitted.encoders.items()
    }
    with pytest.raises(ModelError, match="The saved encoder of 'table' is damaged"):
        InputEncoding.from_json({**saved, "table": {"kind": "table"}})
    with pytest.raises(ModelError, match="The saved encoder of 'image' is damaged: .*There is no encoder 'video'"):
        InputEncoding.from_json({"image": {"kind": "video"}})


def test_encoders_are_fitted_on_training_rows_alone() -> None:
    """Whatever the other rows hold, new words, categories, other scales, the encoders and their specs are the same."""
    data = mixed(60)
    part = np.repeat([TRAINING, VALIDATION, TEST], 20)
    rest = part != TRAINING
    others = {
        "x": np.where(rest, 1000 + 7 * data.take("x"), data.take("x")),
        "kind": np.where(rest, "new", data.take("kind")),
        "says": np.where(rest, "nobody said this before", data.take("says")),
        "image": np.where(rest[:, None, None, None], 255 - data.take("image"), data.take("image")),
    }
    changed = {name: replace(data.columns[name], values=values) for name, values in others.items()}
    encodings = [InputEncoding.fit(replace(data, part=part, columns=columns)) for columns in (data.columns, changed)]
    assert encodings[0].to_json() == encodings[1].to_json()
    everything = InputEncoding.fit(replace(data, columns=changed, part=np.zeros(60, np.int8)))
    assert everything.to_json() != encodings[0].to_json()
