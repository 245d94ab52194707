"""What taggers and parsers of sentences reach: parts of speech, dependency trees, entities.

    python benchmarks/quality/words.py [upos] [tree] [wnut] [uner] … [--budget 5m] [--backbone auto] [--seed 0]
        [--threads 2] [--rate RATE] [--batch ROWS]

Every line is `Supervised` as it is, with the defaults of the kind of label, trained on the training sentences alone and
scored on the development sentences: of Universal Dependencies' EWT for `upos` and `tree`, of WNUT-17 for `wnut`.
UNER's entities are known for the development sentences of EWT alone: four fifths of their documents are learned from,
the others scored. A checkpoint is named by its folder: --backbone .models/all-MiniLM-L6-v2.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

import manyways as mw
from manyways.data.data import Data

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder


def upos() -> Data:
    """Parts of speech, 17 of them."""
    return treebank("upos")


def tree() -> Data:
    """Heads and relations."""
    return treebank("tree")


def treebank(label: str) -> Data:
    """English EWT: 12,544 sentences to learn from, 2,001 to score."""
    folder = data_folder("ud-english-ewt")
    files = [folder / f"en_ewt-ud-{part}.conllu.gz" for part in ("train", "dev")]
    return mw.read(files[0], test=files[1], label=label)


def wnut() -> Data:
    """Emerging entities in tweets, 6 types: 3,394 to learn from, 1,009 to score."""
    folder = data_folder("ner")
    return mw.read(folder / "wnut17-train.conll.gz", test=folder / "wnut17-dev.conll.gz", label="entities")


def uner() -> Data:
    """Persons, places and organisations in EWT's development sentences; a fifth of the documents is scored."""
    data = mw.read(data_folder("ner") / "en_ewt-ud-dev.iob2.gz", label="entities", group="document")
    return data.with_test(0.2)


DATA = {"upos": upos, "tree": tree, "wnut": wnut, "uner": uner}


def main() -> None:
    """Print a line for each of the data that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--backbone", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--batch", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    fields: dict[str, Any] = {"learning_rate": options.rate, "batch_size": options.batch}
    method = mw.Supervised(
        backbone=options.backbone, **{name: value for name, value in fields.items() if value is not None}
    )
    for name in options.data:
        data = DATA[name]()
        began, processor = time.perf_counter(), time.process_time()
        model = method.fit(data, budget=options.budget, seed=options.seed)
        took, used = time.perf_counter() - began, time.process_time() - processor
        began = time.perf_counter()
        scores = model.evaluate(data.test)
        shown = ", ".join(f"{metric} {100 * score:.2f}" for metric, score in scores.items())
        print(
            f"{name} on {options.backbone}, {options.budget}, seed {options.seed}: {shown} ({model.lineage.steps:,} "
            f"steps, {took:.0f} s, {used:.0f} s of processor time; scored in {time.perf_counter() - began:.1f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
