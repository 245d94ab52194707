"""Folders of checkpoints, looked at before a library reads them: whole, of sizes that fit, without code to be run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manyways.checked_json import brief, read
from manyways.errors import ModelError
from manyways.models.tensor_files import TensorFacts, read_facts

INDEX = "model.safetensors.index.json"
MOST_LAYERS, MOST_LABELS = 1_000, 1_000_000
"""Layers that a config may state beyond those in the weights: some count layers that are not there."""


def check_folder(folder: Path) -> None:
    """Raise ModelError where `folder` holds no checkpoint, not all of it, or one that names code to be run."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no checkpoint of transformers: it has no config.json.")
    index = folder / INDEX
    if index.is_file():
        shards = set(weight_map(index).values())
        absent = sorted(shard for shard in shards if not (folder / shard).is_file())
        if absent:
            raise ModelError(
                f"{folder} lacks {len(absent)} of {len(shards)} weight files, the first is {absent[0]}. "
                "Copy the checkpoint again."
            )
    elif not (folder / "model.safetensors").is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        found = f"only {pickled[0]}, a pickle, which is never loaded" if pickled else "no weights"
        raise ModelError(
            f"{folder} has no model.safetensors: it holds {found}. Save it again with "
            "model.save_pretrained(folder), which writes safetensors."
        )
    config = read(folder / "config.json", str(folder / "config.json"), ModelError)
    refuse_kernels(config.members, folder)
    check_sizes(config.members, len(facts(folder)), str(folder / "config.json"))


def weight_map(index: Path) -> dict[str, str]:
    """The file that holds each tensor, by an index. Raises ModelError where that is damaged or leads elsewhere."""
    held = read(index, str(index), ModelError).object("weight_map")
    found = {name: held.get(name, str) for name in held.members}
    if strange := [file for file in found.values() if Path(file).name != file]:
        raise ModelError(f"{index} names the file {strange[0]!r}, which is not in its own folder; it is not read.")
    return found


def refuse_kernels(config: Any, where: str | Path) -> None:
    """Raise ModelError where a config names a kernel of the Hub, which is code that transformers would run."""
    ahead = [config]
    while ahead:
        each = ahead.pop()
        if isinstance(each, Mapping):
            for name, value in each.items():
                if str(name).endswith("attn_implementation") and "/" in json.dumps(value):
                    raise ModelError(
                        f"{where} names {brief(value)} as its attention, code that would be fetched and "
                        f"run, which no file may ask for. Take {name} out of its config.json."
                    )
                ahead.append(value)
        elif isinstance(each, list):
            ahead += each


def facts(folder: Path) -> dict[str, TensorFacts]:
    """Types and shapes of the weights in a folder, by file and name."""
    index = folder / INDEX
    names = set(weight_map(index).values()) if index.is_file() else {"model.safetensors"}
    return {f"{name} {tensor}": each for name in names for tensor, each in read_facts(folder / name).items()}


def check_sizes(config: Mapping[str, Any], tensors: int, where: str) -> None:
    """Raise ModelError where a config asks for far more layers than there are `tensors`, or for labels without end.

    Libraries make lists of as many entries before anything else is looked at.
    """
    for name, value in config.items():
        if isinstance(value, Mapping):
            check_sizes(value, tensors, where)
        elif isinstance(value, int) and not isinstance(value, bool):
            layers = any(word in name for word in ("layer", "block", "depth", "stage"))
            most = MOST_LAYERS + tensors if layers else MOST_LABELS if "label" in name else None
            if most is not None and value > most:
                raise ModelError(f"{where} states {value:,} for {name}, more than its weights can hold; it is damaged.")
