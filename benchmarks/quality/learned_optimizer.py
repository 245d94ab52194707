"""Learning to optimise beside a tuned Adam: on the family of tasks that it was meta-trained for, and on others.

The family: a perceptron with fresh weights tells the ten digits of 8 by 8 pixels apart, 30 steps on minibatches of 32.
Scored on rows that meta-training never saw, 16 tasks each; Adam has the best of seven rates for each line, chosen on
the very tasks that are scored. The others: four times as many steps, clothes in place of digits (Fashion-MNIST, 8 by
8), and a convolutional network with batch normalisation in a plain loop of torch.

    python benchmarks/quality/learned_optimizer.py [META_STEPS]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

import manyways as mw
from manyways.data.data import Data
from manyways.models.learned_optimizer import LearnedOptimizerModel
from manyways.models.optimizing.adam import RATES

TASKS, LOOPS, STEPS = 16, 3, 60


def clothes() -> Data:
    """The test images of Fashion-MNIST, of the digits' size."""
    whole = mw.read(data_folder("fashion-mnist"), image_size=8)
    return whole.test


def convolutional(seed: int) -> nn.Module:
    """A small network of another kind."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(*layers)


def loop(make: Callable[[Any], torch.optim.Optimizer], images: torch.Tensor, labels: torch.Tensor) -> float:
    """The mean loss on the way of an optimizer, over several runs of a plain loop."""
    losses = []
    for seed in range(LOOPS):
        network, rng = convolutional(seed), torch.Generator().manual_seed(seed)
        optimizer = make(network.parameters())
        for _ in range(STEPS):
            rows = torch.randint(len(images), (32,), generator=rng)
            loss = cross_entropy(network(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses))


def line(name: str, own: float, adam: float) -> None:
    """Print both, and by how much the learned one is lower."""
    change = 100 * (own / adam - 1)
    print(f"{name}: learned {own:.4f}, tuned Adam {adam:.4f}, {change:+.1f}%", flush=True)


def main() -> None:
    """Meta-train, and score."""
    torch.set_num_threads(1)
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    digits = mw.read("digits").with_test(0.3)
    method = mw.LearnedOptimizer(backbone="flat-perceptron", size=0.125, task_steps=30, truncation=30)
    began = time.process_time()
    model = method.fit(digits, budget=steps)
    print(f"{method}, {steps} steps: {time.process_time() - began:.0f} processor seconds", flush=True)
    assert isinstance(model, LearnedOptimizerModel)
    for name, rows, more in (
        ("digits", digits.test, None),
        ("120 steps", digits.test, 120),
        ("clothes", clothes(), None),
    ):
        scores = model.evaluate(rows, tasks=TASKS, steps=more)
        for score in ("mean_loss", "final_loss"):
            line(f"{name}, {score}", scores[score], scores[f"adam_{score}"])
    table = digits.training
    images = torch.from_numpy(np.asarray(table.take("image"), np.float32)).view(-1, 1, 8, 8)
    images = (images - images.mean()) / images.std()
    labels = torch.from_numpy(np.asarray(table.take("label"), np.int64))
    own = loop(model.optimizer, images, labels)
    adam = min(
        loop(lambda parameters, rate=rate: torch.optim.Adam(parameters, rate, (0.9, 0.99)), images, labels)  # type: ignore[misc]
        for rate in RATES
    )
    line("a convolutional network, mean_loss", own, adam)


if __name__ == "__main__":
    main()
