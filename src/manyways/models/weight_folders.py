"""The weights of a model's folder, in one file or in several, as Manyways and transformers save them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from manyways.checked_json import read
from manyways.errors import ModelError
from manyways.models.tensor_files import TensorFacts, read_facts, read_tensor
from manyways.models.weights import WEIGHTS

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class WeightFolder:
    """The tensors of a folder, by the file that holds them; none is read before it is asked for."""

    path: Path
    files: Mapping[str, Mapping[str, TensorFacts]]

    @cached_property
    def tensors(self) -> dict[str, TensorFacts]:
        """Return all tensors by name."""
        return {name: facts for held in self.files.values() for name, facts in held.items()}

    def read(self, name: str) -> Tensor:
        """The tensor `name`, mapped, not copied: do not write to it."""
        return read_tensor(self.path / next(file for file, held in self.files.items() if name in held), name)


def open_weights(folder: Path) -> WeightFolder:
    """The weights in `folder`.

    Raises:
        ModelError: It has none, has pickles only, or lacks some.
    """
    if not folder.is_dir():
        raise ModelError(
            f"There is no folder {str(folder)!r}. Give that of a saved model, or of a checkpoint on this machine."
        )
    if (folder / INDEX).is_file():
        return WeightFolder(folder, _shards(folder))
    for name in (SINGLE, WEIGHTS):
        if (folder / name).is_file():
            return WeightFolder(folder, {name: read_facts(folder / name)})
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds an adapter, not a model. Put it into its model first: model.merge_and_unload()."
        )
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    found = f"only {pickles[0]}, a pickle, which is never loaded" if pickles else "no weights"
    raise ModelError(
        f"{folder} has neither {SINGLE} nor {WEIGHTS}: it holds {found}. Save it again as safetensors: "
        "model.save(folder), or model.save_pretrained(folder) in transformers."
    )


def _shards(folder: Path) -> dict[str, dict[str, TensorFacts]]:
    """Tensors of every file named in the index, as the index says."""
    index = folder / INDEX
    stated = read(index, str(index), ModelError).object("weight_map")
    place = {name: stated.get(name, str) for name in stated.members}
    names = sorted(set(place.values()))
    if strange := [name for name in names if Path(name).name != name]:
        raise ModelError(f"{index} names the file {strange[0]!r}, which is not in its own folder; it is not read.")
    if lost := [name for name in names if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} lacks {len(lost)} of the {len(names)} files that {INDEX} names, the first is {lost[0]}. Copy "
            "the model again."
        )
    held_facts = {name: read_facts(folder / name) for name in names}
    if absent := [name for name, file in place.items() if name not in held_facts[file]]:
        raise ModelError(
            f"{folder / place[absent[0]]} does not hold {absent[0]!r}, although {INDEX} says so; {len(absent)} tensors "
            "are missing. Copy the model again."
        )
    return {
        file: {name: facts for name, facts in held_facts[file].items() if place.get(name) == file} for file in names
    }
