"""Columns: kinds are inferred, missing values found, and rows known by their content."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data import storage
from manyways.data.columns import Column, id_text, row_ids
from manyways.data.kinds import infer_kind, infer_label_kind
from manyways.data.notation import is_missing
from manyways.data.storage import FileRows

IDS = ["9034ada43c292b61be5c428d0b06d010", "5ef1215b53fb7b7909109f62fe6c374c"]


def objects(*values: Any) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def small() -> list[Column]:
    """Two rows of a number, a category and an image."""
    return [
        Column("x", "number", np.array([1.5, 2.5])),
        Column("kind", "category", objects("u", None)),
        Column("image", "image", np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)),
    ]


# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.zeros((3, 1, 4, 4), np.uint8), "image"),
        (np.zeros((3, 70)), "number"),
        (np.array([0.5, 1.5]), "number"),
        (np.arange(5), "number"),
        (np.array([0, 1, 1, 0]), "category"),
        (np.array([True, False]), "category"),
        (objects("red", "green", None), "category"),
        (objects("New York", "Los Angeles"), "category"),
        (objects("a sentence with words", None, "and one more of them"), "text"),
        (objects(None, None), "category"),
    ],
)
def test_kinds_are_what_values_look_like(values: NDArray[Any], kind: str) -> None:
    assert infer_kind(values) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(10).repeat(5), "category"),
        (np.array([1.0, 2.0, np.nan, 2.0]), "category"),
        (np.array([0.5, 1.0, 2.0]), "number"),
        (np.arange(300), "number"),
        (np.arange(60).repeat(40), "category"),
        (np.arange(30).repeat(10), "category"),
        (np.arange(1, 102).repeat(2), "category"),
        (np.arange(30.0).repeat(2), "category"),
        (np.r_[np.arange(30).repeat(10), 30], "number"),
        (np.arange(2, 42).repeat(5), "number"),
        (np.delete(np.arange(30), 7).repeat(5), "number"),
        (np.arange(30).repeat(2) / 2, "number"),
        (objects("a", "b", None), "category"),
        (objects(None, None), "category"),
    ],
)
def test_a_label_is_a_number_only_where_it_must_be(values: NDArray[Any], kind: str) -> None:
    assert infer_label_kind(values) == kind


def test_missing_is_nan_none_and_empty_but_not_zero() -> None:
    assert is_missing(objects("a", None, "", float("nan"), 0, "0")).tolist() == [0, 1, 1, 1, 0, 0]
    assert is_missing(np.array([0.0, np.nan, np.inf])).tolist() == [0, 1, 0]
    assert is_missing(np.array([[0.0, 1.0], [np.nan, 1.0]])).tolist() == [0, 1]
    assert not is_missing(np.array([0, 1])).any()
    assert not small()[2].missing(np.arange(2)).any()


def test_take_gives_the_rows_in_the_order_asked() -> None:
    assert small()[0].take(np.array([1, 0, 1])).tolist() == [2.5, 1.5, 2.5]


# --- ids -----------------------------------------------------------------------------------------


def test_ids_are_the_same_in_every_version() -> None:
    """Lineage and forgetting know rows by these: the literal guards models that exist."""
    assert [id_text(row) for row in row_ids(small(), 2)] == IDS


def test_ids_are_the_same_in_another_process() -> None:
    script = (
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "from test_columns import small\nfrom manyways.data.columns import id_text, row_ids\n"
        "print(*[id_text(row) for row in row_ids(small(), 2)])"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    environment = {"PYTHONHASHSEED": "77", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == IDS


def test_equal_rows_have_equal_ids_and_others_differ() -> None:
    x = np.array([1.0, 2.0, 1.0, 1.0])
    says = objects("a b c", "a b c", "a b c", "a b")
    found = [id_text(row) for row in row_ids([Column("x", "number", x), Column("t", "text", says)], 4)]
    assert found[0] == found[2]
    assert len(set(found)) == 3


def test_the_order_of_columns_does_not_matter() -> None:
    assert np.array_equal(row_ids(small(), 2), row_ids(small()[::-1], 2))


def test_what_is_told_apart() -> None:
    """Another name, kind, value, a missing value, and text divided otherwise between two columns."""
    variants = [
        [Column("x", "number", np.array([1]))],
        [Column("z", "number", np.array([1]))],
        [Column("x", "category", np.array([1]))],
        [Column("x", "number", np.array([2]))],
        [Column("x", "category", objects("1"))],
        [Column("x", "category", objects(1))],
        [Column("x", "category", objects(None))],
        [Column("x", "category", objects("None"))],
        [Column("x", "category", objects(""))],
        [Column("x", "text", objects("ab")), Column("y", "text", objects("c"))],
        [Column("x", "text", objects("a")), Column("y", "text", objects("bc"))],
    ]
    assert len({id_text(row_ids(columns, 1)[0]) for columns in variants}) == len(variants)


def test_rows_in_a_file_and_rows_in_small_pieces_have_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5000, 1, 3, 3), np.uint8)
    plain = row_ids([Column("image", "image", values)], 5000)
    path = tmp_path / "rows"
    path.write_bytes(b"head" + values.tobytes())
    monkeypatch.setattr(storage, "CHUNK_BYTES", 9 * 7)
    read = FileRows(path, values.shape, np.uint8, 4)
    assert np.array_equal(plain, row_ids([Column("image", "image", read)], 5000))
