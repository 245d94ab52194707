"""SFT: its loss by hand, answers only, and a model that learns to answer."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.methods.language.sft import SFT
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.randomness import generator


def test_the_loss_is_the_mean_over_all_answer_tokens(sums: Data, reader_of_sums: Model) -> None:
    method = SFT(batch_size=5)
    learner = method.begin(sums, reader_of_sums, 0).eval()
    batch = method.draw(learner, 0, generator(0))
    rows = learner.pick(learner.positions, 5, 0)
    nats: list[float] = []
    for row in rows:
        prompt, (answer,) = learner.groups[row].prompt, learner.groups[row].answers
        ids = torch.tensor([[*prompt, *answer.ids]])
        logits = learner.network(input_ids=ids).logits[0].detach().log_softmax(1)
        nats += [-float(logits[at - 1, ids[0, at]]) for at in range(len(prompt), ids.shape[1])]
    assert len(nats) > 10
    assert method.loss(learner, batch)[0].item() == pytest.approx(np.mean(nats), rel=1e-4)


def test_answers_become_more_probable_and_prompts_need_not(sums: Data, reader_of_sums: Model) -> None:
    before = reader_of_sums.evaluate(sums.test)["nats_per_token"]
    model = SFT(learning_rate=1e-3).fit(sums, reader_of_sums, budget=120)
    assert model.evaluate(sums.test)["nats_per_token"] < before - 0.05
    assert isinstance(model, LanguageModel)
    said = model.generate(["12+34=", "5+5="], longest=8)
    assert all(answer.isdigit() for answer in said)


def test_a_conversation_is_learned_by_heart(reader_of_sums: Model) -> None:
    """Two questions whose answers differ; the model says them after a chat template it never saw."""
    talks = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in (("1+1", "22"), ("2+2", "44"))
    ]
    column = Column("messages", "text", np.array([json.dumps(talk) for talk in talks], object))
    data = Data.from_columns([column], {"messages": ["messages"]})
    model = SFT(learning_rate=3e-3, batch_size=2, too_long="cut").fit(data, reader_of_sums, budget=150)
    assert isinstance(model, LanguageModel)
    assert model.reply([{"role": "user", "content": "1+1"}], longest=4).strip() == "22"
    assert model.reply([{"role": "user", "content": "2+2"}], longest=4).strip() == "44"


def test_it_starts_from_one_place(sums: Data, reader_of_sums: Model, tmp_path: Any) -> None:
    with pytest.raises(NeedsError, match="starts from a model"):
        SFT().fit(sums, budget=1)
    folder = reader_of_sums.save(tmp_path / "base")
    model = SFT(checkpoint=str(folder)).fit(sums, budget=2)
    assert "generate" in model.gives
    with pytest.raises(ParameterError, match="checkpoint must be None"):
        SFT(checkpoint=str(folder)).fit(sums, reader_of_sums, budget=2)


def test_the_start_is_left_as_it_was(sums: Data, reader_of_sums: Model) -> None:
    before = {name: tensor.clone() for name, tensor in reader_of_sums.network.state_dict().items()}
    SFT().fit(sums, reader_of_sums, budget=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in reader_of_sums.network.state_dict().items())


def test_a_checkpoint_with_a_missing_shard_is_refused(sums: Data, reader_of_sums: Any, tmp_path: Any) -> None:
    reader_of_sums.network.save_pretrained(tmp_path, max_shard_size="100KB")
    reader_of_sums.tokenizer.save_pretrained(tmp_path)
    sorted(tmp_path.glob("*.safetensors"))[1].unlink()
    with pytest.raises(ModelError, match=r"lacks 1 of \d+ weight files, the first is model-00002-of-"):
        SFT(checkpoint=str(tmp_path)).fit(sums, budget=1)


# --- several tasks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> Data:
    """Sums as two tasks, of which one has four times as many rows."""
    return SFT.example_data().with_test(0.2)


def drawn_tasks(method: SFT, data: Data, start: Model, steps: int) -> list[str]:
    learner = method.begin(data, start, 0)
    assert learner.tasks is not None
    numbers = [learner.tasks.numbers[method.draw(learner, step, generator(0))["rows"]] for step in range(steps)]
    return [learner.tasks.names[number] for number in np.concatenate(numbers)]


@pytest.mark.parametrize(("mix", "cap"), [("proportional", None), ("equal", None), (3.0, None), ("proportional", 100)])
def test_tasks_are_drawn_by_their_shares(mixed: Data, reader_of_sums: Model, mix: Any, cap: int | None) -> None:
    sizes = {task: mixed.training.take("task").tolist().count(task) for task in ("small", "large")}
    assert sizes["large"] > 3 * sizes["small"]
    counted = {task: min(size, cap or size) for task, size in sizes.items()}
    powers = {task: {"proportional": size, "equal": 1}.get(mix, size ** (1 / 3.0)) for task, size in counted.items()}
    drawn = drawn_tasks(SFT(mix=mix, cap=cap), mixed, reader_of_sums, 256)
    share = powers["small"] / sum(powers.values())
    assert drawn.count("small") / len(drawn) == pytest.approx(share, abs=0.001)


def test_the_lineage_states_the_mixture_and_scores_are_of_each_task(mixed: Data, reader_of_sums: Model) -> None:
    before = reader_of_sums.evaluate(mixed.test)
    model = SFT(mix="equal", learning_rate=1e-3).fit(mixed, reader_of_sums, budget=120)
    stated = model.lineage.facts["mixture"]
    assert {task: facts["share"] for task, facts in stated.items()} == {"small": 0.5, "large": 0.5}
    # Sums above 99 have three digits.
    assert stated["small"]["tokens"] < 0.5 < stated["large"]["tokens"]
    assert sum(facts["tokens"] for facts in stated.values()) == pytest.approx(1, abs=1e-5)
    assert stated["small"]["epochs"] == pytest.approx(120 * 16 / 2 / stated["small"]["rows"], abs=1e-3)
    after = model.evaluate(mixed.test)
    tasks = ["nats_per_token of small", "nats_per_token of large"]
    assert all(after[task] < before[task] for task in tasks), (before, after)
    assert after["mean_nats_per_token"] == pytest.approx(np.mean([after[task] for task in tasks]))
    names = mixed.test.take("task")
    small = model.evaluate(mixed.test.select(names == "small"))
    assert small["nats_per_token"] == pytest.approx(after["nats_per_token of small"], rel=1e-5)


@pytest.mark.parametrize("metric", ["nats_per_token", "mean_nats_per_token", "nats_per_token of small", "perplexity"])
def test_rows_contribute_to_scores_of_tasks(mixed: Data, reader_of_sums: Model, metric: str) -> None:
    evaluation = reader_of_sums.evaluate_rows(mixed.test, metric)
    assert evaluation.rows is not None
    assert len(evaluation.rows) == len(mixed.test)
    assert evaluation.rows.mean() == pytest.approx(evaluation.scores[metric], rel=1e-6)


def test_a_task_of_one_row_and_one_of_the_test_rows_alone(mixed: Data, reader_of_sums: Model) -> None:
    names = mixed.columns["task"].take(np.arange(len(mixed.part))).copy()
    training, test = mixed.training.rows, mixed.test.rows
    names[training] = "known"
    names[training[0]] = "rare"
    names[test] = "unseen"
    column = Column("task", "category", names)
    data = replace(mixed, columns={**mixed.columns, "task": column})
    model = SFT(mix="equal").fit(data, reader_of_sums, budget=4)
    assert model.lineage.facts["mixture"]["rare"] == {
        "rows": 1,
        "share": 0.5,
        "tokens": pytest.approx(0.5, abs=0.2),
        "epochs": 32.0,
    }
    assert "nats_per_token of unseen" in model.evaluate(data.test)


def test_what_is_wrong_with_tasks_is_said(mixed: Data, sums: Data, reader_of_sums: Model) -> None:
    with pytest.raises(
        NeedsError, match=r"mix='equal' is of the rows of several tasks, and no column has the role task"
    ):
        SFT(mix="equal").fit(sums, reader_of_sums, budget=1)
    with pytest.raises(NeedsError, match=r"cap=5 is of the rows"):
        SFT(cap=5).fit(sums, reader_of_sums, budget=1)
    for wrong in (0, -1.0, "even"):
        with pytest.raises(ParameterError, match=r"SFT\.mix must be one of 'proportional', 'equal', or "):
            SFT(mix=wrong)
    names = mixed.columns["task"].take(np.arange(len(mixed.part))).copy()
    names[mixed.training.rows[3]] = None
    data = replace(mixed, columns={**mixed.columns, "task": Column("task", "category", names)})
    with pytest.raises(DataError, match=r"1 of 1,600 training rows of arithmetic have no task in the column 'task'"):
        SFT().fit(data, reader_of_sums, budget=1)
    prompts = mixed.columns["prompt"].take(np.arange(len(mixed.part))).copy()
    small = mixed.columns["task"].take(np.arange(len(mixed.part))) == "small"
    prompts[small] = "1+1=" * 20
    data = replace(mixed, columns={**mixed.columns, "prompt": Column("prompt", "text", prompts)})
    with pytest.raises(DataError, match="All rows of the task 'small' of arithmetic are longer than"):
        SFT(too_long="skip").fit(data, reader_of_sums, budget=1)
    halves = np.where(np.arange(len(small)) % 2 == 0, "even", "odd").astype(object)
    halved = replace(data, columns={**data.columns, "task": Column("task", "category", halves)})
    kept = SFT(too_long="skip", mix="equal").begin(halved, reader_of_sums, 0)
    assert kept.tasks is not None
    assert len(kept.groups) == len(kept.tasks.numbers) < len(data.training)
