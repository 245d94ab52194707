"""What few labels reach on the features of a pretrained sentence encoder: frozen, fine-tuned, tuned on pairs.

    python benchmarks/quality/encoders.py [frozen|sst2|pairs|banking77 …]

all-MiniLM-L6-v2 (`make models`), SST-2 and banking77, their own test rows, three draws of labels, budgets in steps.
Every figure is printed as it comes, and the means at the end.
"""

import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

import manyways as mw
from manyways.data.data import Data
from manyways.methods.expressions import parse_method

ROOT = Path(__file__).parents[2]
LABELS = {"sst2": "column_1", "banking77": "category"}
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Line:
    """Labels a class, a method and its budget, and the accuracy that it must reach."""

    group: str
    data: str
    per_class: int
    method: str
    budget: str | None
    target: float


LINES = (
    Line("frozen", "sst2", 20, "linear-probe", None, 0.63),
    Line("frozen", "sst2", 100, "linear-probe", None, 0.73),
    Line("frozen", "banking77", 1, "linear-probe", None, 0.52),
    Line("frozen", "banking77", 5, "linear-probe", None, 0.79),
    Line("frozen", "banking77", 10, "linear-probe", None, 0.84),
    Line("sst2", "sst2", 100, "fine-tune(batch_size=32)", "30 steps", 0.80),
    Line("sst2", "sst2", 500, "fine-tune(batch_size=32)", "90 steps", 0.84),
    Line("pairs", "sst2", 20, "few-shot-text", "25 steps", 0.63),
    Line("pairs", "sst2", 100, "few-shot-text", "40 steps", 0.73),
    Line("pairs", "banking77", 10, "few-shot-text(batch_size=32)", "60 steps", 0.87),
    Line("banking77", "banking77", 10, "fine-tune(batch_size=32)", "240 steps", 0.87),
)


def read(name: str) -> Data:
    """Training and test rows; validation rows would show more labels than are counted."""
    kinds = {LABELS[name]: "category"}
    data = mw.read(str(data_folder(name)), label=LABELS[name], kinds=kinds)
    return data.select(data.part[data.rows] != 1)


def main() -> None:
    place = Path(os.environ.get("MANYWAYS_MODELS") or ROOT / ".models") / "all-MiniLM-L6-v2"
    if not place.is_dir():
        raise SystemExit(f"{place} is not there; `make models` fetches it.")
    groups = sys.argv[1:] or sorted({line.group for line in LINES})
    tables = {name: read(name) for name in LABELS}
    scores: dict[Line, list[float]] = defaultdict(list)
    for seed in SEEDS:
        for line in LINES:
            if line.group not in groups:
                continue
            data = tables[line.data]
            few = data.with_labels(line.per_class * len(data.classes), seed, draw="stratified")
            began = time.process_time()
            method = parse_method(line.method).with_backbone(str(place))
            model = method.fit(few, seed=seed, budget=line.budget)
            scores[line].append(model.evaluate(few.test)["accuracy"])
            spent = time.process_time() - began
            print(
                f"{line.data}, {line.per_class} labels a class, {line.method}, seed {seed}: "
                f"{scores[line][-1]:.4f} ({spent:.0f} s of processor time)",
                flush=True,
            )
    for line, reached in scores.items():
        verdict = "reached" if mean(reached) >= line.target else "missed"
        print(
            f"{line.data}, {line.per_class} labels a class, {line.method}, {line.budget or 'no steps'}: "
            f"{mean(reached):.4f} (target {line.target}, {verdict})"
        )


if __name__ == "__main__":
    main()
