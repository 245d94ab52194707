"""Results of a merge: a folder as transformers has it, or a model in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from manyways.errors import ModelError
from manyways.methods.merging._ingredients import Ingredient
from manyways.models.lineage import NO_LINEAGE
from manyways.models.model import Model
from manyways.models.saving import read_kind
from manyways.whole import whole

OBJECTIVES = {
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForMaskedLM": "masked",
    "ForSequenceClassification": "reward",
}
"""Objectives of language models, by the endings of their classes in transformers."""


def write_checkpoint(folder: Path, write: Callable[[Path], Any]) -> Path:
    """Make `folder` of what `write` writes into a folder, all or nothing.

    Raises ModelError where it holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists, and is left alone; give a new name for the merged model.")
    with whole(folder, ModelError, f"The model cannot be written to {folder}", "Give another folder.") as part:
        part.mkdir(parents=True)
        write(part)
    return folder


def read_merged(folder: Path, first: Ingredient, gives: frozenset[str]) -> Model:
    """The model in `folder`, of the same kind as `first`, without a lineage.

    Raises ModelError for a checkpoint that is no language model: there is no kind of model for it.
    """
    if first.saved is not None:
        return read_kind(first.saved["kind"], folder, first.saved, gives, NO_LINEAGE)
    from manyways.models.language_model import from_checkpoint

    for ending, objective in OBJECTIVES.items():
        if first.architecture.endswith(ending):
            return from_checkpoint(str(folder), objective)
    raise ModelError(
        f"{first.path} ({first.architecture}) is no language model, and Manyways has no other kind of model for a "
        "checkpoint. Merge into a folder: manyways.merge_folders(models, out)."
    )
