"""Gradient boosting, forests, linear models and the like beside scikit-learn's own pipelines, on the same rows.

    python benchmarks/quality/classics.py [text] [tables]

Every line is the mean over three seeds: ours, scikit-learn's, and the seconds that each took to learn and to answer.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

import manyways as mw
from manyways.data.data import Data
from manyways.methods.expressions import parse_method

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

SEEDS = 3
LABELS = {"SST-2": (20, 100, 500, 0), "banking77": (1, 5, 10, 0)}
"""Labels a class; 0: all."""
Make = Callable[[int], Any]


def tf_idf() -> Any:
    """Words, one and two, and characters within words, two to five."""
    return make_union(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)),
    )


OF_TEXTS: dict[str, Make] = {
    "linear": lambda seed: LogisticRegression(C=10, max_iter=1000),
    "svm": lambda seed: LinearSVC(C=0.5, random_state=seed),
    "nearest-neighbours": lambda seed: KNeighborsClassifier(metric="cosine"),
    "naive-bayes": lambda seed: MultinomialNB(),
}


def of_tables(numbers: list[int], categories: list[int]) -> dict[str, Make]:
    """Pipelines for a frame with those columns."""
    usual = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories)
    )
    one_hot = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories), ("passthrough", numbers)
    )
    codes = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), categories),
        ("passthrough", numbers),
    )
    mask = np.arange(len(numbers) + len(categories)) < len(categories)
    return {
        "gradient-boosting": lambda seed: make_pipeline(
            codes, HistGradientBoostingClassifier(categorical_features=mask, random_state=seed)
        ),
        "random-forest": lambda seed: make_pipeline(one_hot, RandomForestClassifier(random_state=seed)),
        "linear": lambda seed: make_pipeline(usual, LogisticRegression(max_iter=1000)),
        "svm": lambda seed: make_pipeline(usual, SVC(break_ties=True)),
    }


def sentences(folder: Path) -> Data:
    """SST-2, its own test rows."""
    for name in ("train", "test"):
        text = (data_folder("sst2") / f"{name}.tsv").read_text("utf-8")
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{text}", "utf-8")
    kinds = {"text": "text", "label": "category"}
    return mw.read(folder / "train.tsv", test=folder / "test.tsv", label="label", kinds=kinds)


def questions() -> Data:
    """banking77, its own test rows."""
    folder = data_folder("banking77")
    return mw.read(folder / "train.csv", test=folder / "test.csv", label="category", kinds={"text": "text"})


def of_time() -> Data:
    """The stream elec, its last fifth for testing."""
    import polars as pl

    table = pl.read_csv(data_folder("drift-streams") / "elec.csv.gz")
    part = np.where(np.arange(len(table)) < len(table) - len(table) // 5, "train", "test")
    return mw.read(table.with_columns(pl.Series("part", part)), label="class", part="part",
                   kinds={"class": "category"})  # fmt: skip


def stores(seed: int) -> Data:
    """200 stores that decide one of two classes, a twentieth of the labels turned; 3,000 rows, a fifth for testing."""
    rng = np.random.default_rng(0)
    store = rng.integers(0, 200, 3000)
    label = np.array(["lo", "hi"], object)[rng.integers(0, 2, 200)[store] ^ (rng.random(3000) < 0.05)]
    names = np.array([f"S{each:03}" for each in store], object)
    rows = {"store": names, "noise": rng.normal(size=3000), "label": label}
    return mw.read(rows, label="label").with_test(0.2, seed=seed)


def text_lines() -> Iterator[tuple[str, str, list[Data], Make]]:
    """The data of each seed and the pipeline of each line: the data's name, ours, rows, theirs."""
    with TemporaryDirectory() as place:
        for name, data in (("SST-2", sentences(Path(place))), ("banking77", questions())):
            for labels in LABELS[name]:
                few = [
                    data.with_labels(labels * len(data.classes), seed, draw="stratified") if labels else data
                    for seed in range(SEEDS if labels else 1)
                ]
                for method, make in OF_TEXTS.items():
                    if labels or method != "nearest-neighbours" or name == "SST-2":
                        said = f"{name}, {labels or 'all'} labels a class" if labels else f"{name}, all labels"
                        yield said, method, few, lambda seed, make=make: make_pipeline(tf_idf(), make(seed))


def table_lines() -> Iterator[tuple[str, str, list[Data], Make]]:
    """As `text_lines`."""
    elec = of_time()
    for name, rows in (
        ("elec by time", [elec] * SEEDS), ("200 stores", [stores(seed) for seed in range(SEEDS)]),
        ("breast-cancer", [mw.read("breast-cancer").with_test(0.3, seed=seed) for seed in range(SEEDS)]),
        ("wine", [mw.read("wine").with_test(0.3, seed=seed) for seed in range(SEEDS)]),
    ):  # fmt: skip
        columns = columns_of(rows[0].test)
        categories = [at for at, each in enumerate(columns) if each.dtype == object]
        numbers = [at for at in range(len(columns)) if at not in categories]
        for method, make in of_tables(numbers, categories).items():
            if name != "elec by time" or method != "svm":  # a radial machine of 36,000 rows takes minutes
                yield name, method, rows, make


def columns_of(rows: Data) -> list[Any]:
    """The inputs, a column of numbers or words each."""
    blocks = [(column, rows.take(column.name)) for column in rows.inputs]
    return [each for _, block in blocks for each in (block.T if block.ndim == 2 else [block])]


def frame(rows: Data) -> Any:
    """The inputs as scikit-learn takes them: one text, or an array of objects."""
    columns = columns_of(rows)
    if rows.inputs[0].kind == "text":
        return columns[0].tolist()
    out = np.empty((len(rows), len(columns)), object)
    for at, column in enumerate(columns):
        out[:, at] = column
    return out


def compare(method: str, rows: list[Data], make: Make) -> tuple[float, float, float, float]:
    """Accuracy and seconds of ours and of scikit-learn's."""
    ours, theirs = [], []
    for seed, data in enumerate(rows):
        began = time.process_time()
        accuracy = parse_method(method).fit(data, seed=seed).evaluate(data.test)["accuracy"]
        ours.append((accuracy, time.process_time() - began))
        shown = data.training.select(data.training.labelled)
        label = data.label.name
        first, second = frame(shown), frame(data.test)
        began = time.process_time()
        pipeline = make(seed).fit(first, shown.take(label).astype(str))
        accuracy = float(np.mean(pipeline.predict(second) == data.test.take(label).astype(str)))
        theirs.append((accuracy, time.process_time() - began))
    (our_score, our_time), (their_score, their_time) = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    return float(our_score), float(their_score), float(our_time), float(their_time)


def main() -> None:
    """Print a line for each data set and method."""
    warnings.simplefilter("ignore")
    parts = {"text": text_lines, "tables": table_lines}
    chosen = [part for part in sys.argv[1:] if part in parts] or list(parts)
    print(f"{'data':34} {'method':20} {'ours':>7} {'theirs':>7} {'s':>7} {'s':>7}")
    for part in chosen:
        for name, method, rows, make in parts[part]():
            ours, theirs, our_seconds, their_seconds = compare(method, rows, make)
            print(
                f"{name:34} {method:20} {ours:7.2%} {theirs:7.2%} {our_seconds:7.1f} {their_seconds:7.1f}", flush=True
            )


if __name__ == "__main__":
    main()
