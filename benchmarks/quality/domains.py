"""What DANN and Deep CORAL gain for a domain without labels, beside the source alone, and where domains are equal.

    python benchmarks/quality/domains.py garments [--shift noisy|inverted|same …] [--steps 200] [--seeds 3]
    python benchmarks/quality/domains.py speakers [--target nicolas …]

garments: Fashion-MNIST, of whose pictures every second one is in another print (in noise on paler ink, in the negative,
or the same), without its label. speakers: fsdd, digits of two speakers with labels, and of another without. Half of the
target's rows are tested on, and never seen before. `supervised` sees the labelled rows of the source alone; all take as
many steps with as many labelled rows. Every line is a training; the means are at the end.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.expressions import parse_method

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

SHIFTS = ("noisy", "inverted", "same")
SOURCES = ("jackson", "theo")
TARGETS = ("nicolas", "yweweler", "george", "lucas")


def garments(shift: str, rows: int) -> Data:
    """Fashion-MNIST in two prints, the second without labels."""
    data = mw.read(data_folder("fashion-mnist")).training
    data = data.select(np.sort(np.random.default_rng(0).permutation(len(data))[:rows]))
    (image,), rng = data.inputs, np.random.default_rng(1)
    pixels = image.take(data.rows)
    second = rng.random(rows) < 0.5
    other = {
        "noisy": lambda: 0.5 * pixels + 60 + rng.normal(0, 40, pixels.shape),
        "inverted": lambda: 255.0 - pixels,
        "same": lambda: pixels.astype(float),
    }[shift]()
    prints = np.where(second[:, None, None, None], other, pixels).clip(0, 255).astype(np.uint8)
    columns = [
        Column("picture", "image", prints),
        Column("garment", "category", data.take(data.label.name)),
        Column("print", "category", np.array(["plain", shift], object)[second.astype(int)]),
    ]
    roles = {"input": ["picture"], "label": ["garment"], "domain": ["print"]}
    return Data.from_columns(columns, roles, name=f"garments, {shift}").with_target_domain(shift)


def speakers(target: str) -> Data:
    """Spoken digits of two speakers with labels, and of `target` without."""
    pattern = r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<take>\d+)"
    archive = data_folder("fsdd") / "recordings.zip"
    data = mw.read(archive, label="digit", domain="speaker", input="audio", label_pattern=pattern)
    return data.select(np.isin(data.take("speaker").astype(str), [*SOURCES, target])).with_target_domain(target)


def main() -> None:
    """Train every way on every data set for every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("garments", "speakers"))
    parser.add_argument("--shift", nargs="+", default=SHIFTS, choices=SHIFTS)
    parser.add_argument("--target", nargs="+", default=TARGETS)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=float, default=0.5)
    parser.add_argument("--methods", nargs="+", default=["supervised", "dann", "coral"])
    options = parser.parse_args()
    kinds = options.shift if options.data == "garments" else options.target
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in range(options.seeds):
        for kind in kinds:
            data = garments(kind, options.rows) if options.data == "garments" else speakers(kind)
            for text in options.methods:
                head, _, fields = text.partition("(")
                method = parse_method(f"{head}(size={options.size}{', ' + fields if fields else ')'}")
                began = time.process_time()
                model = method.fit(data, budget=options.steps, seed=seed)
                scores[kind, text].append(model.evaluate(data.test)["accuracy"])
                spent = time.process_time() - began
                print(f"{kind}, {text}, seed {seed}: {scores[kind, text][-1]:.4f} ({spent:.0f} s)", flush=True)
    for (kind, text), reached in scores.items():
        alone = mean(scores[kind, options.methods[0]])
        print(f"{kind}, {text}: {mean(reached):.4f} ({mean(reached) - alone:+.4f} of {options.methods[0]})")


if __name__ == "__main__":
    main()
