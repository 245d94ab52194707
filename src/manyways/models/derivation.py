"""Derived models: made of another one without training, by a verb of that model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from manyways.data.data import Data
from manyways.models.lineage import Lineage, machine, versions
from manyways.models.model import Model

ModelT = TypeVar("ModelT", bound=Model)
BUDGET = "1,000 steps"
"""The budget that a lineage must state, and of which deriving a model spends nothing: what methods have by default."""


def derived(
    model: ModelT, parent: Model, name: str, data: Data, fields: Mapping[str, Any], defaults: Mapping[str, Any]
) -> ModelT:
    """Return `model` with the lineage of a model that was derived from `parent`.

    Args:
        model: The new model.
        parent: The model that it was made of.
        name: The method that makes the same model of `parent`, by which a store makes it again.
        data: The rows that shaped it, all of them.
        fields: The method's fields.
        defaults: Their defaults; a title names the fields that differ.
    """
    changed = [f"{field}={value!r}" for field, value in fields.items() if value != defaults.get(field)]
    plain = {field: list(value) if isinstance(value, tuple) else value for field, value in fields.items()}
    lineage = Lineage(
        method={"name": name, **plain},
        title=f"{name}({', '.join(changed)})" if changed else name,
        seed=0,
        budget=BUDGET,
        data=data.name,
        fingerprint=data.fingerprint,
        rows=data.ids,
        parents=(parent.lineage,),
        versions=versions(),
        facts=model.facts,
        machine=machine(str(next(model.network.parameters()).device)),
    )
    return replace(model, network=model.network.eval(), lineage=lineage)
