"""Taggers and parsers: they learn, decode, score, save and load; padding and company change nothing."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from checkpoints import tiny_bert
from manyways.data.encoding import InputEncoding
from manyways.data.sentences import fault_of, repaired, split, split_tree
from manyways.data.targets import Target
from manyways.data.targets.tags import TagScores, TagsTarget
from manyways.data.targets.tree import TreeTarget
from manyways.errors import DataError, DataWarning, NeedsError

LEXICON = {
    "DET": ["the", "a"],
    "ADJ": ["old", "small"],
    "NOUN": ["dog", "cat", "tree", "house"],
    "VERB": ["sees", "likes"],
}
HEADS = {"DET": "det", "ADJ": "amod"}
KINDS: Any = {"words": "words"}


def sentence(rng: random.Random) -> tuple[list[str], list[str], list[str]]:
    """Words, tags, and a tree of a small language: noun phrases around a verb."""
    tags: list[str] = []
    arcs: list[tuple[int, str]] = []
    phrases = []
    for _ in range(2):
        phrase = ["DET", *["ADJ"] * rng.randrange(3), "NOUN"]
        phrases.append(phrase)
    verb = len(phrases[0]) + 1
    for number, phrase in enumerate(phrases):
        start = len(tags)
        noun = start + len(phrase)
        arcs += [(noun, HEADS[tag]) for tag in phrase[:-1]] + [(verb, ("nsubj", "obj")[number])]
        tags += phrase
        if not number:
            tags.append("VERB")
            arcs.append((0, "root"))
    return [rng.choice(LEXICON[tag]) for tag in tags], tags, [f"{head}:{relation}" for head, relation in arcs]


def corpus(rows: int = 120, seed: int = 0) -> dict[str, list[Any]]:
    rng = random.Random(seed)
    parts = [sentence(rng) for _ in range(rows)]
    spans = [["B-NP" if tag == "DET" else "O" if tag == "VERB" else "I-NP" for tag in tags] for _, tags, _ in parts]
    return {
        "words": [words for words, _, _ in parts], "pos": [tags for _, tags, _ in parts], "spans": spans,
        "tree": [tree for _, _, tree in parts],
    }  # fmt: skip


def read(label: str, **more: Any) -> mw.Data:
    columns = {name: values for name, values in corpus(**more).items() if name in ("words", label)}
    return mw.read(columns, label=label, kinds={**KINDS, label: "tree" if label == "tree" else "tags"}).with_test(0.25)


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[mw.Data, Any]]:
    method = mw.Supervised(batch_size=16, size=0.2, learning_rate=1e-2)
    data = {label: read(label) for label in ("pos", "spans", "tree")}
    return {label: (each, method.fit(each, budget="60 steps", seed=0)) for label, each in data.items()}


@pytest.mark.parametrize(
    ("label", "metric", "least"), [("pos", "token_accuracy", 0.98), ("spans", "span_f1", 0.9), ("tree", "las", 0.85)]
)
def test_each_kind_is_learned_saved_and_loaded(
    models: dict[str, tuple[mw.Data, Any]], tmp_path: Path, label: str, metric: str, least: float
) -> None:
    data, model = models[label]
    scores = model.evaluate(data.test)
    assert scores[metric] > least
    model.save(tmp_path / "model")
    again = mw.load(tmp_path / "model")
    assert [*again.predict(data.test)] == [*model.predict(data.test)]
    assert again.evaluate(data.test) == scores


def test_predictions_are_lists_that_are_read_again(models: dict[str, tuple[mw.Data, Any]]) -> None:
    for label, kind in (("pos", "tags"), ("tree", "tree")):
        data, model = models[label]
        predicted = [*model.predict(data.test)]
        assert all(isinstance(each, list) for each in predicted)
        again = mw.read(
            {"words": data.test.take("words").tolist(), label: predicted},
            label=label,
            kinds={"words": "words", label: kind},
        )
        assert model.evaluate(again)[model.target.metrics[0]] == 1


def test_spans_are_legal_and_trees_are_trees_from_the_first_step() -> None:
    spans, tree = read("spans"), read("tree")
    method = mw.Supervised(batch_size=8, size=0.1)
    for tags in method.fit(spans, budget="1 steps").predict(spans.test):
        assert repaired(tags) == tags
    for arcs in method.fit(tree, budget="1 steps").predict(tree.test):
        heads, _ = split_tree("\t".join(arcs))
        assert fault_of(heads) is None


def test_padding_and_company_change_nothing(models: dict[str, tuple[mw.Data, Any]]) -> None:
    for label, (data, model) in models.items():
        network, target = model.network.eval(), model.target
        rows = model.inputs.encode(data.test)
        lengths = (rows.batch(np.arange(len(rows)))["words"][:, :, 0] > 0).sum(1)
        few = [int(lengths.argmin()), int(lengths.argmax())]
        with torch.no_grad():
            both, alone = network(rows.batch(np.array(few))), network(rows.batch(np.array(few[:1])))
        short = int(lengths.min())
        first, second = ((each.logits if label != "tree" else each.arcs) for each in (both, alone))
        torch.testing.assert_close(first[:1, :short, : second.shape[2]], second[:, :short], rtol=1e-4, atol=1e-5)
        assert target.predictions(both)[0].code.tolist() == target.predictions(alone)[0].code.tolist()


def test_the_loss_of_a_batch_is_the_mean_over_its_words(models: dict[str, tuple[mw.Data, Any]]) -> None:
    for data, model in models.values():
        target, rows = model.target, model.inputs.encode(data.test)
        inputs, labels = rows.batch(np.arange(6)), torch.from_numpy(target.encode(data.test, hidden=True)[:6])
        with torch.no_grad():
            outputs = model.network.eval()(inputs)
        counts = (inputs["words"][:, :, 0] > 0).sum(1)
        each = target.losses(outputs, labels)
        torch.testing.assert_close(target.loss(outputs, labels), (each * counts).sum() / counts.sum())
        weights = torch.tensor([0.0, 1, 2, 0, 1, 0])
        expected = (weights * each * counts).sum() / counts.sum()
        torch.testing.assert_close(target.loss(outputs, labels, weights), expected)
        hidden = labels.clone()
        hidden[0] = -1
        assert target.known(hidden).tolist() == [False, True, True, True, True, True]
        assert float(target.losses(outputs, hidden)[0].detach()) == 0


def test_tags_that_only_test_rows_have_are_refused_by_name() -> None:
    rows = corpus(40)
    rows["pos"][-1] = ["X"] * len(rows["pos"][-1])
    data = mw.read(
        {"words": rows["words"], "pos": rows["pos"], "part": ["train"] * 39 + ["test"]}, label="pos", part="part",
        kinds={"words": "words", "pos": "tags"},
    )  # fmt: skip
    model = mw.Supervised(batch_size=8, size=0.1).fit(data, budget="1 steps")
    with pytest.raises(DataError, match="'X' in 'pos', a class that no training row has"):
        model.evaluate(data.test)


def test_one_tag_and_inputs_without_words_are_refused() -> None:
    rows = corpus(12)
    same = mw.read(
        {"words": rows["words"], "pos": [["X"] * len(words) for words in rows["words"]]}, label="pos",
        kinds={"words": "words", "pos": "tags"},
    )  # fmt: skip
    with pytest.raises(DataError, match="have the tag 'X'; two tags"):
        mw.Supervised().fit(same, budget="1 steps")
    numbers = mw.read(
        {"x": [0.5, 1.5, 2.5, 3.5], "pos": [["A"], ["B"], ["A"], ["B"]]}, label="pos", kinds={"pos": "tags"}
    )
    with pytest.raises(DataError, match="Tags need one input of words"):
        mw.Supervised().fit(numbers, budget="1 steps")


def test_methods_of_frozen_features_refuse_words_by_name() -> None:
    with pytest.raises(NeedsError, match="have none of their own"):
        mw.LinearProbe(backbone="auto").fit(read("pos"), budget="1 steps")


def test_half_supervised_and_distilled_taggers_learn() -> None:
    data = read("pos", rows=160).with_labels(12)
    quick: Any = {"batch_size": 8, "size": 0.2, "learning_rate": 1e-2}
    for method in (mw.MeanTeacher(**quick), mw.FixMatch(**quick, threshold=0.7)):
        assert method.fit(data, budget="40 steps", seed=0).evaluate(data.test)["token_accuracy"] > 0.8
    teacher = mw.Supervised(**quick).fit(data, budget="40 steps", seed=0)
    student = mw.Distill(**quick).fit(data, teacher, budget="40 steps", seed=0)
    assert student.evaluate(data.test)["token_accuracy"] > 0.7


def test_words_are_an_input_of_classes_too() -> None:
    rows = corpus(80)
    classes = ["long" if len(words) > 7 else "short" for words in rows["words"]]
    data = mw.read({"words": rows["words"], "label": classes}, kinds=KINDS).with_test(0.25)
    model = mw.Supervised(batch_size=16, size=0.2).fit(data, budget="60 steps", seed=0)
    assert model.evaluate(data.test)["accuracy"] > 0.8


def strict(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> dict[str, float]:
    tags = tuple(sorted({tag for row in [*predicted, *truth] for tag in row}))
    target = TagsTarget("y", 9, tags)
    codes = [np.array([tags.index(tag) for tag in row]) for row in predicted]
    true = np.full((len(truth), 9), -1)
    for row, each in enumerate(truth):
        true[row, : len(each)] = [tags.index(tag) for tag in each]
    sums = target.statistics(codes, true, read("pos", rows=8))
    return {name: float(value) for name, value in target.scores_of(sums.sum(0)).items()}


def test_span_scores_are_seqevals() -> None:
    truth = [["B-X", "I-X", "O", "B-Y"], ["O", "B-X", "B-X"], ["O", "O"]]
    predicted = [["B-X", "I-X", "O", "B-X"], ["O", "B-X", "I-X"], ["B-Y", "O"]]
    scores = strict(predicted, truth)
    # seqeval 1.2.2, mode "strict", scheme IOB2: one of four predicted spans and of four true ones is right.
    assert scores == pytest.approx(
        {"span_f1": 0.25, "span_precision": 0.25, "span_recall": 0.25, "token_accuracy": 6 / 9}
    )
    assert strict(truth, truth)["span_f1"] == 1


def test_attachment_scores_count_every_word() -> None:
    target = TreeTarget("y", 4, ("a", "b"))
    truth = np.array([[[0, 0], [1, 1], [1, 1]], [[0, 0], [-1, -1], [-1, -1]]])
    predicted = [np.array([[0, 0], [1, 0], [2, 1]]), np.array([[0, 1]])]
    sums = target.statistics(predicted, truth, read("pos", rows=8))
    assert sums.tolist() == [[1, 2, 3], [0, 1, 1]]
    assert target.scores_of(sums.sum(0)) == {"las": 0.25, "uas": 0.75}


def test_confidence_is_the_geometric_mean_over_words() -> None:
    target = TagsTarget("y", 2, ("A", "B"))
    logits = torch.tensor([[[0.9, 0.1], [0.4, 0.6]], [[0.2, 0.8], [0.0, 1.0]]]).log()
    mask = torch.tensor([[True, True], [True, False]])
    first, second = target.predictions(TagScores(logits, mask))
    assert first.code.tolist() == [0, 1]
    assert first.confidence == pytest.approx((0.9 * 0.6) ** 0.5, abs=1e-4)
    assert (second.code.tolist(), second.confidence) == ([1], pytest.approx(0.8, abs=1e-4))


def test_predictions_are_written_as_columns(models: dict[str, tuple[mw.Data, Any]], tmp_path: Path) -> None:
    for label, name in (("spans", "t.conll"), ("tree", "t.conllu")):
        data, model = models[label]
        model.target.write(data.test, model.predict(data.test), tmp_path / name)
        again = mw.read(tmp_path / name)
        assert again.take("words").tolist() == data.test.take("words").tolist()
        columns = {"words": again.take("words").tolist(), label: again.take(again.label.name).tolist()}
        known = mw.read(columns, label=label, kinds={"words": "words", label: again.label.kind})
        assert model.evaluate(known)[model.target.metrics[0 if label == "tree" else 1]] == 1


def test_a_checkpoint_reads_words_by_their_first_sub_words(tmp_path: Path) -> None:
    data = read("pos", rows=40)
    folder = tiny_bert(
        tmp_path / "bert", ["the", "a", "old", "small", "dog", "cat", "tr", "##ee", "house", "see", "##s"]
    )
    model = mw.Supervised(backbone=str(folder), batch_size=8).fit(data, budget="2 steps", seed=0)
    encoder = model.inputs.encoders["words"]
    spec = encoder.spec
    part = model.network.parts[0].eval()
    rows = model.inputs.encode(data.test)
    batch = rows.batch(np.arange(3))["words"]
    words = split(str(data.test.take("words")[0]))
    ids = [encoder.tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    line = [*spec.before, *(token for each in ids for token in each), *spec.after]
    firsts = np.cumsum([len(spec.before), *map(len, ids)])[:-1]
    with torch.no_grad():
        whole = part.encoder.body(input_ids=torch.tensor([line])).last_hidden_state[0, firsts]
        tokens = part.tokens(batch)
    torch.testing.assert_close(tokens.features[0, : len(words), : whole.shape[1]], whole, rtol=1e-4, atol=1e-5)
    before, after = (each.parts[0].encoder.body.get_input_embeddings().weight for each in (
        mw.Supervised(backbone=str(folder), batch_size=8).begin(data, None, 0).network, model.network))  # fmt: skip
    assert torch.equal(before, after)
    model.save(tmp_path / "model")
    assert [*mw.load(tmp_path / "model").predict(data.test)] == [*model.predict(data.test)]


def test_sentences_longer_than_the_checkpoint_reads_are_read_in_pieces_and_said(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert", ["the", "dog"], positions=24)
    long = {"words": [["the", "dog"] * 20, ["the"]], "pos": [["A", "B"] * 20, ["A"]]}
    data = mw.read(long, label="pos", kinds={"words": "words", "pos": "tags"})
    with pytest.warns(DataWarning, match="1 sentence in the column 'words' is longer than the 22 sub-words"):
        predicted = mw.Supervised(backbone=str(folder), batch_size=2).fit(data, budget="1 steps").predict(data)
    assert [len(tags) for tags in predicted] == [40, 1]


def test_an_encoder_gives_known_words_numbers_and_others_their_surface() -> None:
    data = mw.read({"words": ["The dog", "the DOG", "Zyx-9 runs"], "y": ["a", "b", "a"]}, label="y", kinds=KINDS)
    encoding = InputEncoding.fit(data)
    encoded = encoding.encode(data).batch(np.arange(3))["words"]
    assert (encoded[0, :, 0] == encoded[1, :, 0]).all()  # by small letters
    assert encoded[2, :, 0].tolist() == [1, 1]  # seen once: not known
    assert not (encoded[0, 1] == encoded[1, 1]).all()  # but dog is not DOG
    assert encoded[2, 0, 1:].gt(0).sum() > 10
    again = InputEncoding.from_json(encoding.to_json())
    assert (again.encode(data).batch(np.arange(3))["words"] == encoded).all()
    longer = mw.read({"words": ["a b c d e f"]}, label=(), kinds=KINDS)
    assert encoding.encode(longer).batch(np.arange(1))["words"].shape[1] == 6


def test_the_target_is_fitted_again_from_its_json() -> None:
    for label in ("pos", "spans", "tree"):
        target = Target.fit(read(label))
        assert Target.from_json(target.to_json()) == target
