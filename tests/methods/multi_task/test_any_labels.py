"""MultiTask on labels of several kinds: which rows each loss sees, what labels agree on, models, old folders."""

import json
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.targets import Targets
from manyways.errors import DataError, ModelError, ParameterError
from manyways.methods.bases.labels import LabelsLearner
from manyways.methods.multi_task.multi_task import MultiTask
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.networks import rebuild_networks
from manyways.models.structured import StructuredPredictor
from manyways.randomness import generator

KINDS = {"words": "words", "pos": "tags", "tree": "tree", "mood": "category"}
TAGS = {"a": "DET", "the": "DET", "cat": "NOUN", "dog": "NOUN", "sees": "VERB", "likes": "VERB"}


def sentences(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Three to five words a row; a tree on every second row, a mood on every third."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in KINDS}
    for row in range(count):
        verb, first, second = rng.choice(["sees", "likes"]), rng.choice(["cat", "dog"]), rng.choice(["cat", "dog"])
        words = ["the", first, verb, "a", second][: 5 if rng.random() < 0.5 else 3]
        heads = ["2:det", "3:nsubj", "0:root", "5:det", "3:obj"][: len(words)]
        rows["words"].append(words)
        rows["pos"].append([TAGS[word] for word in words])
        rows["tree"].append(heads if row % 2 == 0 else None)
        rows["mood"].append(("good" if verb == "likes" else "bad") if row % 3 == 0 else None)
    return rows


@cache
def data() -> mw.Data:
    return mw.read(
        sentences(120), kinds=KINDS, label=("pos", "tree", "mood"), input="words", test=sentences(30, seed=1)
    )


@cache
def model() -> LabelsPredictor:
    made = MultiTask(size=0.25, batch_size=16, average=0.0, learning_rate=5e-3).fit(data(), budget="90 steps")
    assert isinstance(made, LabelsPredictor)
    return made


def begun(method: MultiTask, rows: mw.Data) -> LabelsLearner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method.begin(rows, None, 0).eval()


# --- which rows a loss sees ----------------------------------------------------------------------


def test_the_loss_of_each_label_is_that_of_the_rows_that_have_it() -> None:
    """As by the target itself of those rows alone, read alone; heads of labels are given no other rows."""
    method = MultiTask(size=0.25, batch_size=12, augment=False, precision="float32")
    learner = begun(method, data())
    batch = method.draw(learner, 0, generator(0))
    positions = learner.pick(learner.labelled, 12, 0)
    rows = learner.training_data.select(positions)
    known = {name: ~rows.columns[name].missing(rows.rows) for name in ("pos", "tree", "mood")}
    assert {name: int(each.sum()) for name, each in known.items()} != dict.fromkeys(known, 12)
    assert all(known[name].tolist() == batch["known"][name].tolist() for name in known)
    heads = {way.label: learner.network.head_of(way) for way in learner.network.ways}
    lengths: dict[str, int] = {}
    original = type(heads["tree"]).from_tokens

    def noting(self: Any, tokens: Any) -> Any:
        lengths["tree"] = len(next(iter(tokens.values())).features)
        return original(self, tokens)

    with patch.object(type(heads["tree"]), "from_tokens", noting):
        losses = method.label_losses(learner, batch)
    assert lengths == {"tree": int(known["tree"].sum())}
    for target in learner.targets.members:
        own = np.flatnonzero(known[target.name])
        inputs = learner.take(positions[own])
        outputs = learner.network(inputs, {target.name: torch.ones(len(own), dtype=torch.bool)})[target.name]
        alone = target.loss(outputs, learner.labels[target.name][torch.from_numpy(positions[own])])
        assert float(losses[target.name].detach()) == pytest.approx(float(alone.detach()), rel=1e-4)


def test_a_batch_without_a_label_has_no_loss_of_it() -> None:
    method = MultiTask(size=0.25, batch_size=4)
    learner = begun(method, data())
    without = np.flatnonzero(data().training.columns["tree"].missing(data().training.rows))[:4]
    batch = learner.see(None, without, generator(0))
    assert "tree" not in method.label_losses(learner, batch)
    _, parts = method.loss(learner, batch)
    assert "loss of tree" not in parts


@pytest.mark.parametrize("weighting", ["uncertainty", "gradnorm", "pcgrad", "cagrad", "upgrad"])
def test_gradients_go_together_of_labels_with_a_structure(weighting: Any) -> None:
    """All shared weights, and the heads of labels that the batch has, are moved."""
    method = MultiTask(size=0.25, batch_size=8, weighting=weighting)
    learner = begun(method, data()).train()
    method.gradients(learner, method.draw(learner, 0, generator(0)))
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in learner.network.members[0].backbones.parameters()
    )
    assert any(p.grad is not None and bool(p.grad.any()) for p in learner.network.heads.parameters())


def test_fixed_weights_multiply_losses() -> None:
    plain, weighed = MultiTask(size=0.25, batch_size=8), MultiTask(size=0.25, batch_size=8, label_weights={"tree": 0.5})
    losses = []
    for method in (plain, weighed):
        learner = begun(method, data())
        losses.append(method.label_losses(learner, method.draw(learner, 0, generator(0))))
    assert float(losses[1]["tree"].detach()) == pytest.approx(float(losses[0]["tree"].detach()) / 2, rel=1e-5)
    assert float(losses[1]["pos"].detach()) == pytest.approx(float(losses[0]["pos"].detach()), rel=1e-5)
    assert mw.parse_method("multi-task(label_weights={'tree': 0.5})") == MultiTask(label_weights={"tree": 0.5})
    for wrong in ({"tree": 0}, {"tree": "much"}, {"tree": -1.0}):
        with pytest.raises(ParameterError, match=r"label_weights must be numbers above 0 by label"):
            MultiTask(label_weights=wrong)
    with pytest.raises(ParameterError, match=r"names 'tre', which is no label; labels are pos, tree, mood\. Did"):
        MultiTask(label_weights={"tre": 1.0}).fit(data(), budget=1)


# --- what labels agree on ------------------------------------------------------------------------


def test_recipes_are_made_one() -> None:
    targets = Targets.fit(data())
    assert (targets.recipe().sampler, targets.recipe().average) == ("by-length", 0.995)
    learner = begun(MultiTask(size=0.25), data())
    assert learner.sampler.name == "by-length"
    assert learner.average is not None
    assert begun(MultiTask(size=0.25, average=0.0), data()).average is None


def test_two_texts_that_read_the_inputs_differently_are_refused_by_name() -> None:
    rows = {
        "de": [f"eins zwei {row} drei" for row in range(40)],
        "en": [f"one two {row} three" for row in range(40)],
        "fr": [f"un deux {row} trois" for row in range(40)],
    }
    table = mw.read(rows, label=("en", "fr"), kinds={"en": "text", "fr": "text"})
    with pytest.raises(
        DataError, match=r"The labels 'en' \(text\) and 'fr' \(text\) read the inputs 'de' in ways of their"
    ):
        MultiTask().fit(table, budget=1)


def test_labels_in_space_move_together() -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), np.uint8)
    boxes = [[["cell", 4, 4, 20, 20]] for _ in range(6)]
    masks = np.zeros((6, 32, 32), np.int64)
    masks[:, 4:20, 4:20] = 1
    table = mw.read({"image": images, "boxes": boxes, "mask": masks}, label=("boxes", "mask"),
                    kinds={"boxes": "boxes", "mask": "mask"})  # fmt: skip
    with pytest.raises(ParameterError, match=r"ask for different backbones: 'boxes' pyramid and 'mask' unet"):
        MultiTask().fit(table, budget=1)
    twice = mw.read({"image": images, "a": masks, "b": masks}, label=("a", "b"), kinds={"a": "mask", "b": "mask"})
    learner = begun(MultiTask(size=0.25, batch_size=4), twice)
    moved = [learner.see("weak", np.arange(4), generator(seed))["labels"] for seed in range(6)]
    assert all(torch.equal(each["a"], each["b"]) for each in moved)
    assert any(not torch.equal(each["a"], learner.labels["a"][:4]) for each in moved)


# --- models --------------------------------------------------------------------------------------


def test_all_kinds_are_learned_predicted_and_scored() -> None:
    scores = model().evaluate(data().test)
    assert scores["token_accuracy of pos"] > 0.8
    assert {"las of tree", "uas of tree", "accuracy of mood"} <= set(scores)
    usual = [scores[name] for name in ("token_accuracy of pos", "las of tree", "accuracy of mood")]
    assert scores["mean_score"] == pytest.approx(np.mean(usual))
    predicted = model().predict(data().test)
    assert predicted.dtype.names == ("pos", "tree", "mood")
    words = sentences(30, seed=1)["words"]
    assert (
        [len(tags) for tags in predicted["pos"]] == [len(tree) for tree in predicted["tree"]] == list(map(len, words))
    )
    with pytest.raises(ModelError, match="of which there is no vector of outputs for each row; use predict"):
        model().outputs(data().test)


@pytest.mark.parametrize("metric", ["mean_score", "uas of tree", "accuracy of mood", "token_accuracy of pos"])
def test_each_score_has_contributions_of_rows(metric: str) -> None:
    rough = MultiTask(size=0.25, batch_size=16, average=0.0, learning_rate=5e-3).fit(data(), budget="20 steps")
    evaluation = rough.evaluate_rows(data().test, metric)
    assert evaluation.rows is not None
    assert evaluation.rows.mean() == pytest.approx(evaluation.scores[metric], abs=1e-6)
    if metric == "uas of tree":
        spread = np.abs(evaluation.rows - evaluation.scores[metric])
        assert (spread[1::2] < 1e-9).all()  # rows without a tree change nothing
        assert (spread > 1e-9).any()


def test_the_model_of_one_label_says_the_same(tmp_path: Path) -> None:
    predicted = model().predict(data().test)
    for label in ("pos", "tree", "mood"):
        alone = mw.load(model().only(label).save(tmp_path / label))
        assert list(alone.predict(data().test)) == list(predicted[label])
        assert isinstance(alone, StructuredPredictor) == (label != "mood")
    loaded = mw.load(model().save(tmp_path / "all"))
    assert [list(each) for each in loaded.predict(data().test)] == [list(each) for each in predicted]


def test_models_of_the_first_version_are_loaded(tmp_path: Path) -> None:
    """They say nothing of ways and heads: outputs stood side by side, or each label had a network."""
    digits = MultiTask.example_data().with_test(0.25)
    for sharing in ("hard", "none"):
        made = MultiTask(sharing=sharing, size=0.25).fit(digits, budget=2)  # type: ignore[arg-type]
        folder = Path(made.save(tmp_path / sharing))
        (file,) = [path for path in folder.glob("*.json") if '"ways"' in path.read_text()]
        saved = json.loads(file.read_text())
        assert saved["network"].pop("heads") == []
        del saved["network"]["ways"]
        targets = Targets.from_json(saved["targets"])
        network = rebuild_networks(saved["network"], targets)
        assert isinstance(made, LabelsPredictor)
        network.load_state_dict(made.network.state_dict())
        assert network.ways == made.network.ways or sharing == "none"
        inputs = made.inputs.encode(digits.test).batch(np.arange(5), torch.device("cpu"))
        ours, theirs = made.network(inputs), network.eval()(inputs)
        assert all(torch.equal(ours[name], theirs[name]) for name in targets.names)


def test_boxes_are_given_in_the_pixels_of_each_picture() -> None:
    """As the model of the boxes alone gives them, whatever size pictures came to."""
    images = np.random.default_rng(0).integers(0, 255, (8, 20, 40, 3), np.uint8)
    rows = {"image": images, "boxes": [[["cell", 4, 2, 20, 10]]] * 8, "kind": ["a", "b"] * 4}
    table = mw.read(rows, label=("boxes", "kind"), kinds={"boxes": "boxes"}, image_size=(32, 32))
    made = MultiTask(size=0.25, batch_size=4).fit(table, budget="2 steps")
    assert isinstance(made, LabelsPredictor)
    alone = made.only("boxes").predict(table)
    assert [list(each) for each in made.predict(table)["boxes"]] == [list(each) for each in alone]
