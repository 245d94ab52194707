"""What the framework costs: steps of Supervised and FixMatch against loops written by hand.

The peer is what one writes for this one case: the images as one uint8 tensor in memory, a permutation per epoch, the
same view functions, the same network, fused AdamW with clipping, warm-up and cosine, and for FixMatch the same averaged
weights. Blocks of steps of both sides alternate in one process on one thread; processor time is counted, and one step
of either side must cost the same number of floating-point operations.

    python benchmarks/step.py
"""

import copy
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from common import Row, data_folder, interleaved, median_ratio, report, versions
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

import manyways as mw
from manyways.data.data import Data
from manyways.data.specs import ImageSpec
from manyways.data.views import view_of
from manyways.methods.bases.rows import RowMethod
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

STEPS = 1000
BLOCK = 15
ROUNDS = 21
TARGET = 1.05


def by_hand(data: Data, method: RowMethod, network: nn.Module, semi: bool) -> Callable[[int], None]:
    """The same training written for this case alone: a function that takes one step."""
    training = data.training
    (column,) = training.inputs
    images = torch.from_numpy(column.take(training.rows))
    labels = torch.tensor([training.classes.index(value) for value in training.take("label").tolist()])
    spec = spec_of(images)
    weak, strong, rng = view_of("weak", spec), view_of("strong", spec), torch.Generator().manual_seed(0)
    shown = torch.from_numpy(training.labelled).nonzero().flatten()
    hidden = torch.from_numpy(~training.labelled).nonzero().flatten()
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    vectors = [p for p in network.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=method.learning_rate, weight_decay=method.weight_decay, betas=(0.9, 0.99), fused=True,
    )  # fmt: skip
    average = copy.deepcopy(network).eval()
    trailing: list[Tensor] = list(average.parameters())
    streams = [endless(shown, rng), endless(hidden, rng)]
    network.train()

    def step(number: int) -> None:
        rows = take(streams[0], method.batch_size)
        if isinstance(method, mw.FixMatch):
            other = images[take(streams[1], method.batch_size * method.unlabelled_ratio)]
            with torch.no_grad():
                confidence, guess = network({column.name: weak(other, rng)}).softmax(1).max(1)
            batch = torch.cat([weak(images[rows], rng), strong(other, rng)])
            outputs = network({column.name: batch})
            loss = cross_entropy(outputs[: len(rows)], labels[rows])
            sure = (confidence >= method.threshold).float()
            loss = loss + (cross_entropy(outputs[len(rows) :], guess, reduction="none") * sure).mean()
        else:
            loss = cross_entropy(network({column.name: weak(images[rows], rng)}), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        rate = method.learning_rate * min((number + 1) / 50, 0.5 * (1 + math.cos(math.pi * number / STEPS)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        if semi:
            with torch.no_grad():
                torch._foreach_lerp_(trailing, [p.detach() for p in network.parameters()], 0.01)
                for mine, new in zip(average.buffers(), network.buffers(), strict=True):
                    mine.copy_(new)

    return step


def spec_of(images: Tensor) -> ImageSpec:
    """What the views need to know of `images`."""
    return ImageSpec(*images.shape[1:])


def endless(pool: Tensor, rng: torch.Generator) -> list[Tensor]:
    """A stream of positions from `pool`, refilled by `take`."""
    return [pool[torch.randperm(len(pool), generator=rng)], pool]


def take(stream: list[Tensor], count: int) -> Tensor:
    """The next `count` positions of the stream."""
    while len(stream[0]) < count:
        stream[0] = torch.cat([stream[0], stream[1][torch.randperm(len(stream[1]))]])
    out, stream[0] = stream[0][:count], stream[0][count:]
    return out


def measure(data: Data, method: RowMethod, name: str, semi: bool) -> Row:
    """Milliseconds per step on both sides, and the median over blocks of ours divided by the peer's."""
    learner = method.begin(data, None, 0)
    other = copy.deepcopy(learner.network)
    learner.train()
    optimizer = make_optimizer(method, learner)
    plain = by_hand(data, method, other, semi)
    done = {"ours": 0, "peer": 0}

    def ours() -> None:
        for _ in range(BLOCK):
            take_step(method, learner, optimizer, done["ours"], STEPS, 0)
            done["ours"] += 1

    def peer() -> None:
        for _ in range(BLOCK):
            plain(done["peer"])
            done["peer"] += 1

    assert flops(ours) == flops(peer), "the two sides do not do the same work"
    seconds = interleaved({"ours": ours, "peer": peer}, ROUNDS, clock=time.thread_time)
    return {
        "name": name,
        "ours": round(statistics.median(seconds["ours"]) / BLOCK * 1000, 2),
        "peer": round(statistics.median(seconds["peer"]) / BLOCK * 1000, 2),
        "unit": "ms/step",
        "ratio": round(1 / median_ratio(seconds), 3),
        "target": TARGET,
        "versions": versions(),
    }


def flops(work: Callable[[], None]) -> int:
    """The floating-point operations of `work`."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def run() -> list[Row]:
    """Both methods on images of 8 and of 28 pixels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sets = {"digits, 8 px": mw.read("digits"), "Fashion-MNIST, 28 px": mw.read(data_folder("fashion-mnist"))}
    try:
        return [
            measure(
                data.with_labels(100, draw="stratified"),
                method,
                f"{type(method).__name__} step, {name}, one thread, processor time",
                semi,
            )
            for name, data in sets.items()
            for method, semi in ((mw.Supervised(), False), (mw.FixMatch(align_classes=False), True))
        ]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    report("step", run())
