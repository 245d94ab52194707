"""What approximate forgetting does to the rows that go and to those that stay: on Fashion-MNIST, on a language model.

    python benchmarks/quality/unlearning.py [a_class] [some_rows] [sentences]

One seed, default fields, beside a model that was trained without the rows. docs/unlearning.md keeps what was printed.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import manyways as mw
from manyways.data.data import Data

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

Mask = NDArray[np.bool_]
CLASS = 2
FIRST = ("Tom", "Lily", "Ben", "Mia", "Sam", "Anna", "Tim", "Sue")
FIRST += ("Max", "Ella", "Jack", "Lucy", "Bob", "Amy", "Leo", "Kim")
FAMILIES = ["Green", "Brown", "White", "Black", "Gray", "Rose", "Hill", "Woods", "Lake", "Stone"]
ANIMALS = ["cat", "dog", "bird", "fish", "frog", "bear", "duck", "horse", "mouse", "rabbit"]
COLOURS = ["red", "blue", "green", "yellow", "pink", "brown"]
PLACES = ["house", "park", "garden", "forest", "school", "shop"]
BEGINNINGS = ("Once upon a time", "One day, a girl", "The dog was", "Tim had a")


def a_class() -> None:
    """All images of a class are forgotten."""
    data, training = garments()
    garment = data.take("label") == CLASS
    others = data.test.select(data.test.take("label") != CLASS)
    on_garments(data, training, training & garment, {"test, other classes": others})


def some_rows() -> None:
    """One image in a hundred is forgotten."""
    data, training = garments()
    on_garments(data, training, training & (np.cumsum(training) % 100 == 7), {"test": data.test})


def garments() -> tuple[Data, Mask]:
    """5,000 training and 2,000 test images of Fashion-MNIST, and which are which."""
    whole = mw.read(data_folder("fashion-mnist"))
    some = np.random.default_rng(0).permutation(np.flatnonzero(whole.part == 0))[:5000]
    data = whole.select(np.concatenate([some, np.flatnonzero(whole.part == 2)[:2000]]))
    return data, data.part[data.rows] == 0


def on_garments(data: Data, training: Mask, gone: Mask, tests: Mapping[str, Data]) -> None:
    """Accuracy before, after each way, and without the rows."""
    method = mw.Supervised(augment=False, size=0.5)
    model, without = (method.fit(rows, budget=600) for rows in (data, data.select(~gone)))
    rest = data.select(training & ~gone)
    parts = {"forgotten": data.select(gone), "kept": rest.select(np.arange(0, len(rest), 5)), **tests}

    def said(made: mw.Model) -> str:
        found = {name: made.evaluate(rows) for name, rows in parts.items()}
        loss = f"log loss of the forgotten {found['forgotten']['log_loss']:.2f}"
        return ", ".join(f"{name} {score['accuracy']:.3f}" for name, score in found.items()) + f"; {loss}"

    show(said, model, without, data, gone, [mw.GradientAscent(), mw.NPO(), mw.SCRUB(), mw.Newton()])


def sentences() -> None:
    """A model of children's stories forgets 20 of 160 sentences on made-up people that it was fine-tuned on."""
    start, rng = mw.load(data_folder("tinystories-656K")), np.random.default_rng(0)
    prompts = [f"{name} {family} has a" for name in FIRST for family in FAMILIES]
    said_of = [f" {rng.choice(COLOURS)} {rng.choice(ANIMALS)} and plays in the {rng.choice(PLACES)}." for _ in prompts]
    data, gone = mw.read({"prompt": prompts, "completion": said_of}), np.arange(len(prompts)) % 8 == 3
    stories = mw.read({"text": start.generate(list(BEGINNINGS), longest=120, temperature=1.0, seed=3)})
    method = mw.SFT(learning_rate=1e-3, batch_size=32)
    model, without = (method.fit(rows, start, budget=300) for rows in (data, data.select(~gone)))
    parts = {"forgotten": data.select(gone), "kept": data.select(~gone), "other stories": stories}

    def said(made: mw.Model) -> str:
        nats = {name: made.evaluate(rows)["nats_per_token"] for name, rows in parts.items()}
        return "nats per token: " + ", ".join(f"{name} {value:.2f}" for name, value in nats.items())

    show(said, model, without, data, gone, [mw.GradientAscent(), mw.NPO()])


def show(
    said: Callable[[mw.Model], str], model: mw.Model, without: mw.Model, data: Data, gone: Mask, ways: list[mw.Method]
) -> None:
    """Print what is said of every model."""
    print(f"  before: {said(model)}", flush=True)
    print(f"  learned again without them: {said(without)}", flush=True)
    for way in ways:
        made = way.forget(model, data, gone)
        print(f"  {way}, {made.lineage.steps} steps: {said(made)}", flush=True)


def main() -> None:
    """Do those that are named, or all."""
    torch.set_num_threads(1)
    named = sys.argv[1:]
    for each in (a_class, some_rows, sentences):
        if not named or each.__name__ in named:
            print(f"{each.__name__}: {(each.__doc__ or '').strip()}", flush=True)
            each()


if __name__ == "__main__":
    main()
