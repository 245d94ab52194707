"""A table travels to another process as a folder, and arrives as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.read import read
from manyways.data.storage import FileRows
from manyways.data.transport import load_table, save_table
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def objects(*values: Any) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def every_kind() -> Data:
    """Four rows with a column of each kind; the second label is missing."""
    rng = np.random.default_rng(0)
    columns = [
        Column("x", "number", np.array([1.5, np.nan, -0.0, np.inf])),
        Column("wide", "number", rng.normal(size=(4, 3)).astype(np.float32)),
        Column("kind", "category", objects("u", None, "ü\n", "")),
        Column("codes", "category", objects(1, None, 3, 4)),
        Column("says", "text", np.array(["some words here", "b", "c", "d"])),
        Column("image", "image", rng.integers(0, 256, (4, 3, 2, 2), np.uint8)),
        Column("sound", "audio", rng.integers(-9, 9, (4, 5), np.int16), rate=8000),
        Column("label", "category", objects("a", None, "b", "a")),
    ]
    roles = {"input": [c.name for c in columns[:-1]], "label": ["label"]}
    data = Data.from_columns(columns, roles, part=np.array([0, 0, 1, 2]), name="all", ignored={"z": "it is empty"})
    return data.hide(np.array([0])).select(np.array([3, 0, 1]))


def test_everything_arrives_as_it_left(tmp_path: Path) -> None:
    data = every_kind()
    back = load_table(save_table(data, tmp_path / "table"))
    assert back.fingerprint == data.fingerprint
    assert (back.roles, back.name, back.source, back.ignored) == (data.roles, data.name, data.source, data.ignored)
    assert list(back.columns) == list(data.columns)
    for name, column in data.columns.items():
        other = back.columns[name]
        assert (other.kind, other.rate) == (column.kind, column.rate)
        ours, theirs = column.take(np.arange(4)), other.take(np.arange(4))
        assert theirs.shape == ours.shape
        assert [repr(value) for value in ours.tolist()] == [repr(value) for value in theirs.tolist()], name
        if column.values.dtype.kind in "iuf":
            assert other.values.dtype == column.values.dtype
    for array in ("part", "visible", "rows", "all_ids"):
        assert np.array_equal(getattr(back, array), getattr(data, array))
        assert getattr(back, array).dtype == getattr(data, array).dtype


def test_labels_that_are_none_stay_none(tmp_path: Path) -> None:
    data = every_kind()
    back = load_table(save_table(data, tmp_path))
    assert back.take("label").tolist() == ["a", "a", None]
    assert back.labelled.tolist() == [True, False, False]
    assert back.reveal(np.array([1])).labelled.tolist() == [True, True, False]
    assert back.classes == data.classes == ("a",)


@pytest.mark.parametrize("mapped", [True, False])
def test_columns_in_a_file_are_referred_to_and_not_copied(tmp_path: Path, mapped: bool) -> None:
    values = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4), np.uint8)
    file = tmp_path / "pixels"
    file.write_bytes(b"head" + values.tobytes())
    rows = np.memmap(file, np.uint8, "c", 4, values.shape) if mapped else FileRows(file, values.shape, np.uint8, 4)
    data = Data.from_columns([Column("image", "image", rows)], {"input": ["image"]})
    folder = save_table(data, tmp_path / "table")
    assert json.loads((folder / "table.json").read_text())["columns"][0]["array"]["path"] == str(file)
    assert sum(each.stat().st_size for each in folder.iterdir()) < 50 * 16 + 3000
    assert not list(folder.glob("column-*"))
    back = load_table(folder)
    assert np.array_equal(back.columns["image"].take(np.arange(50)), values)
    assert back.fingerprint == data.fingerprint


def test_a_part_of_a_mapping_is_copied_as_it_has_no_place_of_its_own(tmp_path: Path) -> None:
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    file = tmp_path / "numbers"
    file.write_bytes(values.tobytes())
    mapped = np.memmap(file, np.float32, "c", 0, values.shape)
    for part in (mapped[3:7], mapped[::2], mapped[:, 1]):
        data = Data.from_columns([Column("x", "number", part)], {"input": ["x"]})
        back = load_table(save_table(data, tmp_path / "table"))
        assert np.array_equal(back.take("x"), np.asarray(part))


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    save_table(every_kind(), tmp_path)
    other = every_kind().reveal(np.array([1]))
    save_table(other, tmp_path)
    assert load_table(tmp_path).fingerprint == other.fingerprint


def test_no_file_is_a_pickle(tmp_path: Path) -> None:
    for file in save_table(every_kind(), tmp_path).iterdir():
        assert not file.read_bytes().startswith(b"\x80"), file.name


def test_an_environment_is_told_and_stands_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id may name a module to import, which a file must not."""
    pytest.importorskip("gymnasium")
    monkeypatch.chdir(tmp_path)
    text = (
        "import gymnasium\ngymnasium.register('Typed-v0', 'gymnasium.envs.classic_control:CartPoleEnv', "
        "max_episode_steps=9)\n"
    )
    (tmp_path / "typed_environment.py").write_text(text, encoding="utf-8")
    data = read("typed_environment:Typed-v0")
    folder = save_table(data, tmp_path / "table")
    assert "environment" not in json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert load_table(folder).environment is None, "what it is called there is not looked up"
    assert data.environment is not None
    back = load_table(folder, data.environment.to_json())
    assert back.fingerprint == data.fingerprint


def _replaced(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        said["columns"][0]["array"][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda said: said.pop("columns"), "lacks `columns`"),
        (lambda said: said.update(columns={}), "must be a list"),
        (lambda said: said["columns"][0].update(kind="pickle"), "must be one of number, category"),
        (lambda said: said["columns"][0].update(rate="8000"), "`rate` of .* must be a whole number"),
        (lambda said: said["arrays"].pop("rows"), "lacks `rows`"),
        (lambda said: said["arrays"].update(rows=said["arrays"]["part"]), "do not fit each other"),
        (lambda said: said["roles"].update(input=["nowhere"]), "has no column 'nowhere' for a role"),
        (_replaced("dtype", "|O"), "holds no such array"),
        (_replaced("dtype", "<q9"), "`dtype` of .* is damaged"),
        (_replaced("shape", [1 << 60, 1 << 60]), "holds less than the shape"),
        (_replaced("shape", [-4]), "holds less than the shape"),
        (_replaced("offset", 1 << 62), "holds less than the shape"),
        (_replaced("path", "/dev/zero"), "holds no such array"),
        (_replaced("path", "x" * 5000), "`path` of .* is damaged"),
        (_replaced("path", 5), "`path` of .* must be text"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], match: str) -> None:
    path = save_table(every_kind(), tmp_path / "table") / "table.json"
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    with pytest.raises(DataError, match=match):
        load_table(path.parent)
