"""What strategies of active learning reach beside random rows, on images, texts and a table, with intervals.

    python benchmarks/quality/questions.py [digits] [fashion] [banking] [diabetes] … [--seeds 5] [--rounds 5]

Each strategy begins with the same labels of a seed and asks for the same number more in the same rounds; between them a
linear model of frozen features is fitted anew: of pixels (digits), of pixels averaged to 14 by 14 (Fashion-MNIST), of
all-MiniLM-L6-v2 (banking77), or of the table (diabetes, R²). A line is the mean over seeds of the last score and of the
area under the label curve, then how far both are from random rows of the same seeds, with the 95% interval of a paired
t-test, and processor seconds. `cold` begins without any label: the first rows are typical ones, or random.

docs/results.md keeps what was printed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import manyways as mw
from manyways.comparison.label_curve_notes import LabelCurveNotes
from manyways.data.data import Data
from manyways.methods.method import Method
from manyways.metrics import AREA_UNDER_LABEL_CURVE
from manyways.training.run import Run

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

MINILM = Path(__file__).parents[2] / ".models" / "all-MiniLM-L6-v2"
CLASSES = ("random", "entropy", "margin", "least-confidence", "vote-entropy", "consensus-kl", "badge", "core-set",
           "typical", "balanced", "margin, power 1")  # fmt: skip
NUMBERS = ("random", "greedy", "core-set", "committee-variance", "expected-model-change")
Case = tuple[Data, Method, int, int, str, tuple[str, ...]]


def digits() -> Case:
    """Digits of 8 pixels, from 20 labels to 120."""
    return mw.read("digits").with_test(0.3), mw.LinearProbe(penalty=1e-2), 20, 100, "accuracy", CLASSES


def fashion() -> Case:
    """Fashion-MNIST, 6,000 of its training rows and 4,000 of its test rows, from 20 labels to 220."""
    data = mw.read(data_folder("fashion-mnist"))
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.flatnonzero(data.part[data.rows] == part), count) for part, count in ((0, 6000), (2, 4000))]
    some = data.select(np.unique(np.concatenate(rows)))
    pixels = some.take("image").reshape(len(some), 14, 2, 14, 2).mean((2, 4)).reshape(len(some), -1) / 255
    table = {f"p{at}": pixels[:, at] for at in range(pixels.shape[1])} | {"label": some.take("label")}
    return mw.read(table, label="label").with_test(0.4), mw.LinearProbe(penalty=1e-2), 20, 200, "accuracy", CLASSES


def banking() -> Case:
    """Questions of banking77, 77 intents, of which 60% to learn from, from 154 labels to 654."""
    data = mw.read(data_folder("banking77") / "train.csv", label="category").with_test(0.4)
    return data, mw.LinearProbe(backbone=str(MINILM), penalty=1e-2), 154, 500, "accuracy", CLASSES


def cold() -> Case:
    """Digits without any label, from the first 20 to 60."""
    strategies = ("first random", "first typical", "first core-set")
    return mw.read("digits").with_test(0.3), mw.LinearProbe(penalty=1e-2), 0, 60, "accuracy", strategies


def diabetes() -> Case:
    """Diabetes, a number, from 20 labels to 80."""
    return mw.read("diabetes").with_test(0.3), mw.Ridge(), 20, 60, "r2", NUMBERS


CASES: dict[str, Callable[[], Case]] = {
    "digits": digits, "fashion": fashion, "banking": banking, "cold": cold, "diabetes": diabetes,
}  # fmt: skip


def method_of(text: str, base: Method, questions: int, rounds: int) -> mw.ActiveLearning:
    """The method of a line of the table."""
    options: dict[str, Any] = {"base": base, "questions": questions, "rounds": rounds}
    if text.startswith("first "):
        strategy = "random" if text == "first random" else "margin"
        return mw.ActiveLearning(first=text.removeprefix("first "), strategy=strategy, **options)
    strategy, _, power = text.partition(", power ")
    return mw.ActiveLearning(strategy=strategy, power=float(power) if power else None, **options)


def scores(method: Method, data: Data, labels: int, metric: str, seed: int) -> tuple[float, float]:
    """The last score on the test rows, and the area under the label curve."""
    notes = LabelCurveNotes(lambda model: model.evaluate(data.test)[metric])
    few = data.with_labels(labels, seed, draw="stratified") if labels else data.hide(np.arange(len(data)))
    model = method.fit(few, seed=seed, run=Run(listeners=[notes]))
    return model.evaluate(data.test)[metric], notes.scores()[AREA_UNDER_LABEL_CURVE.name]


def against(values: Any, others: Any) -> str:
    """The mean difference of two paired rows of numbers, with its 95% interval."""
    gaps = 100 * (np.asarray(values) - np.asarray(others))
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
    return f"{gaps.mean():+5.1f} ± {half:4.1f}"


def main() -> None:
    """Print a table for each case that is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.cases:
        data, base, labels, questions, metric, strategies = CASES[name]()
        print(f"{name}: {labels} labels and {questions} questions in {options.rounds} rounds, {options.seeds} seeds")
        lines: dict[str, Any] = {}
        for text in strategies:
            method, began = method_of(text, base, questions, options.rounds), time.process_time()
            lines[text] = np.array(
                [scores(method, data, labels, metric, seed) for seed in range(options.seeds)]
            ).T  # [last and area, seeds]
            last, area = lines[text]
            plain = next(iter(lines.values()))
            print(
                f"  {text:22} {metric} {100 * last.mean():5.1f} ({against(last, plain[0])})  "
                f"area {100 * area.mean():5.1f} ({against(area, plain[1])})  {time.process_time() - began:5.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
