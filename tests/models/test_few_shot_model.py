"""FewShotModel: scored on episodes of classes it never saw, adapted to new ones, saved and loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.data.read import read
from manyways.errors import DataError
from manyways.models.few_shot.adapting import features_of, settle
from manyways.models.few_shot_model import examples
from manyways.randomness import generator


@pytest.fixture(scope="module")
def halves() -> tuple[Data, Data]:
    """Digits from 0 to 4, and those from 5 to 9, each a table of its own."""
    data = read("digits")
    fresh = data.take("label") >= 5
    return data.select(np.flatnonzero(~fresh)), data.select(np.flatnonzero(fresh))


@pytest.fixture(scope="module", params=["proto-net", "maml"])
def model(request: pytest.FixtureRequest, halves: tuple[Data, Data]) -> Any:
    """One model of each kind, little trained."""
    methods: dict[str, mw.Method] = {
        "proto-net": mw.ProtoNet(backbone="convnet", size=0.5),
        "maml": mw.MAML(backbone="convnet", size=0.5, inner_rate=0.1, batch_size=8),
    }
    return methods[request.param].fit(halves[0], budget=20)


def test_scores_are_those_of_models_that_were_adapted(model: Any, halves: tuple[Data, Data]) -> None:
    """Each query alone, also where batch normalisation could see them together."""
    new = halves[1]
    found = model.evaluate(new, ways=3, shots=2, queries=4, episodes=3, seed=5)["accuracy"]
    from manyways.models.few_shot.episodes import Episodes

    shown, asked = Episodes.of(new, hidden=True).draw(3, 3, 6, generator(5, 3)).split(2)
    right = []
    for support, queries in zip(shown.positions, asked.positions, strict=True):
        rows, labels = model.inputs.encode(new), torch.arange(3)  # a class is called by its place in the episode
        shots = rows.select(support.ravel())
        network = model.adaptation.adapted(model.network, shots, labels.repeat_interleave(2), 3)
        with torch.inference_mode():
            each = [network(rows.batch(np.array([row]))).argmax().item() for row in queries.ravel()]
        right.append(np.mean(each == labels.repeat_interleave(4).numpy()))
    assert found == pytest.approx(np.mean(right), abs=1e-6)


def test_scores_of_queries_that_are_seen_together_are_called_so(model: Any, halves: tuple[Data, Data]) -> None:
    options = {"ways": 3, "shots": 1, "queries": 10, "episodes": 20}
    alone, together = (model.evaluate(halves[1], transductive=each, **options) for each in (False, True))
    assert set(together) == {"transductive_accuracy", "transductive_accuracy_interval"}
    assert model.adaptation.transductive(model.network) == (model.lineage.title.startswith("maml"))
    differs = together["transductive_accuracy"] != alone["accuracy"]
    assert differs == model.adaptation.transductive(model.network)


def test_a_comparison_scores_queries_alone_and_names_the_other_score(model: Any, halves: tuple[Data, Data]) -> None:
    from manyways.comparison.tasks import find_task

    tested = replace(halves[1], part=np.full_like(halves[1].part, TEST))
    scores = find_task("few-shot").evaluate(model, tested, "accuracy").scores
    assert {"accuracy", "transductive_accuracy"} <= set(scores)
    assert (scores["accuracy"] != scores["transductive_accuracy"]) == model.adaptation.transductive(model.network)


def test_the_same_seed_draws_the_same_episodes(model: Any, halves: tuple[Data, Data]) -> None:
    first, again, other = (model.evaluate(halves[1], episodes=20, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert 0 < first["accuracy_interval"] < 0.2


def test_saved_and_loaded_it_does_the_same(model: Any, halves: tuple[Data, Data], tmp_path: Path) -> None:
    loaded: Any = mw.load(model.save(tmp_path / "model"))
    assert loaded.evaluate(halves[1], episodes=10) == model.evaluate(halves[1], episodes=10)
    assert (loaded.ways, loaded.shots, loaded.adaptation) == (model.ways, model.shots, model.adaptation)
    np.testing.assert_array_equal(loaded.embed(halves[1]), model.embed(halves[1]))


def test_episodes_that_cannot_be_drawn_are_refused(model: Any, halves: tuple[Data, Data]) -> None:
    with pytest.raises(
        DataError, match=r"Episodes of 6 classes are asked for, and digits has 5\. Ask for fewer: ways=5"
    ):
        model.evaluate(halves[1], ways=6)
    with pytest.raises(DataError, match="An episode takes 1 \\+ 1000 labelled rows of a class"):
        model.evaluate(halves[1], ways=2, queries=1000)


def test_rows_that_it_cannot_adapt_to_are_refused(model: Any, halves: tuple[Data, Data]) -> None:
    with pytest.raises(DataError, match="no column with the role label"):
        model.adapt(read(np.zeros((4, 64))))
    numbers = Data.from_columns(halves[1].columns.values(), {"input": halves[1].roles["input"], "label": ["label"]})
    column = replace(numbers.columns["label"], kind="number", values=numbers.columns["label"].values.astype(float))
    with pytest.raises(DataError, match="adapts to classes, and the label 'label' of .* is a number"):
        model.adapt(Data.from_columns([*halves[1].inputs, column], numbers.roles))


def test_adapting_is_what_the_method_does(model: Any, halves: tuple[Data, Data]) -> None:
    """One lineage, whichever way: by the verb of the model, and by the method in a chain."""
    shown = halves[1].select(np.arange(40))
    ours, theirs = model.adapt(shown), mw.Adapt().fit(examples(shown), model)
    own, expected = ({**each.lineage.to_json(), "seconds": 0.0, "machine": {}} for each in (ours, theirs))
    assert own == expected
    assert np.array_equal(ours.lineage.rows, theirs.lineage.rows)
    assert ours.gives == theirs.gives
    np.testing.assert_array_equal(ours.outputs(halves[1]), theirs.outputs(halves[1]))


def test_a_maml_model_takes_its_steps_on_the_examples(halves: tuple[Data, Data]) -> None:
    """Three steps of gradient descent by hand, in which examples are normalised together, lead to the same answers."""
    old, new = halves
    start: Any = mw.MAML(ways=5, inner_rate=0.05, test_steps=3, backbone="vit", size=0.25).fit(old, budget=3)
    shown = new.select(np.concatenate([np.flatnonzero(new.take("label") == label)[:2] for label in (6, 8)]))
    kept = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    model = start.adapt(shown)
    assert list(model.target.classes) == [6, 8]
    assert all(torch.equal(tensor, kept[name]) for name, tensor in start.network.state_dict().items())
    inputs = start.inputs.encode(shown).batch(np.arange(4), torch.device("cpu"))
    optimizer = torch.optim.SGD(start.network.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(start.network(inputs), torch.tensor([0, 0, 1, 1])).backward()
        optimizer.step()
    with torch.no_grad():
        expected = start.network(inputs)[:, :2].softmax(1)
    start.network.load_state_dict(kept)
    np.testing.assert_allclose(model.probabilities(shown), expected, atol=1e-5)


def test_settled_statistics_are_those_of_the_rows(halves: tuple[Data, Data]) -> None:
    """In evaluation the features of those rows are then those that training on all of them at once would give."""
    model: Any = mw.ProtoNet(backbone="conv4", size=0.25).fit(halves[0], budget=3)
    rows = model.inputs.encode(halves[1].select(np.arange(50)))
    inputs = rows.batch(np.arange(50), torch.device("cpu"))
    settle(model.network, inputs)
    with torch.no_grad():
        expected = model.network.train().features(inputs)
    settle(model.network, inputs)
    torch.testing.assert_close(features_of(model.network, rows), expected, rtol=1e-3, atol=1e-4)
