"""Linear chains against all paths, one by one."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.data.sentences import is_bio, repaired
from manyways.data.targets._chain import (
    Chain,
    best_paths,
    legal_chain,
    log_marginals,
    log_partition,
    negative_log_likelihood,
    path_scores,
)

TAGS, LENGTHS = 3, (4, 1, 3)


@pytest.fixture
def parts() -> tuple[Tensor, Tensor, Chain]:
    torch.manual_seed(0)
    logits = torch.randn(len(LENGTHS), max(LENGTHS), TAGS, dtype=torch.float64)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    chain = Chain(*(torch.randn(*shape, dtype=torch.float64) for shape in ((TAGS,), (TAGS, TAGS), (TAGS,))))
    return logits, mask, chain


def all_paths(logits: Tensor, chain: Chain, length: int) -> dict[tuple[int, ...], float]:
    scores = {}
    for path in itertools.product(range(TAGS), repeat=length):
        steps = sum(float(chain.step[a, b]) for a, b in itertools.pairwise(path))
        words = sum(float(logits[at, tag]) for at, tag in enumerate(path))
        scores[path] = float(chain.start[path[0]]) + words + steps + float(chain.end[path[-1]])
    return scores


def log_sum(values: list[float]) -> float:
    return float(np.logaddexp.reduce(values))


def test_partition_paths_and_marginals_are_those_of_all_paths(parts: tuple[Tensor, Tensor, Chain]) -> None:
    logits, _, chain = parts
    partition, (best, score) = log_partition(*parts), best_paths(*parts)
    marginals = log_marginals(*parts)
    for row, length in enumerate(LENGTHS):
        scores = all_paths(logits[row], chain, length)
        assert float(partition[row]) == pytest.approx(log_sum(list(scores.values())))
        path = max(scores, key=lambda each: scores[each])
        assert tuple(best[row, :length].tolist()) == path
        assert best[row, length:].eq(0).all()
        assert float(score[row]) == pytest.approx(scores[path])
        for at, tag in itertools.product(range(length), range(TAGS)):
            through = log_sum([value for each, value in scores.items() if each[at] == tag])
            assert float(marginals[row, at, tag]) == pytest.approx(through - float(partition[row]))


def test_the_likelihood_of_known_tags_sums_over_unknown_ones(parts: tuple[Tensor, Tensor, Chain]) -> None:
    logits, mask, chain = parts
    codes = torch.tensor([[2, 0, 1, 2], [1, -1, -1, -1], [0, 2, 2, -1]])
    loss = negative_log_likelihood(logits, codes, mask, chain)
    torch.testing.assert_close(loss, log_partition(*parts) - path_scores(logits, codes, mask, chain))
    partly = codes.clone()
    partly[0, 1:3] = -1
    for row, length in enumerate(LENGTHS):
        scores = all_paths(logits[row], chain, length)
        fits = [
            v for p, v in scores.items() if all(k in (-1, t) for k, t in zip(partly[row].tolist(), p, strict=False))
        ]
        expected = log_sum(list(scores.values())) - log_sum(fits)
        assert float(negative_log_likelihood(logits, partly, mask, chain)[row]) == pytest.approx(expected)


def test_padding_changes_nothing(parts: tuple[Tensor, Tensor, Chain]) -> None:
    logits, mask, chain = parts
    wide, there = torch.cat([logits, 9 * torch.ones_like(logits)], 1), torch.cat([mask, mask & False], 1)
    torch.testing.assert_close(log_partition(wide, there, chain), log_partition(*parts))
    torch.testing.assert_close(log_marginals(wide, there, chain)[:, :4][mask], log_marginals(*parts)[mask])
    assert torch.equal(best_paths(wide, there, chain)[0][:, :4], best_paths(*parts)[0])


def test_the_gradient_is_observed_minus_expected(parts: tuple[Tensor, Tensor, Chain]) -> None:
    logits, mask, chain = parts
    logits.requires_grad_()
    codes = torch.tensor([[2, 0, 1, 2], [1, -1, -1, -1], [0, 2, 2, -1]])
    negative_log_likelihood(logits, codes, mask, chain).sum().backward()
    observed = torch.nn.functional.one_hot(codes.clamp_min(0), TAGS) * mask[..., None]
    expected = log_marginals(*parts).exp() * mask[..., None]
    torch.testing.assert_close(logits.grad, (expected - observed).detach())


def test_no_illegal_step_is_taken_however_high_its_score() -> None:
    tags = ["B-X", "B-Y", "I-X", "I-Y", "O"]
    legal = legal_chain(tags)
    assert legal is not None
    chain = Chain(*map(torch.from_numpy, legal), torch.zeros(len(tags)))
    torch.manual_seed(1)
    paths, _ = best_paths(50 * torch.randn(200, 9, len(tags)), torch.ones(200, 9, dtype=torch.bool), chain)
    for path in paths.tolist():
        named = [tags[tag] for tag in path]
        assert repaired(named) == named
    assert legal_chain(["DET", "NOUN"]) is None
    assert is_bio(tags)
