"""MultiTask on images with questions about them: answer, shape and colour."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.methods.multi_task.multi_task import MultiTask
from manyways.models.labels_predictor import LabelsPredictor


def fitted(method: MultiTask, data: Data, budget: int) -> LabelsPredictor:
    model = method.fit(data, budget=budget)
    assert isinstance(model, LabelsPredictor)
    return model


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_shape_colour_and_answer_together_and_alone(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Of easy-VQA's images: rows are an image and a question about it; the image has a shape and a colour, too."""
    data = questions(real_data("easy-vqa"), tmp_path)
    assert data.roles["label"] == ("answer", "shape", "colour")
    few = data.with_labels(600, draw="stratified")
    test = data.test.select(np.arange(0, len(data.test), 4))
    together = fitted(MultiTask(), few, 300).evaluate(test)
    alone = fitted(MultiTask(sharing="none"), few, 300).evaluate(test)
    assert together["accuracy of answer"] > 0.75
    assert together["mean_score"] > alone["mean_score"] - 0.01


def questions(folder: Path, place: Path) -> Data:
    """easy-VQA as users would have it: a CSV with an image, a question, and three labels.

    What shape and colour an image has follows from all questions about it; of some images they do not tell one.
    """
    import csv
    import json
    import re
    import zipfile

    shapes = {"circle", "rectangle", "triangle"}
    colours = {"red", "green", "blue", "yellow", "black", "gray", "teal", "brown"}
    rows = []
    with zipfile.ZipFile(folder / "data.zip") as held:
        held.extractall(place)
        for part in ("train", "test"):
            asked: dict[int, list[tuple[str, str]]] = {}
            for question, answer, image in json.loads(held.read(f"data/{part}/questions.json")):
                asked.setdefault(image, []).append((question, answer))
            for image, pairs in asked.items():
                told = {answer for _, answer in pairs}
                for question, _ in pairs:
                    found = re.match(r"what (?:is the (\w+) shape|(?:is the color of|color is) the (\w+))", question)
                    told |= set(found.groups(default="")) if found else set()
                shape, colour = (next(iter(told & known), "") for known in (shapes, colours))
                file = place / "data" / part / "images" / f"{image}.png"
                rows += [(file, question, answer, shape, colour, part) for question, answer in pairs[::3][:4]]
    with (place / "questions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "question", "answer", "shape", "colour", "part"), *rows])
    return mw.read(place / "questions.csv", part="part", label=("answer", "shape", "colour"), image_size=32)
