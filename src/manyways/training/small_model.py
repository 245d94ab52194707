"""A small model of a label, whose losses say how hard each row is."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.models.heads import new_head
from manyways.models.network import Network, make_network, reads_any
from manyways.randomness import epoch_positions, mix

if TYPE_CHECKING:
    from manyways.training.learner import LabelledLearner

SIZE = 0.5
"""The width of the small model, as a share of the usual one."""
RATE, WARMUP, DECAY = 2e-3, 0.05, 0.01
CHUNK = 256


def losses_of_small_model(learner: "LabelledLearner", steps: int, seed: int) -> NDArray[np.float64]:
    """The loss of each training row after `steps` of plain supervision of a new small network.

    Rows are drawn by epochs, as they are; torch's own generators stay as they were.

    Args:
        learner: Holder of the rows and labels.
        steps: Steps, of batches as large as suit the label.
        seed: Seed of its weights and batches.

    Returns:
        float64 [rows]; NaN for rows without a label.
    """
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, 0))
        network = _trained(learner, _small_network(learner), steps, seed)
    losses = np.full(learner.count, np.nan)
    network.eval()
    with torch.no_grad():
        for start in range(0, len(learner.labelled), CHUNK):
            rows = learner.labelled[start : start + CHUNK]
            outputs = network(learner.take(rows))
            losses[rows] = learner.target.losses(outputs, learner.labels_at(rows)).double().cpu().numpy()
    return losses


def _small_network(learner: "LabelledLearner") -> Network:
    specs, target = learner.encoding.specs, learner.target
    backbone = target.recipe.backbone if reads_any(target.recipe.backbone, specs) else "auto"
    network = make_network(specs, backbone=backbone, size=SIZE)
    network.measure(learner.rows)
    network.may_lack = learner.network.may_lack
    network.put_head(new_head(network, target))
    return network.to(learner.device)


def _trained(learner: "LabelledLearner", network: Network, steps: int, seed: int) -> Network:
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / (WARMUP * steps), 2 * (1 - step / steps))
        places = epoch_positions(len(learner.labelled), min(learner.batch_size, len(learner.labelled)), step, seed)
        rows = learner.labelled[places]
        weights = None if learner.weights is None else learner.weights[torch.from_numpy(rows)].to(learner.device)
        optimizer.zero_grad(set_to_none=True)
        loss = learner.target.loss(network(learner.take(rows)), learner.labels_at(rows), weights)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network
