"""Scores of answers: in the order asked, at the token that transformers reads, and what is made of them."""

from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import ModelError
from manyways.models.language import scoring
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.judgements import desirable, judged
from manyways.models.language.packing import Answer, Group, pack
from manyways.models.language.scoring import (
    answer_scores,
    mean_log_probabilities,
    of_each_answer,
    scored,
    scores_of_judged,
    scores_of_pairs,
    with_scalar_head,
)

pytestmark = pytest.mark.quick

GROUPS = [
    Group([5, 6], [Answer([7]), Answer([8, 9, 10])]),
    Group([5] * 9, [Answer([11, 12])]),
    Group([9], [Answer([5]), Answer([6, 7]), Answer([8] * 6)]),
]


@pytest.mark.parametrize("most", [8192, 12, 1])
def test_answers_are_valued_in_the_order_they_are_asked(
    causal: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few fit into a batch, and although long groups go first."""
    monkeypatch.setattr(scoring, "TOKENS_AT_ONCE", most)
    found = of_each_answer(causal, GROUPS, 0, answer_log_probabilities)
    with torch.no_grad():
        expected = [
            float(answer_log_probabilities(causal, pack([Group(group.prompt, [answer])], 0)))
            for group in GROUPS
            for answer in group.answers
        ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert not found.requires_grad


def test_the_mean_is_per_token(causal: Any) -> None:
    batch = pack(GROUPS, 0)
    with torch.no_grad():
        sums, means = answer_log_probabilities(causal, batch), mean_log_probabilities(causal, batch)
    torch.testing.assert_close(means * torch.tensor([1, 3, 2, 1, 2, 6]), sums)


def test_a_scalar_head_reads_the_last_token_that_is_no_padding(causal: Any) -> None:
    """As the classifier of transformers does, which is given one sequence at a time here, and padding behind it."""
    torch.manual_seed(0)
    network = with_scalar_head(causal, 0)
    groups = [*GROUPS, Group([5, 6], [Answer([7, 8, 0])]), Group([5, 6], [Answer([0])])]
    found = of_each_answer(network, scored(groups, 0), 0, answer_scores)
    expected = []
    for group in groups:
        for answer in group.answers:
            ids = torch.tensor([[*group.prompt, *answer.ids, 0, 0]])
            with torch.no_grad():
                expected.append(float(network(input_ids=ids).logits))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert len(set(np.round(expected, 5))) > 5


def test_the_body_is_shared_and_the_model_is_left_as_it_is(causal: Any) -> None:
    before = causal.config.to_dict()
    network = with_scalar_head(causal, 3)
    assert network.base_model is causal.base_model
    assert (network.config.num_labels, network.config.pad_token_id) == (1, 3)
    assert not any(parameter.is_meta for parameter in network.parameters())
    assert causal.config.to_dict() == before


def test_an_architecture_that_does_not_read_its_last_token_is_refused() -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=50, is_decoder=True)
    with pytest.raises(
        ModelError, match="no sequence classifier for the architecture 'bert' that reads its last token"
    ):
        with_scalar_head(BertLMHeadModel(config), 0)


def test_pairs_and_judged_answers() -> None:
    values = torch.tensor([3.0, 1.0, 2.0, 2.5, 0.0, 0.0])
    assert scores_of_pairs(values) == {"preference_accuracy": pytest.approx(1 / 3), "margin": pytest.approx(0.5)}
    good = np.array([True, False, True, False, False, True])
    # Of 9 pairs the desirable 3 wins all three, 2 wins two, and 0 ties with one.
    found = scores_of_judged(values, good)
    assert found["preference_accuracy"] == pytest.approx(5.5 / 9)
    assert found["margin"] == pytest.approx(5 / 3 - 3.5 / 3)
    assert np.isnan(scores_of_judged(values, np.ones(6, bool))["preference_accuracy"])


def rows(labels: list[Any], **more: list[str]) -> Data:
    columns = [Column(name, "text", np.array(values, object)) for name, values in more.items()]
    columns.append(Column("label", "category", np.array(labels)))
    return Data.from_columns(columns, {column.name: [column.name] for column in columns})


@pytest.mark.parametrize("labels", [[True, False], [1, 0], ["True", "false"], [1.0, 0.0], ["1", "0"]])
def test_what_a_judgement_is(labels: list[Any]) -> None:
    data = rows(labels, prompt=["a", "b"], completion=["c", "d"])
    assert desirable(data).tolist() == [True, False]  # type: ignore[union-attr]
    found = judged(data.hide(np.array([0])))
    assert found is not None
    assert (len(found[0]), found[1].tolist()) == (1, [False])


def test_what_no_judgement_is() -> None:
    assert desirable(rows(["yes", "no"])) is None
    assert desirable(rows([2, 0])) is None
    assert judged(rows([True, False], prompt=["a", "b"])) is None
