"""Episodes: which classes and rows they are drawn from, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.errors import DataError
from manyways.models.few_shot.episodes import Episodes, batch_of, turned
from manyways.randomness import generator


def rows_of(*sizes: int, tasks: list[str | None] | None = None) -> Data:
    """A class of so many rows for each of `sizes`, its number the only input; `tasks` says of which task each is."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = np.arange(len(labels), dtype=float)
    columns = [Column("x", "number", values), Column("label", "category", labels)]
    roles = {"input": ["x"], "label": ["label"]}
    if tasks:
        columns.append(Column("set", "category", np.array(tasks, object)[labels]))
        roles["task"] = ["set"]
    return Data.from_columns(columns, roles, name="rows")


def test_no_row_comes_twice_in_a_class_and_no_class_twice_in_an_episode() -> None:
    data = rows_of(6, 7, 8, 9)
    drawn = Episodes.of(data).draw(50, 3, 6, generator(0))
    labels = data.take("label")[drawn.positions]
    for positions, classes in zip(drawn.positions, labels, strict=True):
        assert (classes == classes[:, :1]).all()
        assert len(set(classes[:, 0].tolist())) == 3
        assert len(np.unique(positions)) == 18
    assert set(np.unique(drawn.positions)) == set(range(30))
    again = Episodes.of(data).draw(50, 3, 6, generator(0))
    assert np.array_equal(drawn.positions, again.positions)


def test_shots_and_queries_are_of_the_same_classes() -> None:
    shown, asked = Episodes.of(rows_of(6, 6, 6)).draw(4, 2, 5, generator(1)).split(2)
    assert shown.positions.shape == (4, 2, 2)
    assert asked.positions.shape == (4, 2, 3)
    assert (shown.positions[:, :, 0] // 6 == asked.positions[:, :, 0] // 6).all()


def test_the_classes_of_an_episode_are_of_one_task() -> None:
    data = rows_of(4, 4, 4, 4, 4, tasks=["latin", "latin", "greek", "greek", "greek"])
    labels = data.take("label")[Episodes.of(data).draw(40, 2, 3, generator(0)).positions]
    assert all(set(np.unique(each)) <= {0, 1} or set(np.unique(each)) <= {2, 3, 4} for each in labels)
    assert {int(each.max() > 1) for each in labels} == {0, 1}


def test_rows_whose_label_is_hidden_are_not_drawn() -> None:
    data = rows_of(40, 40).with_labels(20, draw="stratified")
    drawn = Episodes.of(data).draw(30, 2, 5, generator(0))
    assert data.labelled[drawn.positions].all()
    assert len(np.unique(Episodes.of(data, hidden=True).draw(60, 2, 20, generator(0)).positions)) > 60


def test_turned_classes_are_turned_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 1, 4, 4), dtype=np.uint8)
    columns = [Column("image", "image", images), Column("label", "category", np.arange(12) // 4)]
    data = Data.from_columns(columns, {"input": ["image"], "label": ["label"]})
    episodes = Episodes.of(data, quarter_turns=4)
    assert episodes.fewest_classes == 12
    drawn = episodes.draw(8, 6, 2, generator(0))
    assert set(np.unique(drawn.turns)) == {0, 1, 2, 3}
    batch = batch_of(InputEncoding.fit(data).encode(data), drawn, torch.device("cpu"))
    pixels = batch["inputs"]["image"].view(8, 6, 2, 4, 4)
    assert batch["labels"][0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    for episode in range(8):
        pairs = {(int(drawn.positions[episode, way, 0]) // 4, int(drawn.turns[episode, way])) for way in range(6)}
        assert len(pairs) == 6, "a class comes twice, turned alike"
        for way in range(6):
            for row in range(2):
                expected = np.rot90(images[drawn.positions[episode, way, row], 0], drawn.turns[episode, way])
                assert np.array_equal(pixels[episode, way, row].numpy(), expected)
    others = {"x": torch.arange(6.0)[:, None]}
    assert turned(others, np.array([0, 1, 2, 3, 0, 1]))["x"] is others["x"]


@pytest.mark.parametrize(
    ("sizes", "tasks", "asked", "message"),
    [
        ((5, 5), None, (3, 1, 1), r"^Episodes of 3 classes are asked for, and rows has 2\. Ask for fewer: ways=2\."),
        (
            (5, 5, 5, 5, 5),
            ["a", "a", "a", "b", "c"],
            (2, 1, 1),
            r"and the task 'b' of rows has 1, and 1 more of 3 tasks have too few\. Give it more classes, or leave",
        ),
        ((5, 3, 2), None, (2, 2, 2), r"takes 2 \+ 2 labelled rows .* '1' in rows has 3; 2 of 3 classes have too few\."),
    ],
)
def test_too_few_are_refused(sizes: tuple[int, ...], tasks: Any, asked: tuple[int, ...], message: str) -> None:
    episodes = Episodes.of(rows_of(*sizes, tasks=tasks))
    with pytest.raises(DataError, match=message):
        episodes.check(*asked)


def test_rows_without_a_task_or_a_label_are_refused() -> None:
    with pytest.raises(DataError, match="4 of 12 labelled rows of rows have no task in the column 'set'"):
        Episodes.of(rows_of(4, 4, 4, tasks=["a", None, "a"]))
    with pytest.raises(DataError, match="made of labelled rows, and rows has none"):
        Episodes.of(rows_of(4, 4).test).check(2, 1, 1)
