"""Networks like that of a model, each trained on rows of its own, all in one program."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.models.network import Network, rebuild_network
from manyways.models.population import Population, clip_members
from manyways.models.predictor import Predictor
from manyways.randomness import epoch_positions, mix
from manyways.training.optimizer import schedule

BATCH, RATE, WARMUP, CLIP = 64, 2e-3, 0.05, 1.0
"""Batch size, learning rate, warm-up and clipping of a population where the model's lineage does not state them."""


def train_population(
    model: Predictor, target: Target, rows: Data, pools: Sequence[NDArray[np.int64]], seed: int
) -> Population[Network]:
    """A population of `model`'s architecture with new weights, each member of which learns from its pool of `rows`.

    Every step takes a batch for each member. They take as many steps as the model did, and learn by the loss of its
    `target` alone.
    """
    encoded, labels = model.inputs.encode(rows), torch.from_numpy(target.encode(rows))
    stated, steps = model.lineage.method, model.lineage.steps
    size, rate = int(stated.get("batch_size") or BATCH), float(stated.get("learning_rate", RATE))
    members = Population(fresh_network(model, seed), len(pools))
    with torch.no_grad():
        for number in range(len(pools)):
            for name, tensor in fresh_network(model, mix(seed, number)).named_parameters():
                members.weights()[name][number] = tensor
    members.train()
    optimizer = torch.optim.AdamW(members.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
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
    return members


def fresh_network(model: Predictor, seed: int) -> Network:
    """The model's architecture with new weights, and the statistics that its inputs are standardised by."""
    with torch.random.fork_rng():
        torch.manual_seed(seed % 2**32)
        network = rebuild_network(model.network.config())
    kept = {
        name: buffer for name, buffer in model.network.named_buffers() if name.rpartition(".")[2] in ("mean", "std")
    }
    network.load_state_dict(kept, strict=False)
    return network


def trained_from_nothing(model: object) -> tuple[Predictor, Target] | None:
    """`model` and its target where it is a network of a plain label that was trained from nothing; else None."""
    if not isinstance(model, Predictor) or model.target is None or model.target.structured:
        return None
    trained = isinstance(model.network, Network) and any(True for _ in model.network.parameters())
    return (model, model.target) if trained and not model.lineage.parents and model.lineage.steps > 0 else None
