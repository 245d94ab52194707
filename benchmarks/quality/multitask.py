"""Several labels in one network against each alone, at the same number of steps.

    words       parts of speech, trees and entities of UD English EWT; the entities are known of 1,500 sentences
    texts       sentiment (sst2), topic (banking77) and language (multi30k): each row has one of the three
    nuclei      boxes and masks of nuclei in one network

    python benchmarks/quality/multitask.py words texts
    STEPS=600 ROWS=12544 SIZE=1 python benchmarks/quality/multitask.py words

Ways are the plain sum, sums with fixed weights, and the weightings and kinds of sharing in WAYS; the last line has each
label learned alone by `supervised`, for as many steps each. Printed is the usual score of each label on test rows.
The data lie in $MANYWAYS_DATA.
"""

import gzip
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.parts import TEST, TRAINING
from manyways.data.sentences import split

DATA = Path(os.environ["MANYWAYS_DATA"])
STEPS = int(os.environ.get("STEPS", "200"))
ROWS = int(os.environ.get("ROWS", "3000"))
SIZE = float(os.environ.get("SIZE", "0.5"))
BATCH = int(os.environ.get("BATCH", "32"))
KNOWN = 1500
"""Sentences of the development part whose entities are learned from; the others are the test rows."""


def words() -> tuple[Data, dict[str, dict[str, object]]]:
    """EWT's training sentences, and its development sentences with their entities."""
    trees = mw.read(DATA / "ud-english-ewt", label=("upos", "tree"))
    entities = mw.read(DATA / "ner/en_ewt-ud-dev.iob2.gz")
    training = np.flatnonzero(trees.part == TRAINING)[:ROWS]
    development = np.flatnonzero(trees.part == 1)
    everything = np.arange(len(entities.part))
    pairs = zip(entities.columns["words"].take(everything), entities.columns["entities"].take(everything), strict=True)
    of_sentence = {tuple(split(sentence)): tags for sentence, tags in pairs}  # documents come in another order there
    rows = np.concatenate([training, development])
    tags = np.full(len(rows), None, object)
    tags[len(training) :] = [of_sentence.get(tuple(split(each))) for each in trees.columns["words"].take(development)]
    columns = [trees.columns[name] for name in ("words", "upos", "tree")]
    taken = [Column(column.name, column.kind, column.take(rows)) for column in columns]
    part = np.full(len(rows), TRAINING, np.uint8)
    part[len(training) + KNOWN :] = TEST
    data = Data.from_columns(
        [*taken, Column("entities", "tags", tags)], {"input": ["words"], "label": ["upos", "tree", "entities"]},
        part=part, name="ewt",
    )  # fmt: skip
    ways: dict[str, dict[str, object]] = {
        "sum": {},
        "sum, tree 0.3": {"label_weights": {"tree": 0.3}},
        "upgrad": {"weighting": "upgrad"},
    }
    return data, ways


def texts() -> tuple[Data, dict[str, dict[str, object]]]:
    """Texts of three sets, each with one of three labels."""
    rows: dict[str, list[object]] = {name: [] for name in ("text", "mood", "topic", "tongue", "part")}

    def add(part: str, text: str, **labels: str) -> None:
        for name, column in rows.items():
            column.append({"text": text, "part": part, **labels}.get(name))

    for part, count in (("train", ROWS), ("test", 1000)):
        moods = mw.read(DATA / f"sst2/{part}.tsv", header=False)
        text, mood = list(moods.columns)[:2]
        for sentence, label in zip(moods.take(text)[:count], moods.take(mood)[:count], strict=True):
            add(part, str(sentence), mood=str(label))
        topics = mw.read(DATA / f"banking77/{part}.csv", label="category", input="text", kinds={"text": "text"})
        chosen = np.random.default_rng(0).permutation(len(topics))[:count]
        for sentence, label in zip(topics.take("text")[chosen], topics.take("category")[chosen], strict=True):
            add(part, str(sentence), topic=str(label))
        name = "train" if part == "train" else "test_2016_flickr"
        for tongue in ("de", "en"):
            content = gzip.decompress((DATA / f"multi30k/{name}.{tongue}.gz").read_bytes()).decode().splitlines()
            for sentence in content[: count // 2]:
                add(part, sentence, tongue=tongue)
    kinds = {"text": "text", **dict.fromkeys(("mood", "topic", "tongue"), "category")}
    data = mw.read(rows, label=("mood", "topic", "tongue"), input="text", part="part", kinds=kinds)
    ways: dict[str, dict[str, object]] = {
        "sum": {},
        "sum, topic 2": {"label_weights": {"topic": 2.0}},
        "uncertainty": {"weighting": "uncertainty"},
        "gradnorm": {"weighting": "gradnorm"},
        "pcgrad": {"weighting": "pcgrad"},
        "cagrad": {"weighting": "cagrad"},
        "upgrad": {"weighting": "upgrad"},
        "soft": {"sharing": "soft"},
        "cross-stitch": {"sharing": "cross-stitch"},
        "adashare": {"sharing": "adashare"},
    }
    return data, ways


def nuclei() -> tuple[Data, dict[str, dict[str, object]]]:
    """Pictures of nuclei at half their size, with the box of each and the mask of all."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(DATA / "dsb2018-nuclei/stage1_train_256x256.tar.xz") as held:
            held.extractall(place, filter="data")
        folders = sorted({path.parent.parent for path in Path(place).rglob("images/*.png")})
        images, masks, boxes = [], [], []
        for folder in folders:
            (picture,) = (folder / "images").glob("*.png")
            images.append(np.asarray(Image.open(picture).convert("RGB").resize((128, 128))))
            whole, own = np.zeros((128, 128), np.int64), []
            for file in sorted((folder / "masks").glob("*.png")):
                inside = np.asarray(Image.open(file).convert("L").resize((128, 128))) > 127
                if inside.sum() < 6:
                    continue
                whole[inside] = 1
                rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
                own.append(["nucleus", int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
            masks.append(whole)
            boxes.append(own)
    table = {"image": np.stack(images), "mask": np.stack(masks), "boxes": boxes}
    data = mw.read(table, label=("boxes", "mask"), kinds={"boxes": "boxes", "mask": "mask"}).with_test(0.2)
    backbone: dict[str, object] = {"backbone": "unet"}
    return data, {"sum": backbone, "sum, mask 0.3": {**backbone, "label_weights": {"mask": 0.3}}}


def main(name: str) -> None:
    """Learn the labels of one set together in each way, and each alone."""
    data, ways = {"words": words, "texts": texts, "nuclei": nuclei}[name]()
    chosen = os.environ.get("WAYS", "").split(";") if os.environ.get("WAYS") else list(ways)
    known = {label.name: int((~label.missing(data.training.rows)).sum()) for label in data.labels}
    print(f"{name}: {len(data.training):,} training rows with {known}, {len(data.test):,} test rows; {STEPS} steps")
    options: dict[str, object] = {"size": SIZE, "batch_size": BATCH}
    for way in chosen:
        began = time.process_time()
        model = mw.MultiTask(**{**options, **ways[way]}).fit(data, budget=STEPS)
        scores = model.evaluate(data.test)
        each = ", ".join(f"{metric} {value:.3f}" for metric, value in scores.items() if _usual(metric))
        print(f"  {way}: {each} ({time.process_time() - began:.0f} s)", flush=True)
    began = time.process_time()
    alone = []
    for label in data.labels:
        one = data.with_label(label.name)
        backbone = {key: value for key, value in next(iter(ways.values())).items() if key == "backbone"}
        model = mw.Supervised(**{**options, **backbone}).fit(one, budget=STEPS)
        scores = model.evaluate(one.test.select(one.test.known))
        alone += [f"{metric} of {label.name} {value:.3f}" for metric, value in scores.items() if _usual(metric)]
    print(f"  each alone: {', '.join(alone)} ({time.process_time() - began:.0f} s)", flush=True)


def _usual(metric: str) -> bool:
    names = ("token_accuracy", "las", "span_f1", "accuracy", "dice", "iou", "map_50", "map")
    return metric.partition(" of ")[0] in names


if __name__ == "__main__":
    for each in sys.argv[1:] or ["words", "texts", "nuclei"]:
        main(each)
