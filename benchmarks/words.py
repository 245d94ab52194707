"""Training of taggers and parsers in words per second, against spaCy: same sentences, batches of about as many words.

Both sides learn parts of speech, and then dependency trees, from the same 2,000 training sentences of English EWT, from
scratch, with what each has for that by default: here a bidirectional LSTM with a linear or a biaffine head, there a
convolutional `tok2vec` with a softmax or a transition system. They run on one thread and are counted in processor time,
in blocks that alternate; the first steps of each are not counted. The peer runs in `.venv-peers`.

    python benchmarks/words.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, data_folder, facts_of_peer, report, versions

import manyways as mw
from manyways.data.sentences import split, split_tree
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

SENTENCES, STEPS, WARM, ROUNDS = 2000, 8, 2, 3
TARGET = 1.0

PEER = """
import json, random, sys, time
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.batchers import minibatch_by_words
task, sentences, words, steps, warm, seed = json.loads(open(sys.argv[1]).read())
spacy.util.fix_random_seed(seed)
nlp = spacy.blank("en")
nlp.add_pipe("tagger" if task == "upos" else "parser")
def example(sentence):
    given = {"words": sentence["words"], "spaces": [True] * len(sentence["words"])}
    reference = Doc(nlp.vocab, **given, **sentence["labels"])
    return Example(Doc(nlp.vocab, **given), reference)
examples = [example(sentence) for sentence in sentences]
optimizer = nlp.initialize(lambda: examples)
random.seed(seed)
random.shuffle(examples)
batches = minibatch_by_words(examples, size=words, tolerance=0.2)
spans = []
for number, batch in zip(range(steps + warm), batches):
    count = sum(len(example) for example in batch)
    began = time.process_time()
    nlp.update(batch, sgd=optimizer, drop=0.1)
    spans.append((time.process_time() - began, count))
spans = spans[warm:]
print(json.dumps({"words": sum(n for _, n in spans), "seconds": sum(s for s, _ in spans), "spacy": spacy.__version__}))
"""


def run() -> list[Row]:
    """Measure both kinds of labels, both sides in turns, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [measure("upos", "tagging"), measure("tree", "parsing")]
    finally:
        torch.set_num_threads(threads)


def measure(label: str, name: str) -> Row:
    """Words per second that both sides learn from."""
    data = mw.read(data_folder("ud-english-ewt") / "en_ewt-ud-train.conllu.gz", label=label)
    few = data.select(np.arange(SENTENCES))
    sentences = [
        labelled(split(words), value, label) for words, value in zip(few.take("words"), few.take(label), strict=True)
    ]
    method = mw.Supervised()
    torch.manual_seed(0)
    learner = method.begin(few, None, 0)
    optimizer = make_optimizer(method, learner)
    learner.train()
    per_step = sum(len(sentence["words"]) for sentence in sentences) * learner.batch_size // len(sentences)
    ours, theirs, facts = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        for turn in range(ROUNDS):
            count, seconds = 0, 0.0
            for step in range(turn * (STEPS + WARM), (turn + 1) * (STEPS + WARM)):
                began = time.process_time()
                take_step(method, learner, optimizer, step, 1000, 0)
                if step % (STEPS + WARM) >= WARM:
                    seconds += time.process_time() - began
                    rows = learner.pick(learner.labelled, None, step)
                    count += sum(len(sentences[row]["words"]) for row in rows)
            ours.append(count / seconds)
            asked = [label, sentences, per_step, STEPS, WARM, turn]
            settings.write_text(json.dumps(asked), encoding="utf-8")
            facts = facts_of_peer(PEER, str(settings), OMP_NUM_THREADS="1", BLIS_NUM_THREADS="1")
            theirs.append(facts["words"] / facts["seconds"])
    return {
        "name": f"{name}, English EWT, from scratch, {per_step:,} words a step",
        "ours": round(statistics.median(ours)),
        "peer": round(statistics.median(theirs)),
        "unit": "words/s",
        "ratio": round(statistics.median(mine / peer for mine, peer in zip(ours, theirs, strict=True)), 2),
        "target": f"≥ {TARGET}",
        "versions": versions() | {"peer spacy": facts["spacy"]},
    }


def labelled(words: list[str], value: str, label: str) -> dict[str, Any]:
    """A sentence as spaCy takes it: words, and tags or heads, which count from 0; the head of a root is itself."""
    if label == "upos":
        return {"words": words, "labels": {"tags": split(value)}}
    heads, relations = split_tree(value)
    own = [head - 1 if head else at for at, head in enumerate(heads)]
    return {"words": words, "labels": {"heads": own, "deps": relations}}


if __name__ == "__main__":
    report("words", run())
