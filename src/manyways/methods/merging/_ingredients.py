"""The folders that a merge is made of: their weights, what they say of themselves, and whether they go together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

from manyways.errors import ModelError
from manyways.models.lineage import Lineage
from manyways.models.saving import DESCRIPTION, checkpoint_lineage, read_description, read_lineage
from manyways.models.weight_folders import WeightFolder, open_weights

SHOWN = 3
OWN = {"lineage", "rows", "labels", "files", "gives", "columns", "target", "inputs"}
"""Entries of a description that are a model's own, or compared by themselves."""


@dataclass(frozen=True, eq=False)
class Ingredient:
    """One folder. `saved`: its description, where Manyways saved it; `config`: its config.json, where it has one."""

    weights: WeightFolder
    saved: Mapping[str, Any] | None
    config: Mapping[str, Any] | None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.weights.path

    @property
    def kind(self) -> str:
        """The kind of model, in words."""
        return f"a {self.saved['kind']} of Manyways" if self.saved else "a checkpoint of transformers"

    @cached_property
    def architecture(self) -> str:
        """The classes that its network is made of."""
        if self.config is not None:
            classes = self.config.get("architectures") or ()
            return ", ".join([str(self.config.get("model_type")), *classes])
        network = (self.saved or {}).get("network") or {}
        parts = [*network.get("backbones", ()), network.get("head")]
        return ", ".join(str(part["name"]) for part in parts if part)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The number of every token of its tokenizer.json; empty where there is none."""
        path = self.path / "tokenizer.json"
        if not path.is_file():
            return {}
        saved = _json(path)
        held = saved.get("model", {}).get("vocab", {})
        # Unigram tokenizers list (token, score); the others map each token to its number.
        known = dict(held) if isinstance(held, Mapping) else {entry[0]: at for at, entry in enumerate(held)}
        return known | {token["content"]: token["id"] for token in saved.get("added_tokens", ())}

    def lineage(self) -> Lineage:
        """The lineage; of a checkpoint only its name is known. Raises ModelError where a file has changed."""
        return read_lineage(self.path, self.saved) if self.saved is not None else checkpoint_lineage(str(self.path))


def open_ingredient(folder: str) -> Ingredient:
    """The model in `folder`. Raises ModelError where it is none, is damaged, or has no safetensors."""
    path = Path(folder)
    weights = open_weights(path)
    saved = read_description(path) if (path / DESCRIPTION).is_file() else None
    config = _json(path / "config.json") if (path / "config.json").is_file() else None
    if saved is None and config is None:
        raise ModelError(f"{path} is no model folder: it has neither {DESCRIPTION} nor config.json.")
    return Ingredient(weights, saved, config)


def check_alike(ingredients: Sequence[Ingredient]) -> None:
    """Raise ModelError, with what differs, where one of `ingredients` cannot be merged with the first."""
    for other in ingredients[1:]:
        _check_pair(ingredients[0], other)


def _check_pair(first: Ingredient, other: Ingredient) -> None:
    pair = f"{first.path} and {other.path}"
    one_config, other_config = first.config is not None, other.config is not None
    both_saved = first.saved is not None and other.saved is not None
    if one_config != other_config or (both_saved and first.kind != other.kind):
        raise ModelError(f"{pair} cannot be merged: one is {first.kind}, the other {other.kind}.")
    if first.architecture != other.architecture:
        raise ModelError(
            f"{pair} have different architectures: {first.architecture}, and {other.architecture}. Merge models that "
            "were trained from one start."
        )
    _check_tensors(first, other)
    _check_vocabularies(first, other)
    if first.saved is not None and other.saved is not None:
        _check_descriptions(pair, first.saved, other.saved)


def _check_tensors(first: Ingredient, other: Ingredient) -> None:
    ours, theirs = first.weights.tensors, other.weights.tensors
    for one, two, lost in ((first, other, [*ours.keys() - theirs]), (other, first, [*theirs.keys() - ours])):
        if lost:
            names, count = ", ".join(map(repr, sorted(lost)[:SHOWN])), len(lost)
            raise ModelError(
                f"{two.path} lacks {count} tensor{'s' if count > 1 else ''} that {one.path} has: {names}"
                f"{_others(count)}. Merge models that were trained from one start."
            )
    shapes = [name for name in ours if ours[name].shape != theirs[name].shape]
    if shapes:
        listed = "; ".join(
            f"{name!r} has {list(ours[name].shape)} and {list(theirs[name].shape)}" for name in shapes[:SHOWN]
        )
        raise ModelError(
            f"{first.path} and {other.path} have tensors of different shapes: {listed}{_others(len(shapes))}. Merge "
            "models that were trained from one start, with one vocabulary and the same labels."
        )
    if kinds := [name for name in ours if ours[name].floating != theirs[name].floating]:
        raise ModelError(
            f"{first.path} and {other.path} hold numbers of different types: {kinds[0]!r} has {ours[kinds[0]].kind} "
            f"and {theirs[kinds[0]].kind}{_others(len(kinds), 1)}. Save both in one type, not quantised."
        )


def _check_vocabularies(first: Ingredient, other: Ingredient) -> None:
    ours, theirs = first.vocabulary, other.vocabulary
    if not ours or not theirs:
        return
    if differing := sorted(token for token in ours.keys() | theirs if ours.get(token) != theirs.get(token)):
        token = differing[0]
        raise ModelError(
            f"{first.path} and {other.path} have different vocabularies: {token!r} is {ours.get(token, 'missing')} and "
            f"{theirs.get(token, 'missing')}{_others(len(differing), 1)}. Merge models with one tokenizer."
        )


def _check_descriptions(pair: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """That inputs and outputs mean the same in the descriptions of two models of one kind."""
    if (target := ours.get("target")) != theirs.get("target"):
        raise ModelError(
            f"{pair} predict different things: {_target(target)}, and {_target(theirs.get('target'))}. Merge models "
            "of the same labels."
        )
    one, two = ours.get("inputs") or {}, theirs.get("inputs") or {}
    if differing := sorted(name for name in one.keys() | two if one.get(name) != two.get(name)):
        raise ModelError(
            f"{pair} encode {', '.join(map(repr, differing))} in different ways: in another vocabulary, or "
            "standardised by other rows. Merge models that were fine-tuned from one model, which keep its encoding."
        )
    for name in sorted(ours.keys() & theirs.keys() - OWN):
        if ours[name] != theirs[name]:
            said = [shorten(str(saved[name]), 200) for saved in (ours, theirs)]
            raise ModelError(f"{pair} differ in {name!r}: {said[0]}, and {said[1]}.")


def _target(saved: Mapping[str, Any] | None) -> str:
    if saved is None:
        return "nothing"
    classes = saved["classes"]
    if not classes:
        return f"the number {saved['name']!r} (mean {saved['mean']:.4g}, deviation {saved['scale']:.4g})"
    shown = ", ".join(map(str, classes[:10])) + (", …" if len(classes) > 10 else "")
    return f"{saved['name']!r} of {len(classes)} classes ({shown})"


def _others(count: int, limit: int = SHOWN) -> str:
    return f"; and {count - limit} more" if count > limit else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}. Copy the model again.") from error
