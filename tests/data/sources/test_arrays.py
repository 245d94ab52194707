"""Arrays, tensors and frames in memory."""

from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.inference import arrays
from manyways.data.sources import rows
from manyways.data.sources.memory import as_values
from manyways.errors import DataError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 2, 1])


# --- in memory ---


def test_matrix_and_labels() -> None:
    x = RNG.normal(size=(4, 3))
    for source in ((x, LABELS), (torch.from_numpy(x), torch.from_numpy(LABELS)), (x, LABELS.tolist())):
        data = mw.read(source)
        assert data.roles == {"label": ("label",), "input": ("x0", "x1", "x2")}
        assert np.array_equal(data.take("x1"), x[:, 1])
        assert data.take("label").tolist() == LABELS.tolist()
    assert mw.read(x, label=LABELS).roles["label"] == ("label",)
    assert mw.read(x, label=torch.tensor([1.5, 2, 3, 4])).label_kind == "number"
    assert not mw.read(x).has("label")


def test_wide_matrices_stay_one_column() -> None:
    data = mw.read((RNG.normal(size=(4, 65)).astype(np.float32), LABELS))
    assert data.roles["input"] == ("x",)
    assert data.take("x").shape == (4, 65)


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 1, 6, 5), (4, 3, 6, 5), (4, 6, 5, 1), (4, 6, 5, 3)])
def test_image_layouts(shape: tuple[int, ...]) -> None:
    images = RNG.integers(0, 256, shape, np.uint8)
    data = mw.read((images, LABELS))
    assert data.roles["input"] == ("image",)
    taken = data.take("image")
    if len(shape) == 3:
        assert np.array_equal(taken, images[:, None])
    else:
        assert np.array_equal(taken, images if shape[1] in (1, 3) else images.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("images", "want"),
    [
        (np.array([0, 0.5, 1]), [0, 128, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0, 7, 255]), [0, 7, 255]),
        (np.array([0.0, 7.0, 255.0]), [0, 7, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
        (np.array([0, 1, 1]), [0, 1, 1]),
    ],
)
def test_pixel_ranges(images: np.ndarray, want: list[int]) -> None:
    data = mw.read(np.broadcast_to(images[:, None, None], (3, 4, 5)))
    assert data.take("image").dtype == np.uint8
    assert data.take("image")[:, 0, 2, 2].tolist() == want


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 3, 3), -0.5), r"run from -0.5 to 0; allowed are uint8.*Undo a standardisation"),
        (np.full((2, 3, 3), 1.5), r"run from 0 to 1.5; allowed"),
        (np.full((2, 3, 3), 256), r"run from 0 to 256; allowed"),
        (np.full((2, 3, 3), np.nan), r"run to NaN or infinity"),
        (
            np.zeros((2, 4, 3, 4), np.uint8),
            r"have the shape \(2, 4, 3, 4\); allowed are .* with 1 or 3 channels",
        ),
        (np.zeros((2, 1, 1, 1, 1)), r"has 5 axes .* allowed are 1 \(values\), 2 \(vectors\), and 3 or 4"),
        (np.zeros((2, 2), complex), r"type complex128"),
    ],
)
def test_arrays_that_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mw.read(images)


def test_mappings_and_lists() -> None:
    images = RNG.integers(0, 256, (4, 5, 5), np.uint8)
    data = mw.read({"images": images, "says": ["a b c", "d e f", "g h i", "j k l"], "label": LABELS})
    assert [column.kind for column in data.inputs] == ["image", "text"]
    assert data.has("label")
    text = mw.read((["good old words", "bad old words"], ["pos", "neg"]))
    assert text.roles == {"label": ("label",), "input": ("text",)}
    assert text.columns["text"].kind == "text"
    stacked = mw.read([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    assert stacked.take("image").shape == (2, 1, 4, 4)


def test_lengths_that_differ() -> None:
    with pytest.raises(DataError, match="There are 3 labels for 4 rows"):
        mw.read((np.zeros((4, 2)), [1, 2, 3]))
    with pytest.raises(DataError, match="must have as many rows as each other; got a 2, b 3"):
        mw.read({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(DataError, match=r"must be the pair \(inputs, labels\); got 3 elements"):
        mw.read(([1], [2], [3]))
    with pytest.raises(DataError, match="The mapping has no columns"):
        mw.read({})


def test_objects_of_other_types() -> None:
    with pytest.raises(DataError, match=r"values of type object; allowed are numbers"):
        mw.read({"x": [object(), object()]})
    with pytest.raises(DataError, match=r"'x' holds numbers in 1 row and something else in 1, first 'b'"):
        mw.read({"x": [1, "b"], "label": [0, 1]})


def test_bfloat16_and_gradients() -> None:
    x = torch.tensor([[1.5, 2.0], [3.0, 4.0]], dtype=torch.bfloat16, requires_grad=True)
    assert mw.read(x).take("x0").tolist() == [1.5, 3.0]


# --- frames ---


def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "number": [1.5, 2.5, 3.5],
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "word": ["a", None, "b"],
            "cat": pd.Categorical(["u", "v", "u"]),
            "day": pd.to_datetime(["1970-01-02", "1970-01-01", None]),
            "flag": [True, False, True],
            "label": ["p", "q", None],
        }
    )
    data = mw.read(frame, input=["number", "cat", "flag"], time="day", bad_rows="skip")
    assert data.take("number").tolist() == [1.5, 2.5]
    assert data.take("day").tolist() == [86_400, 0]
    assert data.labelled.tolist() == [True, True]
    holes = mw.read(frame, input=["whole", "word"], bad_rows="fill")
    assert holes.take("whole").tolist() == [1, 2, 3]
    assert holes.take("word").tolist() == ["a", "(missing)", "b"]
    pair = mw.read((frame[["number"]], frame["cat"]))
    assert pair.roles == {"label": ("label",), "input": ("number",)}
    assert mw.read(frame[["number"]], label=frame["label"]).labelled.tolist() == [True, True, False]
    with pytest.raises(DataError, match="several columns named 'number'"):
        mw.read(frame[["number", "number"]])


def test_polars() -> None:
    import polars as pl

    frame = pl.DataFrame({"x": [1, 2, None], "word": ["1", "2", "3"], "label": ["a", None, "b"]})
    data = mw.read(frame, bad_rows="skip")
    assert data.take("x").tolist() == [1, 2]
    assert data.columns["word"].kind == "category"  # a frame's strings are strings
    assert data.labelled.tolist() == [True, False]


def test_a_list_of_records_has_a_column_per_key() -> None:
    data = mw.read([{"a": 1.5, "label": "x"}, {"label": "y", "b": 3, "a": 2.5}] * 10, label="label", input=["a"])
    assert data.columns["a"].values.tolist() == [1.5, 2.5] * 10
    assert data.classes == ("x", "y")


def test_masked_cells_are_missing() -> None:
    masked = np.ma.masked_array(np.arange(6).reshape(3, 2), mask=[[0, 1], [0, 0], [1, 0]])
    with pytest.raises(DataError, match="(?i)nan|missing|nothing"):
        mw.read((masked, np.arange(3)))
    column = as_values(np.ma.masked_array(["u", "v"], mask=[False, True]))
    assert column == ["u", None]


def test_large_images_in_memory_are_kept_by_their_content(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of one shape, one after the other, of which each is written to the cache."""
    monkeypatch.setattr(rows, "IN_MEMORY", 100)
    monkeypatch.setattr(arrays, "IN_MEMORY", 100)
    first, second = (np.random.default_rng(seed).random((20, 6, 6)) for seed in (0, 1))
    for images in (first, second):
        held = mw.read({"image": images}).take("image")
        assert np.array_equal(held[:, 0], np.round(images * 255).astype(np.uint8))
