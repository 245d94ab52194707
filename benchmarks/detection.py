"""What the framework costs a detector: steps of Supervised on BCCD against a loop written by hand.

The peer is what one writes for this one case: the pictures as one uint8 tensor in memory, a permutation per epoch, the
same view and loss as functions, the same network, fused AdamW with clipping, warm-up and cosine, and an average of the
weights. Blocks of steps of both sides alternate in one process on one thread; processor time is counted, and a step of
either side must cost the same number of floating-point operations.

    python benchmarks/detection.py
"""

import copy
import math
import statistics
import time
from collections.abc import Callable

import torch
from common import Row, data_folder, interleaved, median_ratio, report, versions
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import manyways as mw
from manyways.data.data import Data
from manyways.data.specs import ImageSpec
from manyways.data.targets.boxes import BoxTarget
from manyways.data.targets.centres import losses_of
from manyways.data.views import Views
from manyways.data.views.joint import moved_boxes
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

STEPS, BATCH, DECAY = 1000, 8, 0.998
BLOCK, ROUNDS = 3, 7
TARGET = 1.05


def by_hand(data: Data, network: nn.Module) -> Callable[[int], None]:
    """The same training written for this case alone: a function that takes one step."""
    training = data.training
    images = torch.from_numpy(training.inputs[0].take(training.rows))
    labels = torch.from_numpy(BoxTarget.fitted(data).encode(training))
    views, rng = Views({"image": ImageSpec(*images.shape[1:])}), torch.Generator().manual_seed(0)
    groups = [
        {"params": [p for p in network.parameters() if p.ndim >= 2]},
        {"params": [p for p in network.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    average = copy.deepcopy(network).eval()
    trailing: list[Tensor] = list(average.parameters())
    order = torch.randperm(len(images), generator=rng)
    network.train()

    def step(number: int) -> None:
        nonlocal order
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=rng)
        rows, order = order[:BATCH], order[BATCH:]
        seen, boxes = moved_boxes(views, "weak", {"image": images[rows]}, labels[rows], rng)
        loss = losses_of(network(seen), boxes).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        rate = 2e-3 * min((number + 1) / 50, 0.5 * (1 + math.cos(math.pi * number / STEPS)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(trailing, [p.detach() for p in network.parameters()], 1 - DECAY)
            for mine, new in zip(average.buffers(), network.buffers(), strict=True):
                mine.copy_(new)

    return step


def measure(data: Data) -> Row:
    """Images a second of both sides, and our time divided by the peer's."""
    method = mw.Supervised()
    learner = method.begin(data, None, 0)
    plain = by_hand(data, copy.deepcopy(learner.network))
    learner.train()
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

    assert flops(ours) == flops(peer), "the two sides do not do the same work"
    seconds = interleaved({"ours": ours, "peer": peer}, ROUNDS, clock=time.thread_time)
    return {
        "name": "Supervised on boxes, BCCD, 256 x 192 pixels, one thread, processor time",
        "ours": round(BLOCK * BATCH / statistics.median(seconds["ours"]), 1),
        "peer": round(BLOCK * BATCH / statistics.median(seconds["peer"]), 1),
        "unit": "images/s",
        "ratio": round(1 / median_ratio(seconds), 3),
        "target": TARGET,
        "versions": versions("pycocotools"),
    }


def flops(work: Callable[[], None]) -> int:
    """The floating-point operations of `work`."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def run() -> list[Row]:
    """One row."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [measure(mw.read(data_folder("bccd") / "BCCD.zip", bad_rows="skip"))]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    report("detection", run())
