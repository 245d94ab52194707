"""The decoder: what depends on what, its cache, and the searches over it."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.models.sequences.decoder import ROOM, Decoder
from manyways.models.sequences.loss import token_losses
from manyways.models.sequences.search import Ends, beam, greedy, search

pytestmark = pytest.mark.quick

WIDTH, WORDS = 16, 11
ENDS = Ends(start=3, end=4, never=(0, 1, 2, 3))


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(0)
    made = Decoder(WORDS, WIDTH, depth=2, heads=2, hidden=24, dropout=0.3).eval()
    with torch.no_grad():
        made.embedding.weight *= 3  # so that tokens differ in their probabilities
    return made


@pytest.fixture
def memory() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    return torch.randn(3, 5, WIDTH, generator=generator), mask


def test_a_position_sees_itself_and_those_before_it(decoder: Decoder, memory: tuple[Tensor, Tensor]) -> None:
    ids = torch.tensor([[3, 5, 6, 7]] * 3)
    other = ids.clone()
    other[:, 2] = 9
    one, two = decoder(ids, *memory), decoder(other, *memory)
    torch.testing.assert_close(one[:, :2], two[:, :2])
    assert not torch.allclose(one[:, 2:], two[:, 2:])


def test_what_is_masked_in_the_memory_changes_nothing(decoder: Decoder, memory: tuple[Tensor, Tensor]) -> None:
    ids, (features, mask) = torch.tensor([[3, 5, 6]] * 3), memory
    noisy = torch.where(mask[:, :, None], features, 100.0)
    torch.testing.assert_close(decoder(ids, features, mask), decoder(ids, noisy, mask), rtol=0, atol=0)
    alone = decoder(ids[2:], features[2:, :1], None)
    torch.testing.assert_close(decoder(ids, features, mask)[2:], alone)


def test_steps_with_a_cache_give_the_logits_of_all_positions_at_once(
    decoder: Decoder, memory: tuple[Tensor, Tensor]
) -> None:
    ids = torch.randint(3, WORDS, (3, ROOM + 3), generator=torch.Generator().manual_seed(2))
    whole = decoder.logits(decoder(ids, *memory))
    state = decoder.begin(*memory)
    steps = [decoder.step(ids[:, [place]], state)[:, 0] for place in range(ids.shape[1])]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole)


def test_one_beam_is_the_greedy_search(decoder: Decoder, memory: tuple[Tensor, Tensor]) -> None:
    one, other = greedy(decoder, *memory, ENDS, 12), beam(decoder, *memory, ENDS, 12, 1, 1.0)
    assert [row.tolist() for row in one.tokens] == [row.tolist() for row in other.tokens]
    np.testing.assert_allclose(one.log_probs, other.log_probs, rtol=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
def test_rows_are_searched_together_as_they_are_one_by_one(
    decoder: Decoder, memory: tuple[Tensor, Tensor], beams: int
) -> None:
    features, mask = memory
    together = search(decoder, features, mask, ENDS, 12, beams)
    for row in range(3):
        alone = search(decoder, features[[row]], mask[[row]], ENDS, 12, beams)
        assert alone.tokens[0].tolist() == together.tokens[row].tolist()
        assert alone.log_probs[0] == pytest.approx(together.log_probs[row], rel=1e-4)


@torch.no_grad()
def log_prob(decoder: Decoder, memory: Tensor, tokens: list[int], ended: bool) -> float:
    """The log-probability of tokens, and the end behind them, by the plain forward pass."""
    sequence = [*tokens, ENDS.end] if ended else tokens
    logits = decoder.logits(decoder(torch.tensor([[ENDS.start, *sequence[:-1]]]), memory, None))[0].double()
    logits[:, list(ENDS.never)] = -torch.inf
    return float(logits.log_softmax(1)[torch.arange(len(sequence)), sequence].sum())


def test_a_wide_beam_finds_the_best_of_all_sequences(decoder: Decoder, memory: tuple[Tensor, Tensor]) -> None:
    features, longest = memory[0][:1], 3
    words = [word for word in range(WORDS) if word not in (*ENDS.never, ENDS.end)]
    short = [list(each) for length in range(longest) for each in itertools.product(words, repeat=length)]
    scores = {tuple(each): log_prob(decoder, features, each, True) / (len(each) + 1) for each in short}
    cut = [list(each) for each in itertools.product(words, repeat=longest)]
    scores |= {tuple(each): log_prob(decoder, features, each, False) / longest for each in cut}
    best = max(scores, key=lambda each: scores[each])
    found = beam(decoder, features, None, ENDS, longest, 60, 1.0)
    assert tuple(found.tokens[0].tolist()) == best
    assert found.log_probs[0] == pytest.approx(scores[best], rel=1e-4)


def test_a_beam_finds_no_worse_than_greed_and_short_ones_without_a_penalty(
    decoder: Decoder, memory: tuple[Tensor, Tensor]
) -> None:
    with torch.no_grad():
        decoder.output_bias[ENDS.end] = 2.0
    features, mask = memory
    greed = greedy(decoder, features, mask, ENDS, 12)
    wide = beam(decoder, features, mask, ENDS, 12, 5, 1.0)
    assert (wide.log_probs >= greed.log_probs - 1e-6).all()
    plain, long = (beam(decoder, features, mask, ENDS, 12, 5, penalty) for penalty in (0.0, 3.0))
    assert sum(map(len, plain.tokens)) < sum(map(len, long.tokens))


def test_special_tokens_are_never_written(decoder: Decoder, memory: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        decoder.output_bias[list(ENDS.never)] = 50.0
    for found in (greedy(decoder, *memory, ENDS, 6), beam(decoder, *memory, ENDS, 6, 3, 1.0)):
        assert not {*ENDS.never, ENDS.end} & {token for row in found.tokens for token in row.tolist()}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_tokens_is_the_cross_entropy_with_its_gradients(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(3)
    parts = [torch.randn(size, generator=generator, dtype=torch.float64) for size in ((7, 5), (9, 5), (9,))]
    tokens = torch.randint(9, (7,), generator=generator)
    scale = torch.rand(7, generator=generator, dtype=torch.float64)
    gradients = []
    for by_hand in (False, True):
        hidden, weight, bias = (part.clone().requires_grad_() for part in parts)
        if by_hand:
            logits = hidden @ weight.T + bias
            losses = cross_entropy(logits, tokens, reduction="none", label_smoothing=smoothing)
        else:
            losses = token_losses(hidden, weight, bias, tokens, smoothing).double()
        (losses * scale).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([losses.detach(), hidden.grad, weight.grad, bias.grad])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_dropout_is_shared_by_the_positions_of_a_row(decoder: Decoder) -> None:
    torch.manual_seed(0)
    dropped = decoder.dropout.train()(torch.ones(4, 6, WIDTH))
    assert (dropped == dropped[:, :1]).all()
    assert 0 < float((dropped == 0).float().mean()) < 1
    assert (decoder.dropout.eval()(torch.ones(1, 2, 3)) == 1).all()
