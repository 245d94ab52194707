"""Damaged descriptions: one error that says what is wrong, at once, whatever was put into them."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError
from manyways.methods.discovery import all_methods
from manyways.testing.trial import Trial

from .damage import broken, broken_file, seal, trouble_with


@pytest.fixture(scope="module")
def table() -> Data:
    return mw.read("wine").with_test(0.2)


@pytest.fixture(scope="module")
def model(table: Data) -> mw.Model:
    return mw.Supervised().fit(table, budget="3 steps")


@pytest.fixture
def folder(model: mw.Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "model")


def rewritten(folder: Path, change: Any) -> Path:
    saved = json.loads((folder / "model.json").read_text())
    del saved["hash"]
    change(saved)
    seal(folder, saved)
    return folder


def test_every_member_of_a_perceptron_may_be_damaged(folder: Path) -> None:
    assert broken(folder) == []


def test_a_sound_description_still_loads(folder: Path, model: mw.Model, table: Data) -> None:
    rewritten(folder, lambda saved: None)
    assert trouble_with(folder) == ""
    assert (mw.load(folder).outputs(table) == model.outputs(table)).all()


@pytest.mark.parametrize("method", ["ridge", "nearest-neighbours", "kmeans", "proto-net"])
def test_every_member_of_other_kinds_may_be_damaged(method: str, tmp_path: Path) -> None:
    kind = {each.method_name(): each for each in all_methods().values()}[method]
    assert broken(Trial(kind).reference.save(tmp_path / "model"), only="network") == []


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(all_methods()))
def test_every_member_of_every_kind_may_be_damaged(method: str, tmp_path: Path) -> None:
    assert broken(Trial(all_methods()[method]).reference.save(tmp_path / "model")) == []


def test_a_network_larger_than_its_weights_is_not_built(folder: Path) -> None:
    rewritten(folder, lambda saved: saved["network"]["backbones"][0].update(widths=[10**9, 128]))
    with pytest.raises(ModelError, match=r"asks for larger tensors than .*weights\.safetensors holds"):
        mw.load(folder)


def test_more_layers_than_there_are_weights_are_not_built(folder: Path) -> None:
    rewritten(folder, lambda saved: saved["network"]["backbones"][0].update(widths=[1] * 100_000))
    with pytest.raises(ModelError, match=r"asks for more layers than .*weights\.safetensors holds"):
        mw.load(folder)


def test_fewer_classes_than_outputs_are_refused(folder: Path) -> None:
    rewritten(folder, lambda saved: saved["target"].update(classes=saved["target"]["classes"][:2]))
    with pytest.raises(ModelError, match=r"model\.json: The network has 3 outputs, and 2 mean something"):
        mw.load(folder)


def test_fewer_classes_than_a_fitted_head_has_are_refused_when_asked(tmp_path: Path, table: Data) -> None:
    folder = rewritten(mw.Ridge().fit(table).save(tmp_path / "model"), lambda saved: saved["target"]["classes"].pop())
    with pytest.raises(ModelError, match=r"gives \(3,\) numbers a row, and 2 mean something"):
        mw.load(folder).predict(table)


def test_a_network_for_other_inputs_is_refused(folder: Path) -> None:
    rewritten(folder, lambda saved: saved["network"]["backbones"][0].update(input="picture"))
    with pytest.raises(ModelError, match=r"reads 'picture', and the inputs that are encoded are 'table'"):
        mw.load(folder)


def test_inputs_of_another_width_are_refused_when_asked(folder: Path, table: Data) -> None:
    rewritten(folder, lambda saved: saved["inputs"]["table"]["codes"].pop())
    with pytest.raises(ModelError, match="cannot read table as encoded for it"):
        mw.load(folder).predict(table)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe{}", "is no JSON"),
        (b'{"kind": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "nested deeper"),
        (b'{"kind": "\\ud800"}', "surrogate"),
        (b"[]", "must be an object"),
        (b'{"hash": 5}', "`hash` of .* must be text"),
    ],
)
def test_what_is_no_description_is_refused(folder: Path, content: bytes, said: str) -> None:
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        mw.load(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_files_outside_of_the_folder_are_not_read(folder: Path, name: str) -> None:
    rewritten(folder, lambda saved: saved["files"].update({name: "0" * 64}))
    with pytest.raises(ModelError, match="lies outside"):
        mw.load(folder)


@pytest.mark.parametrize("shape", [(3,), (3, 3)])
def test_rows_that_are_no_ids_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    save_file({"0": torch.zeros(shape, dtype=torch.int64)}, folder / "rows.safetensors")
    digest = hashlib.sha256((folder / "rows.safetensors").read_bytes()).hexdigest()
    rewritten(folder, lambda saved: saved["files"].update({"rows.safetensors": digest}))
    with pytest.raises(ModelError, match="must hold the ids of rows"):
        mw.load(folder)


def test_missing_weights_that_nobody_lists_are_named(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    rewritten(folder, lambda saved: saved["files"].pop("weights.safetensors"))
    with pytest.raises(ModelError, match=r"weights\.safetensors is no whole safetensors file"):
        mw.load(folder)


def test_a_long_history_still_loads(folder: Path) -> None:
    def lengthen(saved: dict[str, Any]) -> None:
        own = saved["lineage"]
        for _ in range(99):
            own = {**saved["lineage"], "parents": [own]}
        saved.update(lineage=own, rows=[0] * 100)

    assert len(mw.load(rewritten(folder, lengthen)).lineage.stages()) == 100


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model as transformers has it."""
    data = mw.read("arithmetic", text="text", label=())
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    mw.Pretrain(size=0.2, context=32, tokenizer="characters").fit(data, budget="1 steps").save(folder)
    (folder / "model.json").unlink()
    return folder


def test_every_member_of_a_config_of_transformers_may_be_damaged(checkpoint: Path) -> None:
    assert broken_file(checkpoint, "config.json") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
def test_every_member_of_a_tokenizer_may_be_damaged(checkpoint: Path, name: str) -> None:
    assert broken_file(checkpoint, name) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_hidden_layers", 10**12, "1,000,000,000,000 for num_hidden_layers, more than its weights can hold"),
        ("num_labels", 10**9, "1,000,000,000 for num_labels"),
        ("hidden_size", 10**9, "cannot be loaded|asks for larger"),
    ],
)
def test_sizes_without_end_are_refused_at_once(checkpoint: Path, name: str, value: int, said: str) -> None:
    path = checkpoint / "config.json"
    sound = path.read_text()
    path.write_text(json.dumps({**json.loads(sound), name: value}))
    try:
        with pytest.raises(ModelError, match=said):
            mw.load(checkpoint)
        assert trouble_with(checkpoint) == ""
    finally:
        path.write_text(sound)


@pytest.mark.slow
def test_every_member_of_an_index_may_be_damaged(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "shards")
    shard = "model-00001-of-00001.safetensors"
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / shard, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, shard)})
    (folder / "model.safetensors.index.json").write_text(text)
    assert trouble_with(folder) == ""
    assert broken_file(folder, "model.safetensors.index.json") == []
