"""Features of sound learned without labels, on spoken digits (fsdd) with 10 labels a class.

    python benchmarks/quality/sounds.py cpc wav2vec [--first 500] [--then 150] [--draws 3]

Each method learns from all training recordings without labels for --first steps, once, and prints its pretext task's
accuracy, chance and signs of collapse; then a linear probe, and --then steps of fine-tune, see 100 labels, drawn anew
each time. Plain supervision takes as many steps as both together, with the network of each method and with the usual
one. Scored on the official test: recordings 0 to 4 of each digit and speaker.
"""

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean

import manyways as mw
from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.methods.expressions import parse_method
from manyways.models.model import Model

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

LABELS = 100
NETWORKS = {"cpc": "audio-gru", "wav2vec": "audio-transformer"}


def digits() -> Data:
    """The recordings with their official test part."""
    pattern = r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<take>\d+)"
    archive = data_folder("fsdd") / "recordings.zip"
    # A column without a role is not kept; nothing here learns from clients.
    data = mw.read(archive, label="digit", input="audio", client="take", label_pattern=pattern, seconds=0.75)
    part = data.part.copy()
    part[data.take("take").astype(int) < 5] = TEST
    return replace(data, part=part)


def main() -> None:
    """Train, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", choices=sorted(NETWORKS))
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--then", type=int, default=150)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    data, scores = digits(), defaultdict(list)

    def score(name: str, text: str, budget: int, draw: int, start: Model | None = None) -> None:
        few, began = data.with_labels(LABELS, draw, draw="stratified"), time.process_time()
        model = parse_method(text).fit(few, start, budget=budget, seed=draw)
        scores[name].append(model.evaluate(few.test)["accuracy"])
        spent = time.process_time() - began
        print(f"{name}, draw {draw}: {scores[name][-1]:.4f} ({spent:.0f} s of processor time)", flush=True)

    for text in options.methods:
        begun = parse_method(text).fit(data, budget=options.first, seed=0)
        print(text, begun.lineage.facts["pretext"], begun.lineage.facts.get("caution", ""), flush=True)
        for draw in range(options.draws):
            score(f"{text} >> linear-probe", "linear-probe", 1, draw, begun)
            score(f"{text} >> fine-tune", "fine-tune", options.then, draw, begun)
    for network in [*(NETWORKS[text] for text in options.methods), "audio-net"]:
        for draw in range(options.draws):
            plain = f"supervised(backbone='{network}')"
            score(plain, plain, options.first + options.then, draw)
    for name, reached in scores.items():
        print(f"{name}: {mean(reached):.4f} (from {min(reached):.4f} to {max(reached):.4f})")


if __name__ == "__main__":
    main()
