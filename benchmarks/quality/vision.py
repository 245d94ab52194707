"""Detection and segmentation on real pictures: BCCD (boxes), nuclei of the Data Science Bowl 2018 (instances, masks).

    python benchmarks/quality/vision.py bccd --budget 4min
    python benchmarks/quality/vision.py nuclei --budget 5min
    python benchmarks/quality/vision.py nuclei-mask --budget 5min

The data are read as they are, from $MANYWAYS_DATA; `supervised` learns with its defaults unless an option says
otherwise. BCCD: trained on its own training and validation lists, tested on its test list; two pictures with a box of
no area are left out. Nuclei: 267 pictures for training, 67 for testing, drawn by seed. Options: --seed N, --threads N,
and any field of the method that is a number, --set learning_rate=4e-3.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import torch

import manyways as mw
from manyways.data.data import Data
from manyways.data.parts import TRAINING, VALIDATION


def bccd(folder: Path, seed: int) -> Data:
    """The blood cells by the lists of their archive; training and validation lists are learned from."""
    data = mw.read(folder / "bccd" / "BCCD.zip", bad_rows="skip")
    part = data.part.copy()
    part[part == VALIDATION] = TRAINING
    return replace(data, part=part)


def nuclei(folder: Path, seed: int, kind: str = "instances") -> Data:
    """The nuclei, a fifth of the pictures for testing."""
    archive = next((folder / "dsb2018-nuclei").glob("*.tar.xz"))
    return mw.read(archive, kinds={"label": kind}).with_test(0.2, seed=seed)


def scores_of(model: mw.Model, data: Data, task: str) -> dict[str, float]:
    """Its scores on the test rows; of instances also the average precision of all pictures together."""
    scores = dict(model.evaluate(data.test))
    if task == "nuclei":
        from manyways.data.targets.instances_maps import pairs_of

        predicted = [each.code for each in model.predictions(data.test)]
        truth = model.target.encode(data.test, hidden=True)
        found, guessed, there = map(sum, zip(*map(pairs_of, predicted, truth), strict=True))
        scores["ap_50 of all pictures together"] = found / (guessed + there - found)
    return scores


def main() -> None:
    """Train, evaluate, print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("bccd", "nuclei", "nuclei-mask", "nuclei-boxes"))
    parser.add_argument("--budget", default="4min")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = Path(os.environ["MANYWAYS_DATA"])
    fields = {name: float(value) for name, _, value in (each.partition("=") for each in options.set)}
    if options.task == "bccd":
        data = bccd(folder, options.seed)
    else:
        kind = {"nuclei": "instances", "nuclei-mask": "mask", "nuclei-boxes": "boxes"}[options.task]
        data = nuclei(folder, options.seed, kind)
    start = time.perf_counter()
    model = mw.Supervised(**fields).fit(data, budget=options.budget, seed=options.seed)
    took = time.perf_counter() - start
    scores = scores_of(model, data, options.task)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    rows = f"{len(data.training)} learned from, {len(data.test)} tested on"
    print(f"{options.task}: {shown} ({rows}; {model.lineage.steps:,} steps, {took:.0f} s, {options.threads} threads)")


if __name__ == "__main__":
    main()
