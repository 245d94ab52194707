"""Zero-shot: classes told apart by names that were never labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.multi_modal.clip import CLIP
from manyways.methods.multi_modal.zero_shot import ZeroShot
from manyways.models.dual_encoder import DualEncoder

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 230), "yellow": (240, 220, 20)}
SHAPES = ("bar", "box")


def things(rows: int = 640) -> Data:
    """Pictures of coloured bars and boxes with texts; yellow boxes are only in the test rows."""
    rng = np.random.default_rng(0)
    images, texts, part = rng.integers(0, 40, (rows, 3, 16, 16)).astype(np.uint8), [], []
    for row in range(rows):
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        at = int(rng.integers(10))
        where = np.s_[row, :, at : at + 4, :] if shape == "bar" else np.s_[row, :, at : at + 6, 5:11]
        images[where] = np.array(COLOURS[colour])[:, None, None]
        texts.append(f"{colour} {shape}, {rng.choice(['new', 'old', 'fine', 'odd'])}")
        part.append(2 if (colour, shape) == ("yellow", "box") or row % 5 == 0 else 0)
    columns = [
        Column("image", "image", images),
        Column("says", "text", np.array(texts, object)),
        Column("label", "category", np.array([text.split(",")[0] for text in texts], object)),
    ]
    roles = {"input": ["image", "says"], "label": ["label"]}
    return Data.from_columns(columns, roles, part=np.array(part, np.uint8), name="things")


@pytest.fixture(scope="module")
def data() -> Data:
    return things()


@pytest.fixture(scope="module")
def model(data: Data) -> DualEncoder:
    made = CLIP(batch_size=64).fit(data, budget=160)
    assert isinstance(made, DualEncoder)
    return made


def test_classes_are_told_by_their_names(model: DualEncoder, data: Data) -> None:
    """By one word of texts that say more."""
    told = model.classifier(list(COLOURS), template="{}")
    rows = data.test.select(data.test.take("label") != "yellow box")
    truth = np.array([str(label).split()[0] for label in rows.take("label")])
    assert told.gives == {"classify", "embed"}
    assert (told.predict(rows) == truth).mean() > 0.9
    assert told.probabilities(rows).shape == (len(rows), 4)


def test_the_verb_of_the_model_does_what_the_method_does(model: DualEncoder, data: Data) -> None:
    """One lineage, whichever way."""
    for fields in ({}, {"template": "{}"}, {"template": "{} box", "label": "colour"}):
        ours = model.classifier(("red", "blue"), **fields)
        theirs = ZeroShot(classes=("red", "blue"), **fields).fit(None, model)
        own, expected = ({**each.lineage.to_json(), "seconds": 0.0, "machine": {}} for each in (ours, theirs))
        assert own == expected
        assert ours.gives == theirs.gives
        assert np.array_equal(ours.outputs(data.test), theirs.outputs(data.test))


def test_the_verb_refuses_what_the_method_refuses(model: DualEncoder) -> None:
    with pytest.raises(ParameterError, match=r"classifier\.template must hold \{\}"):
        model.classifier(("a", "b"), template="a picture")
    with pytest.raises(ParameterError, match=r"classifier\.classes must be two names or more"):
        model.classifier(("a", "a"))
    halves: Any = CLIP(batch_size=16).fit("digit-halves", budget=1)
    with pytest.raises(NeedsError, match="pairs upper with lower, neither of which is text"):
        halves.classifier(("a", "b"))


def test_a_class_that_no_training_row_has_is_told(model: DualEncoder, data: Data) -> None:
    names = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    told = model.classifier(names, template="{}").predict(data.test)
    unseen = data.test.take("label") == "yellow box"
    assert "yellow box" not in set(data.training.take("label"))
    assert (told[unseen] == "yellow box").mean() > 0.6  # of eight classes
    assert (told == data.test.take("label")).mean() > 0.6


def test_in_a_chain_the_classes_are_those_of_the_label(data: Data) -> None:
    chain = mw.parse_method("clip(batch_size=64) >> zero-shot(template='{}')")
    rows = Data.from_columns(data.columns.values(), data.roles, name="things").with_test(0.25)
    model = chain.fit(rows, budget=120)
    assert model.target is not None
    assert set(model.target.classes) == set(rows.classes)
    assert model.evaluate(rows.test)["accuracy"] > 0.6  # of eight
    assert [stage.title for stage in model.lineage.stages()][1:] == ["zero-shot(template='{}')", "clip(batch_size=64)"]


def test_saved_and_loaded_it_tells_the_same(model: DualEncoder, data: Data, tmp_path: Path) -> None:
    told = model.classifier(["red", "blue"], label="colour")
    loaded = mw.load(told.save(tmp_path / "model"))
    assert np.array_equal(loaded.outputs(data.test), told.outputs(data.test))
    assert loaded.target is not None
    assert loaded.target.name == "colour"
    assert loaded.lineage.rows.shape == (0, 2)
    assert loaded.lineage.parents[0].title == "clip(batch_size=64)"


@pytest.mark.quick
def test_templates_and_classes_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"ZeroShot\.template must hold \{\}, .*; got 'a picture'"):
        ZeroShot(classes=("a", "b"), template="a picture")
    for wrong in (("a",), ("a", "a")):
        with pytest.raises(ParameterError, match=r"ZeroShot\.classes must be two names or more"):
            ZeroShot(classes=wrong)


def test_without_classes_or_texts_it_is_refused(model: DualEncoder, data: Data) -> None:
    with pytest.raises(NeedsError, match=r"no label that is a category\. Name them: zero-shot\(classes="):
        ZeroShot().fit(None, model)
    halves = CLIP(batch_size=16).fit("digit-halves", budget=1)
    with pytest.raises(NeedsError, match="pairs upper with lower, neither of which is text"):
        ZeroShot(classes=("a", "b")).fit(None, halves)
    with pytest.raises(NeedsError, match="it starts from a model"):
        ZeroShot(classes=("a", "b")).fit()
