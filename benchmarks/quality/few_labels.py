"""What FixMatch's threshold rules reach with few labels, beside plain supervision, on images, a table and texts.

    python benchmarks/quality/few_labels.py [images] [digits] [table] [texts] … [--seconds 60] [--seeds 3] [--draw DRAW]

A budget in seconds is turned into steps once, by plain supervision's and FixMatch's own steps on this machine, so that
every rule takes as many as the others. Every line is the mean over seeds, and the scores of each. docs/results.md keeps
what was printed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.bases.threshold_rules import THRESHOLD_RULES
from manyways.methods.expressions import parse_method
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

WARM, TIMED = 5, 30


def images() -> tuple[Data, int]:
    """Fashion-MNIST, 100 labels."""
    return mw.read(data_folder("fashion-mnist")), 100


def digits() -> tuple[Data, int]:
    """Digits of 8 pixels, 40 labels."""
    return mw.read("digits").with_test(0.2), 40


def table() -> tuple[Data, int]:
    """Breast cancer, 30 numbers, 20 labels."""
    return mw.read("breast-cancer").with_test(0.3), 20


def texts() -> tuple[Data, int]:
    """Questions of banking77's ten most frequent intents, 100 labels."""
    data = mw.read(data_folder("banking77") / "train.csv", label="category")
    names, counts = np.unique(data.take("category").astype(str), return_counts=True)
    often = set(names[np.argsort(-counts, kind="stable")[:10]])
    return data.select(np.array([str(name) in often for name in data.take("category")])).with_test(0.3), 100


def seconds_of_a_step(method: GradientMethod[Any], data: Data) -> float:
    """Processor time of one step, after some to warm up."""
    learner = method.begin(data, None, 0).train()
    optimizer = make_optimizer(method, learner)
    for step in range(WARM + TIMED):
        if step == WARM:
            began = time.process_time()
        take_step(method, learner, optimizer, step, WARM + TIMED, 0)
    return (time.process_time() - began) / TIMED


def ways() -> list[str]:
    """Plain supervision, and FixMatch by each rule, with its classes aligned to those of the labels and without."""
    rules = [f"threshold_rule='{name}'" for name in THRESHOLD_RULES if name != "fixed"]
    plain = ["fixmatch", *(f"fixmatch({rule})" for rule in rules)]
    alone = ["fixmatch(align_classes=False)", *(f"fixmatch({rule}, align_classes=False)" for rule in rules)]
    return ["supervised", *plain, *alone]


ALL: dict[str, Callable[[], tuple[Data, int]]] = {each.__name__: each for each in (images, digits, table, texts)}


def main() -> None:
    """Do those that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("named", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draw", choices=["random", "stratified"], default="random")
    parser.add_argument("--ways", nargs="*")
    options = parser.parse_args()
    if unknown := set(options.named) - set(ALL):
        parser.error(f"NAME must be one of {', '.join(ALL)}; got {', '.join(unknown)}.")
    torch.set_num_threads(1)
    for name in options.named or ALL:
        data, labels = ALL[name]()
        few = data.with_labels(labels, 0, draw=options.draw)
        steps = {
            way: int(options.seconds / seconds_of_a_step(parse_method(way), few)) for way in ("supervised", "fixmatch")
        }
        print(f"{name}: {(ALL[name].__doc__ or '').strip()} {options.draw} draw, steps {steps}", flush=True)
        for way in options.ways or ways():
            budget = steps["supervised" if way.startswith("supervised") else "fixmatch"]
            scores = [
                parse_method(way)
                .fit(data.with_labels(labels, seed, draw=options.draw), budget=budget, seed=seed)
                .evaluate(data.test)["accuracy"]
                for seed in range(options.seeds)
            ]
            print(f"  {way}: {np.mean(scores):.4f} ({', '.join(f'{score:.4f}' for score in scores)})", flush=True)


if __name__ == "__main__":
    main()
