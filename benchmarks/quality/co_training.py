"""Co-training on spoken and written digits, beside self-training and supervision, with few labels.

    python benchmarks/quality/co_training.py [--labels 40] [--steps 420] [--seeds 3] [--first 0]

Every way reads both the sound and the picture, and has the same steps in all. A line is the mean over draws of labels
with its 95% interval, and the scores of each; docs/results.md keeps what was printed.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manyways as mw

sys.path.insert(0, str(Path(__file__).parent))
from tables import speech

WAYS = (
    "supervised",
    "self-training(rounds=3, threshold=0.9)",
    "co-training(rounds=3, added=40, pool=2400)",
)


def main() -> None:
    """Write the pairs, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=40)
    parser.add_argument("--steps", type=int, default=420)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--ways", nargs="*", default=WAYS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = mw.read(speech(Path(folder)), label="label", part="part")
        scores: dict[str, list[float]] = {way: [] for way in options.ways}
        for seed in range(options.first, options.first + options.seeds):
            few = data.with_labels(options.labels, seed, draw="stratified")
            for way in options.ways:
                began = time.process_time()
                model: Any = mw.parse_method(way).fit(few, budget=f"{options.steps} steps", seed=seed)
                scores[way].append(model.evaluate(few.test)["accuracy"])
                spent = time.process_time() - began
                facts = {name: value for name, value in model.lineage.facts.items() if name.startswith(("agr", "gue"))}
                print(
                    f"    {way}, draw {seed}: {scores[way][-1]:.4f}; {spent:.0f} processor seconds {facts or ''}",
                    flush=True,
                )
    for way, each in scores.items():
        half = 1.96 * np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        print(f"  {way}: {np.mean(each):.4f} ± {half:.4f}", flush=True)


if __name__ == "__main__":
    main()
