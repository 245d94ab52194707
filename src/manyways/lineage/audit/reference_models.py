"""Reference models: trained as the audited one was, on random halves of other rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.groups import group_ids, groups_of
from manyways.data.parts import TRAINING
from manyways.data.splits import parts_of
from manyways.data.targets import Target
from manyways.errors import NeedsError
from manyways.methods.method import Method
from manyways.methods.saved import Functions, method_from_json
from manyways.models.lineage import Lineage, versions
from manyways.models.model import Model
from manyways.models.network import Network, rebuild_network
from manyways.models.population import Population, clip_members
from manyways.models.predictor import Predictor
from manyways.randomness import epoch_positions, mix
from manyways.training.budget import Budget
from manyways.training.optimizer import schedule

HALVES = 0xAD17
"""Added to a seed, so that which half a row is in tells nothing of what else is drawn by the same seed."""
BATCH, RATE, WARMUP, CLIP = 64, 2e-3, 0.05, 1.0
"""Batch size, learning rate, warm-up and clipping of a population where the model's lineage does not state them."""


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
    if not (isinstance(model, Predictor) and model.target is not None and model.target.classification):
        return None
    trained = isinstance(model.network, Network) and any(True for _ in model.network.parameters())
    return (model, model.target) if trained and not model.lineage.parents and model.lineage.steps > 0 else None


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
    encoded, labels = model.inputs.encode(rows), torch.from_numpy(target.encode(rows))
    stated, steps = model.lineage.method, model.lineage.steps
    size, rate = int(stated.get("batch_size") or BATCH), float(stated.get("learning_rate", RATE))
    members = Population(_fresh(model, seed), len(halves))
    with torch.no_grad():
        for number in range(len(halves)):
            for name, tensor in _fresh(model, mix(seed, number)).named_parameters():
                members.weights()[name][number] = tensor
    members.train()
    optimizer = torch.optim.AdamW(members.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    pools = [np.flatnonzero(half) for half in halves]
    for step in range(steps):
        chosen = np.stack(
            [pool[epoch_positions(len(pool), size, step, mix(seed, at))] for at, pool in enumerate(pools)]
        )
        inputs = {
            name: part.reshape(*chosen.shape, *part.shape[1:]) for name, part in encoded.batch(chosen.ravel()).items()
        }
        loss = target.losses(members(inputs), labels[torch.from_numpy(chosen)]).mean(1).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_members(members.stack.values(), CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step, steps, WARMUP)
        optimizer.step()
    return [_member(model, members, number, rows.select(half)) for number, half in enumerate(halves)]


def _fresh(model: Predictor, seed: int) -> Network:
    """The model's architecture with new weights, and the statistics that its inputs are standardised by."""
    with torch.random.fork_rng():
        torch.manual_seed(seed % 2**32)
        network = rebuild_network(model.network.config())
    kept = {
        name: buffer for name, buffer in model.network.named_buffers() if name.rpartition(".")[2] in ("mean", "std")
    }
    network.load_state_dict(kept, strict=False)
    return network


def _member(model: Predictor, members: Population[Network], number: int, rows: Data) -> Model:
    network = members.member(number).eval()
    lineage = Lineage(
        {"name": "reference"}, f"reference {number}", number, "", rows.name, rows.fingerprint, rows.ids,
        versions=versions(),
    )  # fmt: skip
    return Predictor(network=network, inputs=model.inputs, target=model.target, gives=model.gives, lineage=lineage)
