"""compare on what language models learn from: pairs, answers, running text, and text with labels."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import manyways as mw
from manyways.comparison.compare import compare
from manyways.comparison.comparison_plan import make_plan
from manyways.comparison.conclusion import START
from manyways.comparison.report import render_report, settings
from manyways.comparison.results import Comparison, Entry, read_results, write_results
from manyways.comparison.shortlist import everything
from manyways.comparison.start import Start, folder_key, open_start
from manyways.comparison.table import render_table
from manyways.comparison.tasks import task_of
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.models.language_model import LanguageModel
from manyways.training.budget import Budget

TINY = "tokenizer='characters', context=32, size=0.2, batch_size=8"
TOPICS = {"sport": ["goal", "team", "score"], "food": ["salt", "oven", "bread"]}


@pytest.fixture(scope="module")
def sums() -> Data:
    """120 sums in all roles of language models."""
    return mw.read("arithmetic").select(np.arange(120))


@pytest.fixture(scope="module")
def pairs(sums: Data) -> Data:
    return with_roles(sums, "prompt", "chosen", "rejected")


@pytest.fixture(scope="module")
def answers(sums: Data) -> Data:
    return with_roles(sums, "prompt", "completion")


@pytest.fixture(scope="module")
def topics() -> Data:
    """120 texts on two topics."""
    rng = np.random.default_rng(0)
    labels = [str(name) for name in rng.choice(sorted(TOPICS), 120)]
    texts = [" ".join(["it", "was", *rng.choice(TOPICS[name], 2), "today"]) for name in labels]
    return mw.read({"text": texts, "label": labels}, kinds={"text": "text"}).with_test(0.25)


@pytest.fixture(scope="module")
def checkpoint(sums: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain folder of transformers with a model that has read some sums."""
    model = mw.Pretrain(tokenizer="characters", context=32, size=0.2).fit(sums, budget=20)
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    assert isinstance(model, LanguageModel)
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def with_roles(data: Data, *roles: str) -> Data:
    return replace(data, roles={role: data.roles[role] for role in roles})


def entry(comparison: Comparison, name: str) -> Entry:
    return next(each for each in comparison.entries if each.name == name)


def printed(comparison: Comparison) -> str:
    out = Console(file=io.StringIO(), width=140)
    out.print(render_table(comparison))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def shown(comparison: Comparison) -> str:
    """The text of the report between its tags."""
    page = render_report(comparison)
    body = page[page.index("<main>") : page.index("</main>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


# --- pairs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_pairs(pairs: Data, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANYWAYS_HOME", str(tmp_path_factory.mktemp("home")))
        methods = ["dpo(learning_rate=0.01)", "dpo(loss_type='ipo')"]
        yield compare(pairs, start=checkpoint, methods=methods, budget="8 steps", seeds=2, workers=0)


def test_pairs_are_ranked_by_which_answer_is_worth_more(of_pairs: Comparison, pairs: Data, checkpoint: Path) -> None:
    assert of_pairs.metric == "preference_accuracy"
    assert of_pairs.higher_is_better
    assert [each.name for each in of_pairs.entries] == [START, "dpo(learning_rate=0.01)", "dpo(loss_type='ipo')"]
    assert all(each.error is None for each in of_pairs.entries)
    scores = mw.load(checkpoint).evaluate(pairs.with_test(0.2).test)
    assert entry(of_pairs, START).score == pytest.approx(scores["preference_accuracy"])
    assert entry(of_pairs, START).metrics == pytest.approx(scores)


def test_the_start_is_one_score_for_every_seed_and_costs_nothing(of_pairs: Comparison) -> None:
    start = entry(of_pairs, START)
    assert start.scores == (start.score, start.score)
    assert (start.seconds, start.steps) == (0.0, 0)
    assert start.parameters
    assert start.title == "Start, untrained"
    assert entry(of_pairs, "dpo(loss_type='ipo')").steps == 8


def test_what_was_compared_is_said(of_pairs: Comparison) -> None:
    data = of_pairs.data
    assert (data.task, data.label, data.labels_shown, data.labels_known, data.classes) == ("pairs", "", 0, 0, None)
    assert (data.rows, data.training_rows, data.test_rows) == (120, 96, 24)
    assert [(column.name, column.kind) for column in data.inputs] == [
        ("prompt", "text"),
        ("chosen", "text"),
        ("rejected", "text"),
    ]
    assert of_pairs.labels is None
    assert of_pairs.label_curve == ()
    assert {(each.labels_equivalent, each.labels_note) for each in of_pairs.entries} == {(None, "")}


def test_the_conclusion_holds_them_against_the_start(of_pairs: Comparison) -> None:
    conclusion = of_pairs.conclusion
    assert conclusion is not None
    said = " ".join((conclusion.title, *conclusion.sentences))
    assert "from 96 pairs" in said or conclusion.recommended == START
    assert "the untrained start" in said or conclusion.recommended == START
    assert "supervision" not in said
    assert any("was chosen on these test rows" in each for each in conclusion.cautions)


def test_the_results_can_be_read_again(of_pairs: Comparison, tmp_path: Path) -> None:
    path = write_results(of_pairs, tmp_path / "results.json")
    assert read_results(path) == of_pairs
    assert json.loads(path.read_text())["schema"] == 2


def test_the_table_has_no_labels_in_it(of_pairs: Comparison) -> None:
    text = printed(of_pairs)
    assert "preference accuracy" in text
    assert re.search(r"Start, untrained +\d+\.\d%", text)
    assert "labels" not in text


def test_the_report_has_no_empty_parts(of_pairs: Comparison) -> None:
    text, page = shown(of_pairs), render_report(of_pairs)
    assert "96 pairs" in text
    assert "Labels worth" not in text
    assert "Label " not in text
    assert re.search(r"Columns prompt text ?, chosen text ?, rejected text", text)
    assert re.findall(r'<figure class="plot[^>]* id="([^"]+)"', page) == ["curves-steps", "curves-seconds", "costs"]
    best = of_pairs.best
    assert best is not None
    if best.mistakes:
        assert "sees the other way round" in text
        assert {mistake.kind for mistake in best.mistakes} == {"text"}
        assert best.mistakes[0].payload.endswith("=")  # type: ignore[union-attr]


def test_settings_of_stages_stand_one_by_one() -> None:
    chain = {"name": "chain", "stages": ({"name": "sft", "lora": 2}, {"name": "dpo"}), "shares": None}
    assert list(settings(chain)) == [
        ("name", "chain"),
        ("stages.1.name", "sft"),
        ("stages.1.lora", 2),
        ("stages.2.name", "dpo"),
        ("shares", None),
    ]


# --- answers and text ----------------------------------------------------------------------------


def test_answers_are_compared_by_the_nats_of_shared_tokens(answers: Data, checkpoint: Path) -> None:
    methods = ["sft(learning_rate=0.01)", "sft(lora=2, learning_rate=0.01)"]
    found = compare(answers, start=checkpoint, methods=methods, budget="20 steps", seeds=1, workers=0)
    assert found.metric == "nats_per_token"
    assert not found.higher_is_better
    assert found.data.task == "answers"
    ranked = [each.name for each in found.ranked()]
    assert ranked[-1] == START, "training is worth something"
    assert found.best is not None
    assert {mistake.truth for mistake in found.best.mistakes} <= set(answers.take("completion"))
    text = shown(found)
    assert "Lower is better" in text
    assert "says something else" in text or not found.best.mistakes


def test_running_text_is_compared_by_its_characters(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("".join(f"The rose number {at} is red, and so on.\n" for at in range(900)))
    methods = [f"pretrain({TINY})", f"pretrain({TINY.replace('characters', 'bytes')})"]
    data = mw.read(tmp_path / "poem.txt")
    found = compare(data, methods=methods, budget="6 steps", seeds=1, workers=0)
    assert found.metric == "nats_per_character"
    assert found.data.task == "text"
    assert found.data.test_rows == round(0.2 * len(data))
    assert all(each.error is None for each in found.entries)
    assert not any("tokenizers" in caution for caution in found.conclusion.cautions)  # type: ignore[union-attr]
    again = compare(data, methods=methods, budget="6 steps", seeds=1, workers=0, metric="nats_per_token")
    assert any("Tokens of different tokenizers" in caution for caution in again.conclusion.cautions)  # type: ignore[union-attr]
    assert found.best is not None
    assert found.best.mistakes == ()
    assert "pieces of text" in shown(found)


def test_judged_answers_are_compared_like_pairs(sums: Data, checkpoint: Path) -> None:
    rows = [(p, c, True) for p, c in zip(sums.take("prompt"), sums.take("chosen"), strict=True)]
    rows += [(p, c, False) for p, c in zip(sums.take("prompt"), sums.take("rejected"), strict=True)]
    judged = mw.read(dict(zip(("prompt", "completion", "label"), map(list, zip(*rows, strict=True)), strict=True)))
    found = compare(judged, start=checkpoint, methods=["kto"], budget="3 steps", seeds=1, workers=0)
    assert found.data.task == "judged"
    assert [each.error for each in found.entries] == [None, None]
    assert found.metric == "preference_accuracy"
    assert not any("any accuracy" in caution for caution in found.conclusion.cautions)  # type: ignore[union-attr]


# --- text with labels ----------------------------------------------------------------------------


def test_texts_with_labels_are_tried_with_masked_language_models(topics: Data) -> None:
    plan = make_plan(topics, "all", None, Budget.of("5 steps"), 1, None, Splitting(), 0)
    assert "masked-lm >> fine-tune" in plan.methods
    assert {"supervised", "linear-probe", "simclr >> fine-tune"} <= plan.methods.keys()
    assert not {"pretrain", "sft", "dpo"} & plan.methods.keys()


def test_a_stage_of_another_kind_is_not_scored_on_the_way(topics: Data) -> None:
    """A masked language model has no accuracy; its stage has no points on the curve, and no say in it."""
    method = "masked_lm(vocabulary=300, context=16, size=0.2) >> fine_tune"
    found = compare(topics, methods=[method], budget="16 steps", seeds=1, workers=0)
    (only,) = found.ways
    assert only.error is None
    assert only.score is not None
    assert {point.step for point in only.curve} <= set(range(9, 17)), "steps of the second stage, after the first's"
    assert len(only.curve) == 8


def test_labels_may_be_compared_from_a_start(topics: Data, tmp_path: Path) -> None:
    reader = mw.MaskedLM(vocabulary=300, context=16, size=0.2).fit(topics, budget=3)
    start = open_start(reader.save(tmp_path / "reader"))
    names = list(map(str, everything(topics, task_of(topics), start)))
    assert {"fine-tune", "supervised", "masked-lm >> fine-tune"} <= set(names)
    found = compare(topics, methods=["fine-tune", "supervised"], start=reader, budget="4 steps", seeds=1, workers=0)
    assert [each.name for each in found.ways] == ["fine-tune", "supervised"], "features alone have no score"
    assert all(each.error is None for each in found.entries)
    again = compare(topics, methods=["supervised"], budget="4 steps", seeds=1, workers=0)
    assert entry(again, "supervised").score == entry(found, "supervised").score, "plain supervision starts from nothing"


# --- the start -----------------------------------------------------------------------------------


def test_what_is_tried_follows_from_the_start(sums: Data, pairs: Data, answers: Data, checkpoint: Path) -> None:
    start = open_start(checkpoint)

    def names(data: Data, start: Start | None) -> list[str]:
        return list(map(str, everything(data, task_of(data), start)))

    assert names(sums, None) == [
        "pretrain",
        *("pretrain >> dpo", "pretrain >> kto", "pretrain >> sft"),
        *("pretrain >> sft >> dpo", "pretrain >> sft >> kto"),
    ]
    assert names(sums, start) == ["dpo", "kto", "pretrain", "sft", "sft >> dpo", "sft >> kto"]
    assert names(pairs, start) == ["dpo", "kto"]
    assert names(pairs, None) == []
    assert names(answers, start) == ["sft"]


def test_worker_processes_open_the_start(answers: Data, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyways.comparison.comparison_plan.os.cpu_count", lambda: 1)
    model = mw.load(checkpoint)
    found = compare(answers, start=model, methods=["sft"], budget="3 steps", seeds=1, workers=1)
    here = compare(answers, start=model, methods=["sft"], budget="3 steps", seeds=1, workers=0, fresh=True)
    assert [each.error for each in found.entries] == [None, None]
    assert [each.score for each in found.entries] == [each.score for each in here.entries]


def test_another_start_is_another_comparison(
    answers: Data, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"methods": ["sft"], "budget": "2 steps", "seeds": 1, "workers": 0}
    first = compare(answers, start=checkpoint, **options)
    with monkeypatch.context() as patch:
        patch.setattr("manyways.comparison.workers.run_job", lambda *_: pytest.fail("trained again"))
        assert compare(answers, start=checkpoint, **options).entries == first.entries
    other = mw.SFT(learning_rate=0.02).fit(answers, mw.load(checkpoint), budget=5).save(tmp_path / "other")
    assert folder_key(other) != folder_key(checkpoint)
    second = compare(answers, start=other, **options)
    assert second.entries[0].score != first.entries[0].score


def test_a_start_that_cannot_be_scored_or_taken_has_its_reason(answers: Data, tmp_path: Path, sums: Data) -> None:
    masked = mw.MaskedLM(tokenizer="characters", context=32, size=0.2).fit(sums, budget=1)
    found = compare(answers, start=masked, methods=["sft"], budget="2 steps", seeds=1, workers=0)
    (only,) = found.entries
    assert "it starts from a model" in (only.error or "")
    with pytest.raises(ModelError, match="no model folder"):
        compare(answers, start=tmp_path / "nowhere", workers=0)


# --- what is refused -----------------------------------------------------------------------------


def test_what_does_not_fit_the_task_is_refused(answers: Data, pairs: Data) -> None:
    with pytest.raises(
        ParameterError, match="metric must be one of nats_per_character, .* for answers; got 'accuracy'"
    ):
        compare(answers, metric="accuracy", workers=0)
    with pytest.raises(ParameterError, match="labels says how many labels are shown, and .* has none to predict"):
        compare(answers, labels=10, workers=0)
    with pytest.raises(DataError, match="nothing to compare by"):
        compare({"prompt": ["a b c", "d e f", "g h i"]}, workers=0)
    with pytest.raises(NeedsError, match="A language model to start from opens more"):
        compare(pairs, workers=0)


def test_a_model_that_is_not_scored_so_is_a_row_with_its_reason(tmp_path: Path) -> None:
    """Beside one that is; alone it is refused before anything is trained."""
    (tmp_path / "a.txt").write_text("The rose is red, and so on.\n" * 900)
    data, methods = mw.read(tmp_path / "a.txt"), [f"masked_lm({TINY})", f"pretrain({TINY})"]
    found = compare(data, methods=methods, budget="2 steps", seeds=1, workers=0)
    errors = {entry.name.partition("(")[0]: entry.error or "" for entry in found.entries}
    assert "is scored by nats_per_token, perplexity, not by nats_per_character" in errors["masked-lm"]
    assert not errors["pretrain"]
    with pytest.raises(NeedsError, match=r"give generate or score can be compared on a \(text\); masked-lm\(.* none"):
        compare(data, methods=methods[:1], budget="2 steps", seeds=1, workers=0)
