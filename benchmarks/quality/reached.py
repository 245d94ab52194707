"""What ways of several inputs and labels, of drawing rows, of tasks in order and of few shots reach on real data.

    python benchmarks/quality/tables.py FOLDER          # writes the tables
    python benchmarks/quality/reached.py FOLDER [labels] [fusion] [groups] [density] [samples] [tasks] …

Every line is the mean over seeds, and the scores of each. docs/results.md keeps what was printed.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.methods.expressions import parse_method
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder
from tables import GROUPS

Scores = Mapping[str, float]
Line = tuple[str, Callable[[int], Scores]]
SEEDS = 2
IN_ORDER = ("sequential-fine-tune", "ewc", "lwf", "replay")
KEEPING = ("replay(memory=200)", "icarl(memory=200)", "der(memory=200)")
DRAWN, STEPS_OF_A_GAN = 5000, 12000


def labels(folder: Path) -> Iterator[Line]:
    """Answer, shape and colour of easy-VQA, together and each by a network of its own."""
    data = mw.read(folder / "vqa" / "vqa.csv", part="part", label=("answer", "shape", "colour"), image_size=32)
    some = data.test.select(np.arange(0, len(data.test), 2))
    ways = ("multi-task", "multi-task(weighting='uncertainty')", "multi-task(weighting='pcgrad')")
    for way in (*ways, "multi-task(sharing='none')"):
        yield (
            way,
            lambda seed, way=way: _few(
                fitted(way, data.with_labels(600, seed, draw="stratified"), 400, seed).evaluate(some)
            ),
        )


def fusion(folder: Path) -> Iterator[Line]:
    """The digit that is spoken and written, from 40 labels."""
    data = mw.read(folder / "speech" / "pairs.csv", part="part")

    def scores(way: str, seed: int) -> Scores:
        model = fitted(way, data.with_labels(40, seed, draw="stratified"), 300, seed)
        found = {"accuracy": model.evaluate(data.test)["accuracy"]}
        if "fusion" in way:
            for name in ("picture", "sound"):
                found[f"without the {name}"] = model.evaluate(_without(data.test, name))["accuracy"]
        return found

    alone = ("supervised(only=('sound',))", "supervised(only=('picture',))", "supervised")
    for way in (*alone, "fusion", "fusion(kind='late')"):
        yield way, lambda seed, way=way: scores(way, seed)


def groups(folder: Path) -> Iterator[Line]:
    """Pictures of six groups told apart by their names alone; none of a group was learned from."""
    data = mw.read(folder / "emoji" / "groups.csv", part="part", image_size=40)
    pairs = replace(data, roles={role: names for role, names in data.roles.items() if role != "label"})
    for way in ("clip", "clip(contrast='sigmoid')"):

        def scores(seed: int, way: str = way) -> Scores:
            told = fitted(way, pairs, 300, seed).classifier(tuple(GROUPS.values()), template="{}")
            return {name: told.evaluate(data.test)[name] for name in ("accuracy", "balanced_accuracy")}

        yield way, scores


def density(_: Path) -> Iterator[Line]:
    """Minus the logarithm of the probability of a test image of which every pixel is black or white."""
    way = "vae(likelihood='bernoulli')"
    sources = {"digits": mw.read("digits").with_test(0.2), "fashion-mnist": mw.read(data_folder("fashion-mnist"))}
    for name, data in sources.items():
        steps = 3000 if name == "digits" else 1000
        yield (
            f"{way}, {name}, {steps} steps",
            lambda seed, data=data, steps=steps: fitted(way, data, steps, seed).evaluate(data.test),
        )


def samples(_: Path) -> Iterator[Line]:
    """What a classifier that never saw the generator says of its images, and of as many real ones."""
    data = mw.read(data_folder("fashion-mnist"))
    judge = fitted("supervised", data, 4000, 0)

    def said(rows: Data) -> Scores:
        probabilities = judge.probabilities(rows)
        shares = np.bincount(probabilities.argmax(1), minlength=10) / len(rows)
        spread = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum()) / np.log(10)
        return {
            "above 0.9": float((probabilities.max(1) > 0.9).mean()), "classes": int((shares > 0.02).sum()),
            "least": float(shares.min()), "most": float(shares.max()), "spread": spread,
        }  # fmt: skip

    def of_a_class() -> Scores:
        drawn = fitted("gan(conditional=True)", data, STEPS_OF_A_GAN, 0).sample(DRAWN, seed=0)
        right = judge.predict(drawn) == drawn.take(drawn.label.name)
        return {**said(drawn), "of the class that was asked": float(right.mean())}

    unlabelled = mw.read({"image": data.take("image")})
    noise = mw.read({"image": np.random.default_rng(0).integers(0, 256, (DRAWN, 1, 28, 28), np.uint8)})
    once: dict[str, Callable[[], Scores]] = {
        "test images": lambda: {**said(data.test), "of their class": judge.evaluate(data.test)["accuracy"]},
        "noise": lambda: said(noise),
        "gan": lambda: said(fitted("gan", unlabelled, STEPS_OF_A_GAN, 0).sample(DRAWN, seed=0)),
        "gan(conditional=True)": of_a_class,
    }
    for name, scores in once.items():
        yield name, lambda seed, scores=scores: {} if seed else scores()


def class_incremental(_: Path) -> Iterator[Line]:
    """Fashion-MNIST in five tasks of two classes; the class is asked among all."""
    data = mw.read(data_folder("fashion-mnist")).with_tasks(5)
    yield from in_order(data, IN_ORDER)


def small_memory(_: Path) -> Iterator[Line]:
    """The same, by ways that keep 200 rows."""
    data = mw.read(data_folder("fashion-mnist")).with_tasks(5)
    yield from in_order(data, KEEPING)


def task_incremental(_: Path) -> Iterator[Line]:
    """The same; the task of a row is told."""
    data = mw.read(data_folder("fashion-mnist")).with_tasks(5)
    yield from in_order(data, [f"{way}(scenario='task')" for way in IN_ORDER])


def domain_incremental(_: Path) -> Iterator[Line]:
    """The same tasks, of which each is asked the same question: the first of its two classes, or the second?"""
    whole = mw.read(data_folder("fashion-mnist")).with_tasks(5)
    task, labels = whole.take("task"), whole.label.take(whole.rows)
    _, which = np.unique(labels, return_inverse=True)
    columns = {"image": whole.take("image"), "label": np.array(["first", "second"], object)[which % 2], "task": task}
    data = mw.read(columns, task="task", label="label")
    yield from in_order(replace(data, part=whole.part), ("sequential-fine-tune", "ewc", "replay"))


def characters(_: Path) -> Iterator[Line]:
    """Omniglot, 5-way 1-shot: characters of alphabets that were not learned from; one seed."""
    folder = data_folder("omniglot")
    test = folder / "images_evaluation.npz"
    data = mw.read(folder / "images_background.npz", test=test, image_size=28, kinds={"label": "category"})
    shape = "backbone='conv4-strided', turned_classes=True"
    ways = (
        (f"maml({shape}, batch_size=8)", 4000),
        (f"proto-net({shape})", 7000),
        (f"matching-net({shape}, queries=2)", 4500),
        (f"reptile({shape})", 2500),
    )
    for way, steps in ways:

        def scores(seed: int, way: str = way, steps: int = steps) -> Scores:
            if seed:
                return {}
            began = time.process_time()
            model = fitted(way, data, steps, seed)
            spent = time.process_time() - began
            alone, together = (
                model.evaluate(data.test, ways=5, episodes=2000, transductive=each) for each in (False, True)
            )
            return {**alone, **together, "processor seconds": spent}

        yield f"{way}, {steps} steps", scores


def in_order(data: Data, ways: tuple[str, ...] | list[str]) -> Iterator[Line]:
    """Tasks learned one after the other, 600 steps in all."""
    for way in ways:

        def scores(seed: int, way: str = way) -> Scores:
            matrix = AccuracyMatrix(data)
            parse_method(way).fit(data, budget=600, seed=seed, run=Run(listeners=[matrix]))
            return {"average accuracy": matrix.average_accuracy, "forgetting": matrix.forgetting}

        yield way, scores


def fitted(way: str, data: Data, steps: int, seed: int) -> mw.Model:
    """What `way` makes of `data`."""
    return parse_method(way).fit(data, budget=steps, seed=seed)


def _few(scores: Scores) -> Scores:
    return {name: score for name, score in scores.items() if name.startswith(("mean", "accuracy"))}


def _without(data: Data, name: str) -> Data:
    column = data.columns[name]
    return replace(data, columns={**data.columns, name: replace(column, absent=np.ones(len(column), bool))})


ALL = (
    labels,
    fusion,
    groups,
    density,
    samples,
    class_incremental,
    small_memory,
    task_incremental,
    domain_incremental,
    characters,
)


def main() -> None:
    """Do those that are named, or all."""
    torch.set_num_threads(1)
    folder, named = Path(sys.argv[1]), sys.argv[2:]
    for each in (each for each in ALL if not named or each.__name__ in named):
        print(f"{each.__name__}: {(each.__doc__ or '').strip()}", flush=True)
        for name, scores in each(folder):
            began = time.perf_counter()
            found = [score for seed in range(SEEDS) if (score := scores(seed))]
            said = [
                f"{key} {np.mean([one[key] for one in found]):.3f} ({', '.join(f'{one[key]:.3f}' for one in found)})"
                for key in found[0]
            ]
            print(f"  {name}: {'; '.join(said)}; {(time.perf_counter() - began) / len(found):.0f} s each", flush=True)


if __name__ == "__main__":
    main()
