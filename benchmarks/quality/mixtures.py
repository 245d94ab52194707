"""One language model that translates, reckons and follows instructions: what a mixture of three sets does to each.

SmolLM2-135M-Instruct learns by SFT with LoRA from conversations of multi30k (German to English), gsm8k and
self-instruct, of very different numbers of rows. For each way of mixing are printed the rows of each task among those
that were drawn, and the nats per token of held-out answers of each task before and after:

    python benchmarks/quality/mixtures.py                       # proportional, a temperature of 3, and equal
    BUDGET="48 steps" python benchmarks/quality/mixtures.py equal

`make models` fetches the model; the data lie in $MANYWAYS_DATA.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path

import manyways as mw
from manyways.data.parts import TEST, TRAINING

MODEL = Path(os.environ.get("MANYWAYS_MODELS", ".models")) / "SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
DATA = Path(os.environ["MANYWAYS_DATA"])
HELD_OUT = 40
"""Rows of each task that are scored."""
SETS = {"translate": 3000, "sums": 1000, "instructions": 150}
"""Rows of each task that are learned from."""
Talk = list[dict[str, str]]


def talk(question: str, answer: str) -> Talk:
    """A question of the user with its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def lines(name: str) -> list[str]:
    """The lines of a packed file."""
    return gzip.decompress((DATA / name).read_bytes()).decode().splitlines()


def translations() -> list[Talk]:
    """Pairs of multi30k."""
    pairs = zip(lines("multi30k/train.de.gz"), lines("multi30k/train.en.gz"), strict=True)
    return [talk(f"Translate into English: {german.strip()}", english.strip()) for german, english in pairs]


def sums() -> list[Talk]:
    """Problems of gsm8k."""
    return [talk(row["question"], row["answer"]) for row in map(json.loads, lines("gsm8k/train.jsonl.gz"))]


def instructions() -> list[Talk]:
    """Instructions of self-instruct, with their first instance."""
    talks = []
    for name in ("user_oriented_instructions", "seed_tasks"):
        for row in map(json.loads, (DATA / f"self-instruct/{name}.jsonl").read_text("utf-8").splitlines()):
            instance = row["instances"][0]
            if instance["output"].strip():
                talks.append(
                    talk("\n\n".join(filter(None, (row["instruction"], instance["input"]))), instance["output"])
                )
    return talks


def data() -> mw.Data:
    """The three sets as one, whose rows have the role task."""
    sets = {"translate": translations(), "sums": sums(), "instructions": instructions()}
    columns: dict[str, list[object]] = {"messages": [], "task": [], "part": []}
    for task, talks in sets.items():
        for part, rows in (("train", talks[HELD_OUT : HELD_OUT + SETS[task]]), ("test", talks[:HELD_OUT])):
            columns["messages"] += rows
            columns["task"] += [task] * len(rows)
            columns["part"] += [part] * len(rows)
    return mw.read(columns, task="task", part="part")


def shown(scores: dict[str, float]) -> str:
    """Nats per token of each task, and their mean."""
    tasks = {name.rpartition(" of ")[2]: value for name, value in scores.items() if " of " in name}
    each = ", ".join(f"{name} {value:.3f}" for name, value in tasks.items())
    return f"{each}; mean {scores['mean_nats_per_token']:.3f}"


def main(mixes: list[str]) -> None:
    """Learn by each way of mixing."""
    rows = data()
    start = mw.load(MODEL)
    print(f"{int((rows.part == TRAINING).sum()):,} rows to learn from, {int((rows.part == TEST).sum())} held out")
    print(f"before: {shown(start.evaluate(rows.test))}", flush=True)
    for text in mixes:
        mix = text if text in ("proportional", "equal") else float(text)
        method = mw.SFT(checkpoint=str(MODEL), lora=16, batch_size=8, micro_batch_size=2, too_long="skip", mix=mix)
        began = time.process_time()
        model = method.fit(rows, budget=os.environ.get("BUDGET", "24 steps"))
        mixture = model.lineage.facts["mixture"]
        drawn = ", ".join(f"{name} {facts['share']:.1%} ({facts['tokens']:.1%})" for name, facts in mixture.items())
        print(f"mix={mix!r}: rows (tokens) {drawn}")
        print(f"  after: {shown(model.evaluate(rows.test))} ({time.process_time() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["proportional", "3", "equal"])
