"""Accuracy of next-sentence and sentence-order prediction on the speeches of tiny-shakespeare that were held out.

    python benchmarks/quality/next_sentence.py [next|order|checkpoint …]

From scratch, and from all-MiniLM-L6-v2 (`make models`); beside it what its features are then worth as sentence
embeddings, by Spearman's correlation on the test pairs of STS-B. Budgets in steps; every line says its seconds of
processor time.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
from common import data_folder

import manyways as mw
from manyways.correlations import correlations
from manyways.data.parts import TRAINING, VALIDATION
from manyways.methods.expressions import parse_method

ROOT = Path(__file__).parents[2]
PAIR, SCORE = ("column_0", "column_1"), "column_2"
TASKS = ("next", "order")
LINES = {
    **{task: [(f"next-sentence(task={task!r})", 300)] for task in TASKS},
    "checkpoint": [(f"next-sentence(task={task!r}, batch_size=16, learning_rate=5e-4)", 60) for task in TASKS],
}


def main() -> None:
    groups = sys.argv[1:] or list(LINES)
    data = mw.read(next(data_folder("tiny-shakespeare").glob("*.txt")))
    part = np.where(np.arange(len(data.part)) < 0.9 * len(data.part), TRAINING, VALIDATION).astype(np.uint8)
    data = replace(data, part=part)
    for group in groups:
        for text, steps in LINES[group]:
            method = parse_method(text)
            if group == "checkpoint":
                place = Path(os.environ.get("MANYWAYS_MODELS") or ROOT / ".models") / "all-MiniLM-L6-v2"
                method = method.with_backbone(str(place))
            began = time.process_time()
            model = method.fit(data, budget=f"{steps} steps", seed=0)
            seconds = time.process_time() - began
            scores = model.lineage.facts["pretext"]
            print(
                f"{group}, {text}, {steps} steps: accuracy {scores['accuracy']:.3f} of {scores['pairs']:.0f} pairs "
                f"(chance 0.5), spread {scores['spread']:.2f}; {seconds:.0f} s of processor time. "
                f"{model.lineage.facts.get('caution', '')}",
                flush=True,
            )
            if group == "checkpoint":
                print(f"  STS-B test, Spearman of the features' cosine: {of_pairs(model):.4f}", flush=True)


def of_pairs(model: mw.Model) -> float:
    """Spearman's correlation on STS-B of the cosine of features with the score."""
    pairs = mw.read(str(data_folder("stsb")), input=PAIR, label=SCORE).test
    sides = [model.embed(mw.read({"text": list(pairs.take(name))})) for name in PAIR]
    first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    return correlations((first * second).sum(1), pairs.take(SCORE).astype(float))["spearman"]


if __name__ == "__main__":
    main()
