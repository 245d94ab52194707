"""Text as a label: which columns are, how it is encoded, learned, searched, scored, saved and written."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.encoders.joint_text import END, LONGEST
from manyways.data.targets import Target
from manyways.data.targets.text import TextTarget, Writing
from manyways.errors import DataError, DataWarning, ModelError
from manyways.methods.supervised.supervised import Supervised
from manyways.models.structured import StructuredPredictor
from manyways.models.writing_head import WritingHead

NUMBERS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "Fünf": "Five", "sechs": "six"}


def pairs(count: int, seed: int = 0) -> dict[str, list[str]]:
    """Numbers in German and English, two to five a row."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(list(NUMBERS), size=rng.integers(3, 7)).tolist() for _ in range(count)]
    return {"de": [" ".join(row) for row in rows], "en": [" ".join(NUMBERS[word] for word in row) for row in rows]}


def translation(count: int = 300) -> mw.Data:
    return mw.read(pairs(count), label="en", test=pairs(30, seed=1))


@cache
def model() -> StructuredPredictor:
    made = Supervised(size=0.34, batch_size=32, average=0.9).fit(translation(), budget="150 steps", seed=0)
    assert isinstance(made, StructuredPredictor)
    return made


@cache
def learner() -> Any:
    return Supervised(size=0.34, batch_size=6).begin(translation(40), None, 0)


def text_target(data: mw.Data) -> TextTarget:
    target = Target.fit(data)
    assert isinstance(target, TextTarget)
    return target


# --- which columns are texts to be written ---


def test_a_label_of_distinct_texts_is_written_and_the_note_says_how_to_have_classes() -> None:
    data = translation()
    assert data.label.kind == "text"
    assert data.notes["en"] == (
        "its values are texts, which are to be written; if they are classes: kinds={'en': \"category\"}"
    )
    assert mw.read(pairs(40), label="en", kinds={"en": "category"}).label.kind == "category"


def test_few_texts_that_come_again_and_short_ones_are_classes() -> None:
    rows = {
        "x": [f"text number {row}" for row in range(40)],
        "y": ["a very long class name", "and another one here"] * 20,
    }
    assert mw.read(rows, label="y").label.kind == "category"
    texts = {
        "x": [row * 0.5 for row in range(40)],
        "y": [f"the answer is {row}" for row in range(39)] + ["it has\ta tab in it"],
    }
    assert mw.read(texts, label="y").label.kind == "text"
    names = {"x": [row * 0.5 for row in range(40)], "y": [f"name {row}" for row in range(40)]}
    assert mw.read(names, label="y").label.kind == "category"
    assert mw.read(names, label="y", kinds={"y": "text"}).label.kind == "text"


# --- encoding ---


def test_labels_and_inputs_share_one_tokenizer_and_come_back_as_they_are() -> None:
    data = translation(40)
    target = text_target(data)
    codes = target.encode(data.training)
    assert target.decode(codes).tolist() == data.training.take("en").tolist()
    encoding = target.encoding(data)
    encoder: Any = encoding.encoders["de"]
    assert encoder.tokenizer_json == target.tokenizer_json
    ids = encoding.encode(data).batch(np.arange(3))["de"]
    assert [int(row[row != 0][-1]) for row in ids] == [END] * 3
    assert target.lengths(codes).tolist() == [len(row[row >= 0]) for row in codes]


def test_capitals_marks_and_letters_never_seen_survive() -> None:
    target = replace(text_target(translation(40)), longest=50)
    for text in ("Größe: 12,5 €!", "日本語 text", "  two  spaces", "A\nB", "e\u0301"):
        (code,) = target.codes_of(np.array([text], object), translation(3))
        expected = text.strip() if text.startswith(" ") else text
        assert target.decode(code[None])[0].strip() in (expected, "é")


def test_hidden_labels_do_not_shape_the_tokenizer() -> None:
    rows = pairs(40)
    other = {**rows, "en": [*rows["en"][:20], *("quite other words here" for _ in range(20))]}
    hidden = mw.read(other, label="en", kinds={"en": "text"})
    visible = replace(hidden, visible=np.arange(40) < 20)
    assert text_target(visible) == text_target(replace(mw.read(rows, label="en"), visible=np.arange(40) < 20))


# --- bad inputs ---


def test_one_text_everywhere_is_refused() -> None:
    rows = {"x": [f"text number {row}" for row in range(30)], "y": ["always the same text"] * 30}
    with pytest.raises(DataError, match="nothing to learn"):
        Target.fit(mw.read(rows, label="y", kinds={"y": "text"}))


def test_an_empty_translation_is_no_label() -> None:
    rows = pairs(40)
    rows["en"][3] = ""
    rows["en"][4] = "  "
    data = mw.read(rows, label="en")
    assert data.labelled.sum() == 38
    codes = text_target(data).encode(data)
    assert (codes[3:5] == -1).all()
    assert (codes[5, 0]) >= 0


def test_texts_longer_than_the_model_are_cut_with_how_many() -> None:
    rows = pairs(60)
    rows["en"][0] = rows["de"][0] = "eins " * (LONGEST + 40)
    data = mw.read(rows, label="en")
    with pytest.warns(DataWarning, match="1 of 60 texts in 'en' are longer than the 512 tokens that the model writes"):
        codes = text_target(data).encode(data)
    assert codes.shape == (60, LONGEST + 1)
    encoding = text_target(data).encoding(data)
    with pytest.warns(DataWarning, match="1 of 60 texts in 'de' are longer than the 512 tokens that the model reads"):
        encoding.encode(data)


# --- wiring ---


def test_teacher_forcing_reads_the_label_one_position_later() -> None:
    head = learner().network.head
    assert isinstance(head, WritingHead)
    seen: list[torch.Tensor] = []
    handle = head.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    labels = torch.tensor([[7, 8, 9, END], [5, END, -1, -1]])
    head.logits(torch.zeros(2, 1, head.decoder.width), None, labels)
    handle.remove()
    assert seen[0].tolist() == [[head.ends.start, 7, 8, 9], [head.ends.start, 5, END, 0]]


def test_padding_of_inputs_and_labels_changes_no_loss() -> None:
    network, target = learner().network.eval(), learner().target
    inputs, labels = learner().take(np.arange(4)), learner().labels[:4]
    wide = {"de": torch.cat([inputs["de"], torch.zeros(4, 9, dtype=torch.int64)], 1)}
    more = torch.cat([labels, torch.full((4, 5), -1)], 1)
    plain = target.losses(network(inputs), labels, 0.1)
    torch.testing.assert_close(plain, target.losses(network(wide), more, 0.1))
    for row in range(4):
        alone = {"de": inputs["de"][[row]]}
        torch.testing.assert_close(target.losses(network(alone), labels[[row]], 0.1)[0], plain[row])


def test_the_loss_is_the_mean_over_tokens_by_the_weights_of_rows() -> None:
    network, target = learner().network.eval(), learner().target
    outputs, labels = network(learner().take(np.arange(4))), learner().labels[:4]
    assert isinstance(outputs, Writing)
    lengths = torch.from_numpy(target.lengths(labels.numpy()))
    by_row = target.losses(outputs, labels) * lengths
    torch.testing.assert_close(target.loss(outputs, labels), by_row.sum() / lengths.sum())
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5])
    torch.testing.assert_close(target.loss(outputs, labels, weights), (weights * by_row).sum() / lengths.sum())
    right = outputs.logits(labels)[:, :, :].log_softmax(-1).gather(2, labels.clamp_min(0)[:, :, None])[:, :, 0]
    torch.testing.assert_close(target.losses(outputs, labels), -(right * (labels >= 0)).sum(1) / lengths)


def test_embeddings_are_one_and_stay_one(tmp_path: Path) -> None:
    def tied(network: Any) -> bool:
        return network.head.decoder.embedding.weight is network.parts[0].embedding.weight

    trained = model()
    assert tied(trained.network), "after training, copying and averaging"
    assert tied(copy.deepcopy(trained.network))
    loaded = mw.load(trained.save(tmp_path / "model"))
    assert tied(loaded.network)
    groups = [id(parameter) for group in loaded.network.layer_groups() for parameter in group]
    assert len(groups) == len(set(groups)) == len(list(loaded.network.parameters()))


# --- learning ---


def test_it_learns_to_translate_and_says_so_in_all_metrics() -> None:
    scores = model().evaluate(translation())
    assert scores["bleu"] > 50
    assert scores["chrf"] > 50
    assert scores["word_error_rate"] < 0.4
    assert scores["rouge_l"] > 0.7


def test_what_is_written_is_the_same_from_a_saved_model_alone_and_together(tmp_path: Path) -> None:
    test = translation().test
    written = model().predict(test)
    assert all(isinstance(text, str) for text in written)
    assert mw.load(model().save(tmp_path / "model")).predict(test).tolist() == written.tolist()
    alone = [model().predict(test.select(np.array([row])))[0] for row in range(8)]
    assert alone == written[:8].tolist()
    confidences = model().confidences(test)
    assert ((confidences > 0) & (confidences < 1)).all()


def test_a_beam_is_asked_for_and_saved(tmp_path: Path) -> None:
    test = translation().test
    wide = model().searching(4, length_penalty=0.6)
    assert (wide.confidences(test) >= model().confidences(test) - 1e-6).mean() > 0.8
    loaded: Any = mw.load(wide.save(tmp_path / "model"))
    assert (loaded.target.beams, loaded.target.length_penalty) == (4, 0.6)
    with pytest.raises(ModelError, match="beams must be from 1 to 64"):
        model().searching(0)


def test_each_row_says_what_it_adds_to_the_score() -> None:
    evaluation = model().evaluate_rows(translation(), "bleu")
    values = evaluation.rows
    assert values is not None
    assert float(np.nanmean(values)) == pytest.approx(evaluation.scores["bleu"])
    assert np.nanstd(values) > 0


def test_fine_tuning_goes_on_with_the_tokens_that_the_network_knows() -> None:
    more = mw.read(pairs(64, seed=5), label="en")
    tuned: Any = mw.FineTune().fit(more, model(), budget="2 steps", seed=0)
    assert tuned.target.tokenizer_json == model().structured_target.to_json()["tokenizer"]
    assert tuned.evaluate(translation())["bleu"] > 40


def test_texts_are_written_to_a_file_a_line_each(tmp_path: Path) -> None:
    test = translation().test
    labels = model().predict(test)
    labels[0] = "two\nlines"
    model().structured_target.write(test, labels, tmp_path / "out.txt")
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines == ["two lines", *labels[1:]]
    row = test.select(np.array([0]))
    target = model().structured_target
    example = target.example(row, target.encode(row, hidden=True)[0], target.encode(row, hidden=True)[0])
    assert example == {"sources": {"de": row.take("de")[0]}, "truth": row.take("en")[0], "predicted": row.take("en")[0]}


# --- other inputs ---


def test_pictures_numbers_and_texts_are_read_together() -> None:
    rows = pairs(48)
    images = np.random.default_rng(0).integers(0, 255, (48, 3, 12, 12), dtype=np.uint8)
    data = mw.read({**rows, "image": images, "amount": np.linspace(0, 1, 48)}, label="en")
    made: Any = Supervised(size=0.34, batch_size=8).fit(data, budget="3 steps", seed=0)
    head = made.network.head
    assert set(head.inputs) == {"de", "image", "table"}
    assert list(head.tied) == ["de"]
    assert set(head.places) == {"image", "table"}
    assert len(made.predict(data)) == 48
    captions: Any = Supervised(batch_size=8).fit(data.with_inputs(["image"]), budget="3 steps", seed=0)
    assert captions.network.head.tied == ()
    assert captions.evaluate(data)["character_error_rate"] > 0


def test_views_leave_texts_as_they_are() -> None:
    drawn = [learner().see(view, np.arange(8), torch.Generator().manual_seed(0)) for view in ("strong", None)]
    assert torch.equal(drawn[0]["inputs"]["de"], drawn[1]["inputs"]["de"])


def test_a_few_rows_of_multi30k(real_data: Callable[[str], Path]) -> None:
    folder = real_data("multi30k")
    data = mw.read(folder / "val.de.gz", label="en", test=folder / "test_2016_flickr.de.gz")
    few = data.select(np.concatenate([np.arange(200), len(data) - 1 - np.arange(20)]))
    made = Supervised(size=0.34, batch_size=32).fit(few, budget="12 steps", seed=0)
    scores = made.evaluate(few)
    assert 0 < scores["chrf"] < 60
    assert scores["bleu"] < 20
