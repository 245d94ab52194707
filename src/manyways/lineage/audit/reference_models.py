"""Reference models: trained as the audited one was, on random halves of other rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.groups import group_ids, groups_of
from manyways.data.parts import TRAINING
from manyways.data.splits import parts_of
from manyways.data.targets import Target
from manyways.errors import NeedsError
from manyways.methods.bases.look_alikes import train_population, trained_from_nothing
from manyways.methods.method import Method
from manyways.methods.saved import Functions, method_from_json
from manyways.models.lineage import Lineage, versions
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.population import Population
from manyways.models.predictor import Predictor
from manyways.randomness import mix
from manyways.training.budget import Budget

HALVES = 0xAD17
"""Added to a seed, so that which half a row is in tells nothing of what else is drawn by the same seed."""


def train_references(
    model: Model, reference: Data, count: int = 16, *, seed: int = 0, method: Method | None = None,
    start: Model | None = None, functions: Functions | None = None,
) -> list[Model]:  # fmt: skip
    """Train `count` models like `model`, each on a random half of the rows of `reference`.

    A network that predicts classes is trained as a population of its own architecture, all members in one program, for
    as many steps as the model took. Any other model is made by its own method, or by the one that is given, one after
    the other.

    Args:
        model: The model that they are like.
        reference: Rows that they learn from.
        count: Number of models.
        seed: Seed of halves and weights.
        method: Method that trains them.
        start: Model that they start from.
        functions: Functions that the model's own method names, by these names.

    Raises:
        NeedsError: Where the model's own method cannot be made again.
    """
    plain = _plain(model) if method is None else None
    # Other methods may learn from rows without a label, too.
    rows = _as_training(reference.select(reference.labelled) if plain else reference)
    ids = group_ids(rows.ids, groups_of(rows))  # rows that belong together are in one half
    halves = [parts_of(ids, 2, mix(seed, HALVES, number)) == 0 for number in range(count)]
    if plain is not None:
        return _population(*plain, rows, halves, seed)
    method = method or _own_method(model, start, functions)
    steps = Budget(model.lineage.steps) if model.lineage.steps else None
    return [
        method.fit(rows.select(half), start, budget=steps, seed=mix(seed, number) % 2**32)
        for number, half in enumerate(halves)
    ]


def _as_training(rows: Data) -> Data:
    """Return all `rows` as training rows, whatever part they were set aside for."""
    part = rows.part.copy()
    part[rows.rows] = TRAINING
    return replace(rows, part=part)


def _plain(model: Model) -> tuple[Predictor, Target] | None:
    """`model` and its target where it is a network of classes that was trained from nothing; None for any other."""
    plain = trained_from_nothing(model)
    return plain if plain is not None and plain[1].classification else None


def _own_method(model: Model, start: Model | None, functions: Functions | None) -> Method:
    method = method_from_json(model.lineage.method, functions=functions)
    if method.needs_start() and start is None:
        raise NeedsError(
            f"{model.lineage.title} started from a model, and so must those that it is compared with: start=…."
        )
    return method


def _population(
    model: Predictor, target: Target, rows: Data, halves: Sequence[NDArray[np.bool_]], seed: int
) -> list[Model]:
    """Train all members at once: every step takes a batch of its own half for each."""
    members = train_population(model, target, rows, [np.flatnonzero(half) for half in halves], seed)
    return [_member(model, members, number, rows.select(half)) for number, half in enumerate(halves)]


def _member(model: Predictor, members: Population[Network], number: int, rows: Data) -> Model:
    network = members.member(number).eval()
    lineage = Lineage(
        {"name": "reference"}, f"reference {number}", number, "", rows.name, rows.fingerprint, rows.ids,
        versions=versions(),
    )  # fmt: skip
    return Predictor(network=network, inputs=model.inputs, target=model.target, gives=model.gives, lineage=lineage)
