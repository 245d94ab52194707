"""Model folders: whole or not at all, checked when loaded, never a pickle."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import manyways as mw
from manyways.errors import ModelError
from manyways.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return mw.Supervised().fit(mw.read("digits").with_labels(40, draw="stratified"), budget="5 steps")


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "model")


def reseal(folder: Path) -> None:
    """Make the hashes fit again, as somebody with bad intentions would."""
    saved = json.loads((folder / "model.json").read_text())
    saved.pop("hash")
    saved["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in saved["files"]}
    stated = hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**saved, "hash": stated}))


def test_loaded_model_is_the_saved_one(model: Model, folder: Path) -> None:
    loaded, data = mw.load(folder), mw.read("digits")
    assert np.array_equal(loaded.probabilities(data), model.probabilities(data))
    assert loaded.target == model.target
    assert loaded.gives == model.gives
    assert loaded.lineage.to_json() == model.lineage.to_json()
    assert np.array_equal(loaded.lineage.rows, model.lineage.rows)


def test_changed_weights_are_refused(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r"weights\.safetensors has changed since the model was saved"):
        mw.load(folder)


def test_edited_description_is_refused(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ModelError, match="has been edited since the model was saved"):
        mw.load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "rows.safetensors"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        mw.load(folder)


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    weights["head.linear.bias"] = torch.zeros(3)
    save_file(weights, folder / "weights.safetensors")
    reseal(folder)
    with pytest.raises(ModelError, match=r"head\.linear\.bias"):
        mw.load(folder)


class Payload:
    """Would create a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_posing_as_weights_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    torch.save({"head": Payload(tmp_path / "owned")}, folder / "weights.safetensors")
    reseal(folder)
    with pytest.raises(ModelError, match="pickled weights are never loaded"):
        mw.load(folder)
    assert not (tmp_path / "owned").exists()


def test_other_formats_and_other_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    saved = json.loads((folder / "model.json").read_text())
    saved.pop("hash")
    saved["format"] = 99
    stated = hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**saved, "hash": stated}))
    with pytest.raises(ModelError, match="has the format 99"):
        mw.load(folder)
    with pytest.raises(ModelError, match=r"is no model folder: it has no model\.json"):
        mw.load(tmp_path)


def test_a_folder_that_holds_something_else_is_not_overwritten(model: Model, tmp_path: Path) -> None:
    precious = tmp_path / "photos" / "cat.png"
    precious.parent.mkdir()
    precious.write_bytes(b"cat")
    with pytest.raises(ModelError, match="exists and is no model folder"):
        model.save(precious.parent)
    assert precious.read_bytes() == b"cat"


def test_unwritable_place_is_named(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written to"):
        model.save(tmp_path / "file" / "model")


def test_saving_again_replaces_the_model(model: Model, folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"damaged")
    model.save(folder)
    assert mw.load(folder).target == model.target
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
