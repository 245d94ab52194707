"""Curricula where they are known to help, wrong labels and little time, beside random order, and hard rows first.

    python benchmarks/quality/curriculum.py noise [--steps 500] [--seeds 3]     # 40% of Fashion-MNIST's labels flipped
    python benchmarks/quality/curriculum.py clean                                # the same, none flipped
    python benchmarks/quality/curriculum.py translate [--steps 240] [--seeds 1]  # multi30k, a third of translate.py

Every way has the same steps; those of a small model whose losses are the difficulty are among them. A batch of
sentences holds as many tokens whatever the order, since short ones come more at a time: the tokens that were learned
from are printed beside the score. docs/results.md keeps what was printed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

ROWS, FLIPPED, SIZE = 2000, 0.4, 0.5
NEVER_ALL = 2.0
"""With the root of time the competence ends at 71% of the rows: the hardest 29% are never picked."""
NOISE = (
    "auto",
    f"curriculum(order=random, until={NEVER_ALL:g})",
    "curriculum(difficulty=loss)",
    f"curriculum(difficulty=loss, until={NEVER_ALL:g})",
    "curriculum(difficulty=loss, order=hard)",
    "self-paced",
)
TRANSLATE = (
    "auto",
    "curriculum(order=random)",
    "curriculum(difficulty=length)",
    "curriculum(difficulty=rarity)",
    "curriculum(difficulty=length, order=hard)",
)


def fashion(data: Data, flipped: float, seed: int) -> Data:
    """2,000 rows of Fashion-MNIST to learn from, a share of whose labels are others; the test rows are as they are."""
    rng = np.random.default_rng(seed)
    training = rng.permutation(np.flatnonzero(data.part[data.rows] == 0))[:ROWS]
    labels = np.array(data.label.take(np.arange(len(data.part))), copy=True)
    names = np.unique(labels)
    wrong = data.rows[training[rng.random(ROWS) < flipped]]
    codes = np.searchsorted(names, labels[wrong])
    labels[wrong] = names[(codes + rng.integers(1, len(names), len(wrong))) % len(names)]
    column = Column(data.label.name, data.label.kind, labels)
    noisy = Data.from_columns(
        [column if each.name == column.name else each for each in data.columns.values()], data.roles, part=data.part,
        name=f"fashion-mnist, {flipped:.0%} flipped",
    )  # fmt: skip
    return noisy.select(np.concatenate([training, np.flatnonzero(data.part[data.rows] == 2)]))


def images(flipped: float, ways: Sequence[str], steps: int, seeds: int) -> None:
    """Print the accuracy of each way on the test rows, whose labels are right."""
    whole = mw.read(data_folder("fashion-mnist"))
    scores: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(seeds):
        data = fashion(whole, flipped, seed)
        for way in ways:
            began = time.process_time()
            model: Any = mw.Supervised(sampler=way, size=SIZE).fit(data, budget=f"{steps} steps", seed=seed)
            spent = time.process_time() - began
            scores[way].append(model.evaluate(data.test)["accuracy"])
            print(f"    {way}, seed {seed}: {scores[way][-1]:.4f}; {spent:.1f} processor seconds", flush=True)
    for way, each in scores.items():
        half = 1.96 * np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        print(f"  {way}: {np.mean(each):.4f} ± {half:.4f}", flush=True)


def translate(ways: Sequence[str], steps: int, seeds: int) -> None:
    """Print BLEU of each way, and the tokens that it learned from."""
    folder = data_folder("multi30k")
    data = mw.read(folder / "train.de.gz", label="en", test=folder / "test_2016_flickr.de.gz")
    for way in ways:
        for seed in range(seeds):
            began = time.process_time()
            method = mw.Supervised(sampler=way)
            model: Any = method.fit(data, budget=f"{steps} steps", seed=seed)
            spent = time.process_time() - began
            learner = method.begin(data, None, seed)
            learner.steps = steps
            lengths = np.sum(learner.lengths(), axis=0)
            rows = [learner.pick(learner.labelled, None, step) for step in range(steps)]
            tokens = sum(int(lengths[each].sum()) for each in rows)
            bleu = model.evaluate(data.test)["bleu"]
            print(
                f"  {way}, seed {seed}: BLEU {bleu:.3f}; {steps} steps, {sum(map(len, rows)):,} pairs, {tokens:,} "
                f"tokens, {spent:.0f} processor seconds",
                flush=True,
            )


def main() -> None:
    """Do the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["noise", "clean", "translate"])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--ways", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.name == "translate":
        print("multi30k, German to English, greedy, test of 2016")
        translate(options.ways or TRANSLATE, options.steps or 240, options.seeds or 1)
    else:
        flipped = FLIPPED if options.name == "noise" else 0.0
        print(f"Fashion-MNIST, {ROWS:,} rows, {flipped:.0%} of the labels flipped")
        images(flipped, options.ways or NOISE, options.steps or 500, options.seeds or 3)


if __name__ == "__main__":
    main()
