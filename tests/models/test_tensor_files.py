"""Files and folders of tensors: written and read one at a time, as the safetensors library has them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from manyways.errors import ModelError
from manyways.models.tensor_files import TYPES, TensorFacts, read_facts, read_metadata, read_tensor, write_tensors
from manyways.models.weight_folders import INDEX, open_weights

pytestmark = pytest.mark.quick

NUMBERS = torch.arange(12).reshape(3, 4) - 6


def every_type() -> dict[str, Tensor]:
    """A tensor of each type, and shapes that are easily got wrong."""
    made = {f"of {kind}": NUMBERS.to(TYPES[kind]) for kind in TYPES}
    return made | {
        "one": torch.tensor(3.5),
        "none": torch.zeros(0, 4),
        'ünïcode "': torch.ones(1),
        "byte": torch.ones(3) > 0,
    }


def same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.float().equal(other.float())


def test_what_is_written_is_what_the_library_reads(tmp_path: Path) -> None:
    tensors, path = every_type(), tmp_path / "all.safetensors"
    save_file(tensors, tmp_path / "theirs.safetensors")
    write_tensors(path, read_facts(tmp_path / "theirs.safetensors"), lambda name: tensors[name], {"format": "pt"})
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    assert [name for name in tensors if not same(loaded[name], tensors[name])] == []
    assert [name for name in tensors if not same(read_tensor(path, name), tensors[name])] == []
    assert load(path.read_bytes()).keys() == tensors.keys()
    assert read_metadata(path) == {"format": "pt"}
    assert read_facts(path) == read_facts(tmp_path / "theirs.safetensors")
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_every_tensor_begins_where_its_numbers_may_lie(tmp_path: Path) -> None:
    """A file is mapped, and numbers of 8 bytes are read fastest, or at all, at multiples of 8."""
    tensors, path = every_type(), tmp_path / "all.safetensors"
    save_file(tensors, path)
    write_tensors(path, read_facts(path), lambda name: tensors[name])
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    ends = [8 + length, *(8 + length + entry["data_offsets"][1] for entry in header.values())]
    for name, entry in header.items():
        begin = 8 + length + entry["data_offsets"][0]
        assert begin % tensors[name].element_size() == 0
        assert begin in ends, "there is a gap"
    assert max(ends) == len(raw)


def test_one_tensor_at_a_time_and_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2), "b": torch.ones(2)}, path)
    before = path.read_bytes()

    def make(name: str) -> Tensor:
        if name == "b":
            raise KeyboardInterrupt
        return torch.ones(2)

    with pytest.raises(KeyboardInterrupt):
        write_tensors(path, read_facts(path), make)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("given", [torch.zeros(3), torch.zeros(2, dtype=torch.float64)])
def test_a_tensor_that_is_not_as_announced_is_a_fault(tmp_path: Path, given: Tensor) -> None:
    with pytest.raises(ValueError, match="a was announced as"):
        write_tensors(tmp_path / "w.safetensors", {"a": TensorFacts("F32", (2,))}, lambda _: given)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "nowhere" / "w.safetensors", tmp_path / "file" / "w.safetensors"):
        with pytest.raises(ModelError, match="cannot be written: .* Give another folder"):
            write_tensors(place, {"a": TensorFacts("F32", (2,))}, lambda _: torch.zeros(2))


def test_a_file_that_is_cut_short_or_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match="is no whole safetensors file"):
        read_facts(path)
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="pickled weights are never loaded"):
        read_facts(path)


def test_numbers_of_an_unknown_type_are_named(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, dtype=torch.complex64)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="holds numbers of the type C64 in 'a'; types that can be read are F64"):
        read_facts(tmp_path / "w.safetensors")


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two files and an index, as transformers saves a large model."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    save_file({"a": torch.zeros(2), "b": torch.ones(3)}, folder / "model-00001-of-00002.safetensors")
    save_file({"c": torch.full((1,), 2.0)}, folder / "model-00002-of-00002.safetensors")
    place = {"a": 1, "b": 1, "c": 2}
    place = {name: f"model-0000{file}-of-00002.safetensors" for name, file in place.items()}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": place}))
    return folder


def test_shards_are_one_set_of_tensors(shards: Path) -> None:
    weights = open_weights(shards)
    assert {name: facts.shape for name, facts in weights.tensors.items()} == {"a": (2,), "b": (3,), "c": (1,)}
    assert weights.read("c").tolist() == [2.0]
    assert list(weights.files) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def _remove(folder: Path) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()


def _swap(folder: Path) -> None:
    save_file({"d": torch.zeros(1)}, folder / "model-00002-of-00002.safetensors")


def _escape(folder: Path) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../other/model.safetensors"}}))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_remove, r"lacks 1 of the 2 files that .*index\.json names, the first is model-00002-of-00002"),
        (_swap, r"00002-of-00002\.safetensors does not hold 'c', although .* says so; 1 tensors are missing"),
        (_escape, r"names the file '\.\./other/model\.safetensors', which is not in its own folder"),
        (lambda folder: (folder / INDEX).write_text("[]"), r"index\.json must be an object"),
    ],
)
def test_shards_that_are_not_whole_are_named(shards: Path, break_it: Callable[[Path], object], message: str) -> None:
    break_it(shards)
    with pytest.raises(ModelError, match=message):
        open_weights(shards)


def test_folders_without_safetensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no folder '.*nowhere'. Give that of a saved model"):
        open_weights(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="it holds no weights. Save it again as safetensors"):
        open_weights(tmp_path)
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"it holds only pytorch_model\.bin, a pickle, which is never loaded"):
        open_weights(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds an adapter, not a model\. .*merge_and_unload"):
        open_weights(tmp_path)
