"""CLIP: pairs that repeat, partners that are found, and what follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.methods.multi_modal.clip import CLIP, LARGEST_SCALE
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.dual_encoder import DualEncoder
from manyways.randomness import generator

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 230), "yellow": (240, 220, 20)}
PLACES = ("top", "middle", "bottom")


def coloured(rows: int = 240, seed: int = 0) -> Data:
    """Pictures of a bar of some colour at some height, each with a text that says so."""
    rng = np.random.default_rng(seed)
    images, texts, labels = rng.integers(0, 40, (rows, 3, 16, 16)).astype(np.uint8), [], []
    for row in range(rows):
        colour, place = rng.choice(list(COLOURS)), int(rng.integers(3))
        images[row, :, 5 * place : 5 * place + 5] = np.array(COLOURS[colour])[:, None, None]
        texts.append(f"a {colour} bar at the {PLACES[place]} {rng.choice(['of it', 'here', 'now'])}")
        labels.append(colour)
    columns = [
        Column("image", "image", images),
        Column("says", "text", np.array(texts, object)),
        Column("label", "category", np.array(labels, object)),
    ]
    data = Data.from_columns(columns, {"input": ["image", "says"], "label": ["label"]}, name="bars")
    return data.with_test(0.25)


@pytest.fixture(scope="module")
def bars() -> Data:
    return coloured()


@pytest.fixture(scope="module")
def model(bars: Data) -> DualEncoder:
    made = CLIP(batch_size=64).fit(bars, budget=60)
    assert isinstance(made, DualEncoder)
    return made


# --- pairs ---------------------------------------------------------------------------------------


@pytest.mark.quick
def test_equal_texts_and_equal_pictures_of_a_batch_are_the_same(bars: Data) -> None:
    method = CLIP(batch_size=64)
    learner = method.begin(bars, None, 0)
    rows = learner.pick(learner.everything, 64, 0)
    batch = method.draw(learner, 0, generator(0))
    texts = bars.training.take("says")[rows]
    assert np.array_equal(batch["same"].numpy(), texts[:, None] == texts[None])
    assert 64 < int(batch["same"].sum()) < 64 * 64
    column = bars.columns["image"]
    images = np.array(column.values)
    images[bars.training.rows[rows[:2]]] = images[0]
    other = replace(bars, columns={**bars.columns, "image": replace(column, values=images)})
    assert bool(method.draw(method.begin(other, None, 0), 0, generator(0))["same"][0, 1])


def test_all_pairs_that_are_one_are_refused(bars: Data) -> None:
    column = replace(bars.columns["says"], values=np.full(len(bars.part), "always the same", object))
    equal = replace(bars, columns={**bars.columns, "says": column})
    with pytest.raises(DataError, match=r"All 180 training rows of bars hold the same in 'says', so that there is"):
        CLIP().fit(equal, budget=1)


def test_empty_texts_are_refused_by_name(bars: Data) -> None:
    values = bars.columns["says"].values[np.arange(len(bars.part))].copy()
    first = bars.training.rows[:2]
    values[first] = ["", "  "]
    column = replace(bars.columns["says"], values=values)
    some = replace(bars, columns={**bars.columns, "says": column})
    at = np.flatnonzero(np.isin(some.rows, first))
    with pytest.raises(NeedsError, match=rf"2 of 180 rows \({at[0]}, {at[1]}; rows count from 0\) have nothing in"):
        CLIP().fit(some, budget=1)


def test_one_input_or_three_are_refused(bars: Data) -> None:
    with pytest.raises(NeedsError, match=r"it needs two inputs, such as .*, and there is one \('image'\)"):
        CLIP().fit(bars.with_inputs(["image"]), budget=1)
    third = {**bars.columns, "more": replace(bars.columns["says"], name="more")}
    three = replace(bars, columns=third, roles={**bars.roles, "input": ("image", "says", "more")})
    with pytest.raises(NeedsError, match=r"there are 3: 'image', 'says', 'more'\. Name two: input=\('image', 'says'\)"):
        CLIP().fit(three, budget=1)
    CLIP(only=("image", "more"), batch_size=16).fit(three, budget=1)


def test_a_name_that_is_left_out_is_pointed_at(tmp_path: Path) -> None:
    """Short names that differ in every row are taken for identifiers, unless they are said to be text."""
    from PIL import Image

    for row in range(25):
        Image.new("RGB", (8, 8), (10 * row, 0, 0)).save(tmp_path / f"{row}.png")
    rows = "".join(f"{row}.png,thing{row}\n" for row in range(25))
    (tmp_path / "pairs.csv").write_text(f"image,name\n{rows}", "utf-8")
    with pytest.raises(NeedsError, match=r"If 'name' describes a row: kinds=\{\"name\": \"text\"\}"):
        CLIP().fit(tmp_path / "pairs.csv", budget=1)
    CLIP(batch_size=8).fit(mw.read(tmp_path / "pairs.csv", kinds={"name": "text"}), budget=1)


# --- models --------------------------------------------------------------------------------------


def test_partners_are_found_both_ways(model: DualEncoder, bars: Data) -> None:
    scores = model.evaluate(bars.test)
    assert scores["recall_at_10_by_chance"] < 0.6
    for way in ("says by image", "image by says"):
        assert scores[f"recall_at_10 of {way}"] > scores[f"recall_at_10_by_chance of {way}"] + 0.3
    assert scores["recall_at_1"] <= scores["recall_at_5"] <= scores["recall_at_10"]
    untrained = CLIP(batch_size=64, learning_rate=1e-12, weight_decay=0.0).fit(bars, budget=1).evaluate(bars.test)
    assert scores["recall_at_1"] > untrained["recall_at_1"] + 0.2


def test_no_label_is_looked_at(bars: Data) -> None:
    other = bars.hide(np.arange(len(bars)))
    first, second = (CLIP(batch_size=16).fit(data, budget=2).embed(bars.test) for data in (bars, other))
    assert np.array_equal(first, second)


def test_test_rows_that_lack_a_side_are_no_pairs(model: DualEncoder, bars: Data) -> None:
    gone = np.isin(np.arange(len(bars.part)), bars.test.rows[:4])
    some = replace(bars, columns={**bars.columns, "image": replace(bars.columns["image"], absent=gone)})
    assert model.evaluate(some.test) == model.evaluate(bars.test.select(np.arange(4, len(bars.test))))
    with pytest.raises(DataError, match="has 1 pairs of image and says; two are the least"):
        model.evaluate(bars.test.select(np.arange(1)))


def test_texts_find_pictures(model: DualEncoder, bars: Data) -> None:
    found = model.retrieve(["a red bar at the top here", "a blue bar at the bottom"], bars.test, 5)
    labels = bars.test.take("label")
    assert found.rows.shape == found.similarity.shape == (2, 5)
    assert labels[found.rows[0]].tolist().count("red") >= 4
    assert labels[found.rows[1]].tolist().count("blue") >= 4
    assert bool((np.diff(found.similarity) <= 0).all())
    assert np.array_equal(model.retrieve("a red bar at the top here", bars.test, 5).rows[0], found.rows[0])


def test_pictures_find_texts_and_pictures(model: DualEncoder, bars: Data) -> None:
    pictures = bars.test.with_inputs(["image"])
    with pytest.raises(ParameterError, match=r"both inputs, image and says; say which is asked by: by='image'"):
        model.retrieve(pictures, bars.test)
    texts = model.retrieve(bars.test, bars.test, 1, by="image").rows[:, 0]
    assert (bars.test.take("label")[texts] == bars.test.take("label")).mean() > 0.8
    only = Data.from_columns([Column("image", "image", bars.test.take("image"))], {"input": ["image"]})
    same = model.retrieve(only, only, 1).rows[:, 0]
    assert (bars.test.take("label")[same] == bars.test.take("label")).mean() == 1
    with pytest.raises(ParameterError, match="k must be 1 or more; got 0"):
        model.retrieve(only, only, 0)
    with pytest.raises(DataError, match="breast-cancer has neither 'image' nor 'says'"):
        model.retrieve("a red bar", mw.read("breast-cancer"))


def test_either_side_has_vectors(model: DualEncoder, bars: Data) -> None:
    for name in ("image", "says"):
        given = model.embed(bars.test, name)
        assert given.shape == (len(bars.test), 128)
        assert np.linalg.norm(given, axis=1) == pytest.approx(np.ones(len(given)), abs=1e-5)
    assert model.embed(["one text", "another"]).shape == (2, 128)
    assert model.embed(bars.test).shape == (len(bars.test), 256)
    with pytest.raises(ModelError, match="knows the inputs image and says; got 'sound'"):
        model.embed(bars.test, "sound")


def test_saved_and_loaded_it_finds_the_same(model: DualEncoder, bars: Data, tmp_path: Path) -> None:
    loaded = mw.load(model.save(tmp_path / "model"))
    assert loaded.evaluate(bars.test) == model.evaluate(bars.test)
    first, second = (each.retrieve("a red bar", bars.test, 3).rows.tolist() for each in (model, loaded))
    assert first == second


def test_what_it_cannot_do_it_says(model: DualEncoder, bars: Data) -> None:
    with pytest.raises(ModelError, match=r"gives embed, retrieve: it cannot predict\. A method whose models can is"):
        model.predict(bars.test)
    with pytest.raises(ModelError, match=r"it cannot retrieve\. A method whose models can is clip"):
        mw.Supervised().fit("digits", budget=1).retrieve("a", "digits")


@pytest.mark.quick
def test_the_temperature_is_learned_and_bounded(bars: Data) -> None:
    method = CLIP(batch_size=32, temperature=0.0101, learning_rate=0.5)
    learner = method.begin(bars, None, 0)
    with torch.no_grad():
        learner.network.log_scale.fill_(9.0)
    method.after(learner, 0)
    assert float(learner.network.log_scale.detach().exp()) == pytest.approx(LARGEST_SCALE)
    sigmoid = CLIP(batch_size=32, contrast="sigmoid").begin(bars, None, 0)
    assert float(sigmoid.network.log_scale.detach().exp()) == pytest.approx(10)
    assert sigmoid.network.bias is not None
    assert float(sigmoid.network.bias.detach()) == -10


def test_sigmoid_finds_partners_too(bars: Data) -> None:
    scores = CLIP(batch_size=64, contrast="sigmoid").fit(bars, budget=80).evaluate(bars.test)
    assert scores["recall_at_10"] > scores["recall_at_10_by_chance"] + 0.3


def test_training_goes_on_from_such_a_model(model: DualEncoder, bars: Data) -> None:
    more = CLIP(batch_size=64).fit(bars, model, budget=1)
    assert more.lineage.parents[0].title == model.lineage.title
    other = CLIP(batch_size=64, contrast="sigmoid", temperature=0.5).begin(bars, model, 0).network
    assert other.bias is not None
    assert float(other.bias.detach()) == -10
    assert float(other.log_scale.detach().exp()) == pytest.approx(2)
    with pytest.raises(ParameterError, match="backbone, size and inputs are the model's"):
        CLIP(size=2.0).fit(bars, model, budget=1)
    with pytest.raises(ParameterError, match=r"CLIP\.width is the model's that it starts from, 128; got 64"):
        CLIP(width=64).fit(bars, model, budget=1)


# --- what follows --------------------------------------------------------------------------------


def test_its_networks_are_starts(model: DualEncoder, bars: Data) -> None:
    """The tower of the input that the data has, or both side by side."""
    few = bars.with_labels(60, draw="stratified")
    pictures = few.with_inputs(["image"])
    pictures = replace(pictures, columns={name: few.columns[name] for name in ("image", "label")})
    for data, names in ((pictures, ["image"]), (few, ["image", "says"])):
        for method in (LinearProbe(penalty=1.0), FineTune()):
            made = method.fit(data, model, budget=5)
            assert list(made.encoding().encoders) == names
    assert LinearProbe(penalty=1.0).fit(pictures, model).evaluate(pictures.test)["accuracy"] > 0.9


def test_a_checkpoint_may_be_either_tower(bars: Data, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "bar", "at", "the", *COLOURS, *PLACES]
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **shape)).save_pretrained(folder)
    model = CLIP(backbone=f"says={folder}", batch_size=16).fit(bars, budget=2)
    assert isinstance(model, DualEncoder)
    assert [model.network.tower(name).parts[0].name for name in model.names] == ["convnet", "pretrained"]
    assert model.evaluate(bars.test)["recall_at_10"] > 0
    with pytest.raises(ParameterError, match=r"backbone names a network for 'sais', which is no input; .*Did you mean"):
        CLIP(backbone=f"sais={folder}").fit(bars, budget=1)


def test_sounds_and_tables_pair_too() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 160)
    time = np.arange(1000) / 8000
    sound = np.sin(2 * np.pi * (300 * 2.0 ** kinds[:, None]) * time) * 8000 + rng.normal(0, 300, (160, 1000))
    numbers = np.eye(4)[kinds] + rng.normal(0, 0.1, (160, 4))
    columns = [Column("sound", "audio", sound.astype(np.int16), 8000), Column("x", "number", numbers)]
    data = Data.from_columns(columns, {"input": ["sound", "x"]}).with_test(0.25)
    scores = CLIP(batch_size=32).fit(data, budget=60).evaluate(data.test)
    assert scores["recall_at_10"] > scores["recall_at_10_by_chance"] + 0.2
