"""Answers to XQuAD's questions, by folds of paragraphs, beside the sentence that BM25 finds.

MiniLM, which was never taught to answer, learns from four fifths of the 240 paragraphs and is asked about the others:

    python benchmarks/quality/span.py                       # the sentence of BM25, MiniLM, all five folds
    python benchmarks/quality/span.py --folds 1 --epochs 2
    python benchmarks/quality/span.py --backbone auto       # from scratch
    python benchmarks/quality/span.py --epochs 0            # BM25 alone

`make models` fetches the model; $MANYWAYS_DATA holds XQuAD.
"""

import argparse
import math
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import manyways as mw
from manyways.data.data import Data
from manyways.data.spans import exact_match, normalised, spans_of, token_f1
from manyways.data.splitting import Split

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import data_folder

FOLDS = 5
SENTENCE = re.compile(r"[^.!?]+[.!?]*\s*")
K, B = 1.2, 0.75


def best_sentence(question: str, context: str) -> str:
    """The sentence of `context` with the greatest BM25 score for the question (Robertson & Zaragoza 2009)."""
    sentences = [sentence.strip() for sentence in SENTENCE.findall(context) if sentence.strip()] or [context]
    words = [Counter(normalised(sentence).split()) for sentence in sentences]
    mean = sum(map(Counter.total, words)) / len(words)

    def score(counts: Counter[str]) -> float:
        total = 0.0
        for word in set(normalised(question).split()):
            within = sum(word in each for each in words)
            rarity = math.log(1 + (len(words) - within + 0.5) / (within + 0.5))
            total += rarity * counts[word] * (K + 1) / (counts[word] + K * (1 - B + B * counts.total() / mean))
        return total

    return sentences[max(range(len(words)), key=lambda place: score(words[place]))]


def of_sentences(test: Data) -> tuple[float, float]:
    """F1 and exact matches of the best sentences of the rows of `test`."""
    rows = zip(*(test.take(name).tolist() for name in ("question", "context", "answer")), strict=True)
    pairs = [
        (best_sentence(question, context), [span.text for span in spans_of(answer)])
        for question, context, answer in rows
    ]
    return float(np.mean([token_f1(*pair) for pair in pairs])), float(np.mean([exact_match(*pair) for pair in pairs]))


def main() -> None:
    """Print F1 and exact matches of each fold and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=FOLDS, help="folds that are tried")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of the head; a checkpoint has a tenth")
    parser.add_argument("--backbone", default=".models/all-MiniLM-L6-v2")
    given = parser.parse_args()
    data = mw.read(data_folder("xquad") / "xquad.en.json.gz", group="paragraph")
    all_scores = []
    for fold in range(given.folds):
        split = Split("random", folds=FOLDS, number=fold).of(data)
        f1, exact = of_sentences(split.test)
        print(
            f"fold {fold + 1}, {len(split.test)} questions: BM25's sentence F1 {f1:.3f}, exact {exact:.3f}", flush=True
        )
        if not given.epochs:
            continue
        steps = max(1, round(given.epochs * len(split.training) / 16))
        began = time.perf_counter()
        method = mw.Supervised(backbone=given.backbone, learning_rate=given.rate)
        model = method.fit(split, budget=f"{steps} steps")
        seconds = time.perf_counter() - began
        scores = model.evaluate(split.test)
        all_scores.append((len(split.test), scores["answer_f1"], scores["exact_match"]))
        said = f"F1 {scores['answer_f1']:.3f}, exact {scores['exact_match']:.3f}"
        print(f"    {given.backbone}: {said}, {steps} steps in {seconds:.0f} s", flush=True)
    if all_scores:
        weights = [count for count, _, _ in all_scores]
        f1, exact = (np.average([each[place] for each in all_scores], weights=weights) for place in (1, 2))
        print(f"all: F1 {f1:.3f}, exact {exact:.3f}")


if __name__ == "__main__":
    main()
