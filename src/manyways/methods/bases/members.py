"""Members of a committee for query by committee: models that learned from other draws of the same labels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.methods.bases.look_alikes import train_population, trained_from_nothing
from manyways.methods.method import Method
from manyways.methods.supervised.supervised import Supervised
from manyways.models.committee import Committee
from manyways.models.model import Model
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.run import Run

DRAW = 0xC0DE
"""Added to a seed, so that a member's rows follow from nothing else that is drawn by it."""
KEPT = 1 - float(np.exp(-1))
"""The share of the rows that a bootstrap draws at least once."""


def train_members(
    base: Method, known: Data, model: Model, start: Model | None, count: int, seed: int, run: Run
) -> Sequence[Model]:
    """`count` models of `base`, like `model`, that learned from other draws of the labels of `known`.

    The members of a model that is a committee are its own. A network that was trained from nothing by supervision is
    trained as a population: each member begins with weights of its own and learns from a bootstrap of the labelled
    rows. Others are made by `base` one after the other, each with the labels that a bootstrap would draw. All take as
    many steps as the model.
    """
    if isinstance(model, Committee):
        return model.members
    training = known.training
    rows = training.select(training.labelled)
    plain = trained_from_nothing(model) if type(base) is Supervised and not rows.has("weight") else None
    if plain is not None:
        draws = [np.random.default_rng(mix(seed, DRAW, number)) for number in range(count)]
        pools = [np.sort(rng.integers(0, len(rows), len(rows))) for rng in draws]
        members = train_population(*plain, rows, pools, mix(seed, DRAW))
        return [replace(plain[0], network=members.member(number).eval()) for number in range(count)]
    budget = Budget(model.lineage.steps) if model.lineage.steps else Budget(1)
    return [
        base.fit(
            known.hide(_left_out(known, mix(seed, DRAW, number))), start,
            budget=budget, seed=mix(seed, number) % 2**32, run=run.child(f"member-{number}"),
        )
        for number in range(count)
    ]  # fmt: skip


def _left_out(known: Data, seed: int) -> NDArray[np.int64]:
    """The positions of the labelled training rows that a bootstrap would not draw; of two classes one row stays."""
    rng = np.random.default_rng(seed)
    labelled = np.flatnonzero(known.labelled & (known.part[known.rows] == 0))
    order = rng.permutation(labelled)
    if known.classification:
        labels = known.take(known.label.name)
        other = next((at for at, row in enumerate(order) if labels[row] != labels[order[0]]), 0)
        order = np.concatenate([order[[0, other]], np.delete(order, [0, other])]) if other else order
    return np.sort(order[max(2, round(KEPT * len(order))) :])
