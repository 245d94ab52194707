"""Folders of sentence-transformers: how the last hidden states of a checkpoint become the embedding of a text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from manyways.checked_json import brief, read, read_objects
from manyways.errors import ModelError

MODULES, SETTINGS = "modules.json", "sentence_bert_config.json"
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Poolings by the flag that asks for them, in the order in which their results stand side by side."""
POOLINGS = tuple(FLAGS.values())
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid")
DROPPED = ("Dropout",)
"""Modules that change nothing of what is embedded."""


@dataclass(frozen=True)
class SentenceEncoder:
    """The modules of a sentence-transformers folder.

    Attributes:
        folder: Folder of the transformers checkpoint inside it; empty where they are the same.
        pooling: Poolings whose results stand side by side.
        dense: Folders of the layers behind it, with their `Dense.config`.
        unit_length: True if embeddings are scaled to length 1.
        length: The longest text in tokens; None where it does not say.
    """

    folder: str = ""
    pooling: tuple[str, ...] = ("mean",)
    dense: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    unit_length: bool = False
    length: int | None = None


Find = Callable[[str], Path | None]
"""Gives the place of a file of a checkpoint on this machine; None where the checkpoint has no such file."""


def sentence_encoder(find: Find) -> SentenceEncoder | None:
    """The modules of a sentence-transformers checkpoint; None where it is a plain checkpoint.

    Raises:
        ModelError: It names a module that is not known here, or its description is damaged.
    """
    place = find(MODULES)
    if place is None:
        return None
    kinds: list[str] = []
    modules = SentenceEncoder(pooling=())
    for each in read_objects(place, str(place), ModelError):
        kind = each.get("type", str).rpartition(".")[2]
        kinds.append(kind)
        modules = _with_module(modules, kind, _inside(place, each.get("path", str)), place, find)
    if kinds[:1] != ["Transformer"] or (len(kinds) > 1 and kinds[1] != "Pooling"):
        raise ModelError(f"{place} must name a Transformer and its Pooling first; got {', '.join(kinds) or 'nothing'}.")
    return replace(modules, pooling=modules.pooling or ("mean",), length=_length(find, modules.folder))


def _with_module(modules: SentenceEncoder, kind: str, path: str, described: Path, find: Find) -> SentenceEncoder:
    if kind == "Transformer":
        return replace(modules, folder=path)
    if kind == "Pooling":
        return replace(modules, pooling=_poolings(_config(find, path, described)))
    if kind == "Dense":
        return replace(modules, dense=(*modules.dense, (path, _dense(_config(find, path, described)))))
    if kind == "Normalize":
        return replace(modules, unit_length=True)
    if kind in DROPPED:
        return modules
    raise ModelError(
        f"{described} names a module {kind!r} that is not read; those that are: Transformer, Pooling, Dense, "
        "Normalize, Dropout."
    )


def _config(find: Find, path: str, described: Path) -> Path:
    place = find(f"{path}/config.json")
    if place is None:
        raise ModelError(f"{described} names {path}, which has no config.json. Copy the checkpoint again.")
    return place


def _inside(described: Path, path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ModelError(f"{described} names the folder {path!r}, which lies outside; it is not read.")
    return path


def _poolings(place: Path) -> tuple[str, ...]:
    config = read(place, str(place), ModelError).members
    stated = config.get("pooling_mode", [name for flag, name in FLAGS.items() if config.get(flag) is True])
    modes = tuple(stated.split("+") if isinstance(stated, str) else stated)
    if not modes or any(mode not in POOLINGS for mode in modes):
        raise ModelError(f"{place} must state a pooling among {', '.join(POOLINGS)}; got {brief(stated)}.")
    return modes


def _dense(place: Path) -> dict[str, Any]:
    config = read(place, str(place), ModelError)
    activation = config.get("activation_function", str).rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise ModelError(f"{place} must state an activation among {', '.join(ACTIVATIONS)}; got {activation!r}.")
    return {
        "inputs": config.get("in_features", int),
        "outputs": config.get("out_features", int),
        "bias": config.get("bias", bool, True),
        "activation": activation,
    }


def _length(find: Find, folder: str) -> int | None:
    place = find(f"{folder}/{SETTINGS}" if folder else SETTINGS)
    if place is None:
        return None
    length = read(place, str(place), ModelError).members.get("max_seq_length")
    return length if isinstance(length, int) and length > 0 else None
