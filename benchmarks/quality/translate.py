"""Translation from scratch: multi30k, German to English, cased, sacreBLEU (13a) on the Flickr test of 2016.

    python benchmarks/quality/translate.py                                # 5 minutes, greedy and with 5 beams
    python benchmarks/quality/translate.py --seconds 1200
    OMP_NUM_THREADS=1 python benchmarks/quality/translate.py --steps 700

The budget is of training alone: reading, the tokenizer and the encoding come before it, and are printed. All settings
but the budget are those of `supervised` for a text: an encoder and a decoder of three layers of width 192, 3,900 joint
byte pairs, tied embeddings, batches of 64 by length, label smoothing and dropout of 0.1, averaged weights.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import manyways as mw

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

SHOWN = ("bleu", "chrf", "rouge_l", "word_error_rate")


def show(name: str, scores: Mapping[str, float], began: float) -> None:
    """Print scores, and the seconds that they took."""
    words = ", ".join(f"{metric} {scores[metric]:.3f}" for metric in SHOWN)
    print(f"{name}: {words}; {time.perf_counter() - began:.0f} s", flush=True)


def main() -> None:
    """Read, train, search and score."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--steps", type=int, help="in place of seconds")
    options.add_argument("--size", type=float, default=1.0)
    options.add_argument("--beams", type=int, default=5)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--save", type=Path, help="folder for the model")
    given = options.parse_args()
    folder = data_folder("multi30k")
    began = time.perf_counter()
    data = mw.read(folder / "train.de.gz", label="en", test=folder / "test_2016_flickr.de.gz")
    started: list[tuple[float, int]] = []

    def listen(event: Any) -> None:
        if event.kind == "start":
            started.append((time.perf_counter(), event.steps))
        elif event.kind == "step" and event.step % 100 == 0:
            print(
                f"step {event.step} of {event.steps}, {event.seconds:.0f} s, loss {event.values['loss']:.3f}",
                flush=True,
            )

    budget = f"{given.steps} steps" if given.steps else f"{given.seconds} s"
    method = mw.Supervised(size=given.size)
    model: Any = method.fit(data, budget=budget, seed=given.seed, run=mw.Run(listeners=[listen]))
    start, steps = started[0]
    parameters = sum(each.numel() for each in model.network.parameters())
    print(
        f"{steps} steps of {parameters:,} parameters in {time.perf_counter() - start:.0f} s on "
        f"{torch.get_num_threads()} threads, after {start - began:.0f} s of reading and encoding",
        flush=True,
    )
    if given.save:
        model.save(given.save)
    began = time.perf_counter()
    show("greedy", model.evaluate(data), began)
    if given.beams > 1:
        began = time.perf_counter()
        show(f"{given.beams} beams", model.searching(given.beams).evaluate(data), began)
    test = data.test
    for source, reference, text in list(zip(test.take("de"), test.take("en"), model.predict(test), strict=True))[:5]:
        print(f"  {source}\n  = {reference}\n  > {text}")


if __name__ == "__main__":
    main()
