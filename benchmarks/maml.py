"""A step of MAML against a plain loop over its tasks: 32 tasks of 5 classes, conv-4, 28 by 28 pixels, second order.

The peer is written here as its authors' algorithm is written with autograd alone: task after task, the gradient of the
loss on the shots with `create_graph`, one step, the loss on the queries of the network with the new weights
(`functional_call` only puts them in place), one `backward` of the mean, AdamW. Its network is made of torch's own
layers, and normalises by the statistics of the rows that it is given. Ours is the step of `MAML().fit`, drawing
included. From the same weights and on the same rows both must give the same loss and gradients, which is checked.

One thread, processor time, in turns.

    python benchmarks/maml.py
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import Row, interleaved, median_ratio, report, versions
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch
from manyways.randomness import generator
from manyways.training.learner import RowLearner
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

TASKS, WAYS, SIDE, QUERIES, ROUNDS, TARGET = 32, 5, 28, (1, 5), 5, 2


def pictures() -> Data:
    """Noise in classes; what is in the images costs nothing."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 1, SIDE, SIDE), np.uint8)
    return mw.read({"image": images, "label": np.arange(400) % 20}, label="label", kinds={"label": "category"})


def network_like(learner: RowLearner) -> nn.Module:
    """Conv-4 of torch's layers with the learner's weights, from pixels as they are in a batch."""
    (ours,) = learner.network.backbones
    layers: list[nn.Module] = []
    for before in (1, 64, 64, 64):
        convolution = nn.Conv2d(before, 64, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(64, track_running_stats=False), nn.ReLU(), nn.MaxPool2d(2)]
    theirs = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, WAYS))
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), learner.network.parameters(), strict=True):
            parameter.copy_(value)

    class Standardised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = theirs
            self.register_buffer("mean", ours.mean.clone())
            self.register_buffer("deviation", ours.std.clone())

        def forward(self, x: Tensor) -> Tensor:
            said: Tensor = self.layers((x / 255 - self.mean) / self.deviation)
            return said

    return Standardised()


def task_loop(network: nn.Module, batch: Batch, rate: float) -> Tensor:
    """The mean loss on the queries after a step on the shots of each task, with its gradient in the weights."""
    weights, total = dict(network.named_parameters()), torch.zeros(())
    shots, queries = batch["support"], batch["queries"]
    for task in range(len(shots["labels"])):
        before = cross_entropy(network(shots["inputs"]["image"][task]), shots["labels"][task])
        gradients = torch.autograd.grad(before, list(weights.values()), create_graph=True)
        moved = {name: weight - rate * g for (name, weight), g in zip(weights.items(), gradients, strict=True)}
        said = functional_call(network, moved, (queries["inputs"]["image"][task],))
        total = total + cross_entropy(said, queries["labels"][task])
    mean = total / len(shots["labels"])
    mean.backward()
    return mean.detach()


def agree(method: mw.MAML, learner: RowLearner, network: nn.Module, batch: Batch) -> None:
    """Check that both sides compute the same, in float64."""
    exact, theirs = copy.deepcopy(learner).double(), copy.deepcopy(network).double()
    loss, _ = method.loss(exact, batch)
    loss.backward()
    torch.testing.assert_close(task_loop(theirs, batch, method.inner_rate).float(), loss.detach())
    for one, two in zip(exact.network.parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-5)


def sides(method: mw.MAML) -> dict[str, Callable[[], object]]:
    """A step of each side."""
    torch.manual_seed(0)
    learner = method.begin(pictures(), None, 0)
    learner.train()
    network = network_like(learner)
    batch: Any = method.draw(learner, 0, generator(0, 0))
    agree(method, learner, network, batch)
    ours = make_optimizer(method, learner)
    theirs = torch.optim.AdamW(network.parameters(), fused=True)
    steps = iter(range(10**6))

    def plain() -> None:
        theirs.zero_grad()
        task_loop(network, batch, method.inner_rate)
        theirs.step()

    return {"ours": lambda: take_step(method, learner, ours, next(steps), 1000, 0), "peer": plain}


def run() -> list[Row]:
    """Measure both sides in turns, with one query a class and with as many as `MAML` draws."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for queries in QUERIES:
        method = mw.MAML(backbone="conv4", head="linear", batch_size=TASKS, ways=WAYS, queries=queries)
        seconds = interleaved(sides(method), ROUNDS, clock=time.process_time)
        rows.append(
            {
                "name": f"MAML step, {TASKS} tasks, {WAYS}-way 1-shot {queries} queries a class, conv-4, {SIDE} px",
                "ours": round(float(np.median(seconds["ours"])) * 1e3),
                "peer": round(float(np.median(seconds["peer"])) * 1e3),
                "unit": "ms of processor time",
                "ratio": round(median_ratio(seconds), 2),
                "target": f"≥ {TARGET}",
                "versions": versions(),
            }
        )
    return rows


if __name__ == "__main__":
    report("maml", run())
