"""Packing: what one pass over packed groups says is what a pass over each sequence alone says."""

from typing import Any

import pytest
import torch

from manyways.models.language.forward import answer_log_probabilities, hidden_states, token_log_probabilities
from manyways.models.language.packing import Answer, Group, answer_lengths, pack, per_answer

pytestmark = pytest.mark.quick

GROUPS = [
    Group([5, 6, 7, 8], [Answer([9, 10]), Answer([11, 12, 13])]),
    Group([14, 15], [Answer([16, 17, 18, 19, 20], [True, False, False, True, True])]),
    Group([], [Answer([21, 22, 23])]),
    Group([9], [Answer([5]), Answer([6]), Answer([7, 8])]),
]


def alone(network: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """log p of each answer token, by one pass over prompt and answer."""
    ids = torch.tensor([[*prompt, *answer]])
    logits = network(input_ids=ids).logits[0].float().log_softmax(1)
    first = max(1, len(prompt))
    return logits[torch.arange(first - 1, ids.shape[1] - 1), ids[0, first:]]


def test_each_answer_is_as_probable_as_alone(causal: Any) -> None:
    batch = pack(GROUPS, padding=0)
    with torch.no_grad():
        found = token_log_probabilities(causal, batch)
        sums = answer_log_probabilities(causal, batch)
        at = 0
        for group in GROUPS:
            for answer in group.answers:
                expected = alone(causal, list(group.prompt), list(answer.ids))
                said = list(answer.mask or [True] * len(answer.ids))[len(answer.ids) - len(expected) :]
                expected = expected[torch.tensor(said)]
                mine = found[batch.owners == at]
                torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(sums[at], expected.sum(), rtol=1e-4, atol=1e-5)
                at += 1
        assert at == batch.answers == 7


def test_answers_do_not_see_each_other(causal: Any) -> None:
    """Another second answer changes nothing in the first; another prompt does."""
    with torch.no_grad():
        one = answer_log_probabilities(causal, pack([Group([5, 6], [Answer([7, 8]), Answer([9, 10])])], 0))
        other = answer_log_probabilities(causal, pack([Group([5, 6], [Answer([7, 8]), Answer([20, 21])])], 0))
        prompt = answer_log_probabilities(causal, pack([Group([5, 9], [Answer([7, 8]), Answer([9, 10])])], 0))
    torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-6)
    assert abs(one[1] - other[1]) > 1e-3
    assert abs(one[0] - prompt[0]) > 1e-3


def test_ends_are_the_last_tokens(causal: Any) -> None:
    batch = pack(GROUPS, padding=0)
    assert [int(batch.ids.flatten()[end]) for end in batch.ends] == [10, 13, 20, 23, 5, 6, 8]
    assert hidden_states(causal, batch).shape == (batch.ids.numel(), causal.config.hidden_size)


def test_short_groups_share_a_line() -> None:
    """Lengths 9, 7, 4 and 5 fit into lines of 9: first-fit puts 5 and 4 together."""
    batch = pack(GROUPS, padding=0)
    assert batch.ids.shape == (3, 9)
    assert sorted((batch.segments > 0).sum(1).tolist()) == [7, 8, 9]
    assert answer_lengths(batch).tolist() == [2, 3, 3, 2, 1, 1, 2]
    assert per_answer(torch.arange(14.0), batch).sum() == sum(range(14))


def test_a_full_line_of_one_sequence_needs_no_mask() -> None:
    assert pack([Group([], [Answer([1, 2, 3])]), Group([], [Answer([4, 5, 6])])], 0).mask() is None
    assert pack(GROUPS, 0).mask() is not None


@pytest.mark.parametrize("groups", [[Group([5], [Answer([6])])], [Group([5, 6, 7], [Answer([8]), Answer([9, 10])])]])
def test_gradients_reach_the_prompt(causal: Any, groups: list[Group]) -> None:
    """What the prompt is read as is learned from its answers."""
    causal.zero_grad()
    answer_log_probabilities(causal, pack(groups, 0)).sum().backward()
    seen = causal.get_input_embeddings().weight.grad[list(groups[0].prompt)]
    assert bool((seen.abs().sum(1) > 0).all())
