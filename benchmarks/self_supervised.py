"""Steps of VICReg and MoCo against loops written by hand with lightly's losses.

The peer is what one writes with lightly: the images as one uint8 tensor in memory, a permutation per epoch, the same
view function, network and projector, lightly's `VICRegLoss`, or `NTXentLoss` with a memory bank and `update_momentum`,
and fused AdamW with clipping, warm-up and cosine. Both sides run in this process, which finds lightly among the peers;
blocks of steps alternate on one thread, processor time is counted, and a step of either side must cost the same number
of floating-point operations (but for the products of positive pairs, which lightly counts and ours are no matrices).

    make peers
    python benchmarks/self_supervised.py
"""

import copy
import math
import statistics
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from common import PEERS, Row, data_folder, interleaved, median_ratio, report, versions
from step import endless, flops, spec_of, take
from torch import Tensor, nn

import manyways as mw
from manyways.data.data import Data
from manyways.data.views import view_of
from manyways.methods.bases.two_views import TwoViews
from manyways.methods.self_supervised.moco import MoCo
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

STEPS, BLOCK, ROUNDS, TARGET = 1000, 8, 11, 1.05
SAME = 1e-3
"""Largest share by which the operations of the two sides may differ."""


def find_lightly() -> None:
    """Let `import lightly` find the one of the peers; torch stays that of this environment."""
    (packages,) = (PEERS / "lib").glob("python3*/site-packages")
    sys.path.append(str(packages))
    # Where torch was built without CUDA, torchvision's compiled operators do not load, and describing them would fail.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")


def by_hand(data: Data, method: TwoViews[Any], network: nn.Module, projector: nn.Module) -> Callable[[int], None]:
    """The same training with lightly's losses: a function that takes one step."""
    from lightly.loss import NTXentLoss, VICRegLoss
    from lightly.models.utils import deactivate_requires_grad, update_momentum

    training = data.training
    (column,) = training.inputs
    images = torch.from_numpy(column.take(training.rows))
    see, rng = view_of("contrastive", spec_of(images)), torch.Generator().manual_seed(0)
    parameters = [*network.parameters(), *projector.parameters()]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim >= 2]},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=method.learning_rate, weight_decay=method.weight_decay, betas=(0.9, 0.99), fused=True
    )
    stream = endless(torch.arange(len(images)), rng)
    network.train()
    keys: list[tuple[nn.Module, nn.Module]] = []
    if isinstance(method, MoCo):
        learner = method.begin(data, None, 0)
        loss_of = NTXentLoss(method.temperature, memory_bank_size=(len(learner.queue), method.projection))
        keys = [(part, copy.deepcopy(part).eval()) for part in (network, projector)]
        for _, trailing in keys:
            deactivate_requires_grad(trailing)
    else:
        loss_of = VICRegLoss()

    def project(parts: list[nn.Module], views: Tensor) -> Tensor:
        features: Tensor = parts[1](parts[0].features({column.name: views}))
        return features

    def step(number: int) -> None:
        rows = images[take(stream, method.batch_size)]
        first, second = see(rows, rng), see(rows, rng)
        if keys:
            momentum = 1 - (1 - method.momentum) * (math.cos(math.pi * number / STEPS) + 1) / 2
            for part, trailing in keys:
                update_momentum(part, trailing, m=momentum)
            with torch.no_grad():
                key = project([trailing for _, trailing in keys], second)
            loss = loss_of(project([network, projector], first), key)
        else:
            loss = loss_of(*project([network, projector], torch.cat([first, second])).chunk(2))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        rate = method.learning_rate * min((number + 1) / 50, 0.5 * (1 + math.cos(math.pi * number / STEPS)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    return step


def measure(data: Data, method: TwoViews[Any]) -> Row:
    """Milliseconds per step on both sides, and the median over blocks of ours divided by the peer's."""
    learner = method.begin(data, None, 0)
    projector = learner.projector if isinstance(method, MoCo) else learner.expander
    plain = by_hand(data, method, copy.deepcopy(learner.network), copy.deepcopy(projector))
    learner.steps = STEPS
    learner.train()
    method.prepare(learner)
    optimizer = make_optimizer(method, learner)
    done = {"ours": 0, "peer": 0}

    def ours() -> None:
        for _ in range(BLOCK):
            take_step(method, learner, optimizer, done["ours"], STEPS, 0)
            done["ours"] += 1

    def peer() -> None:
        for _ in range(BLOCK):
            plain(done["peer"])
            done["peer"] += 1

    work = {"ours": flops(ours), "peer": flops(peer)}
    assert abs(work["ours"] / work["peer"] - 1) < SAME, f"the two sides do not do the same work: {work}"
    seconds = interleaved({"ours": ours, "peer": peer}, ROUNDS, clock=time.thread_time)
    return {
        "name": f"{type(method).__name__} step, Fashion-MNIST, {method.batch_size} rows, one thread, processor time",
        "ours": round(statistics.median(seconds["ours"]) / BLOCK * 1000, 2),
        "peer": round(statistics.median(seconds["peer"]) / BLOCK * 1000, 2),
        "unit": "ms/step",
        "ratio": round(1 / median_ratio(seconds), 3),
        "target": TARGET,
        "versions": {**versions(), "lightly": version("lightly")},
    }


def run() -> list[Row]:
    """Both methods with their defaults."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    find_lightly()
    data = mw.read(data_folder("fashion-mnist"))
    try:
        return [measure(data, method) for method in (mw.VICReg(), mw.MoCo())]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    report("self_supervised", run())
