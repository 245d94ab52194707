"""The check of a network's forward pass when it is opened: are packed sequences read as each of them alone?"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from manyways.errors import ModelError
from manyways.models.language.attention import use_own_attention
from manyways.models.language.forward import body, hidden_states, plain, target_logits
from manyways.models.language.packing import Answer, Group, Packed, pack

TOLERANCE, HALF = 1e-4, 0.005
"""Differences of log p, as a share of 1 + |log p|, that rounding explains: the largest in float32, their mean in half
precision."""
WINDOWS = {"sliding_window": 3, "attention_chunk_size": 4}
"""Members of a config that transformers reads whenever it makes a mask; made as short as this, a probe notices them."""
ATTENDING = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
"""Kinds of layers that look at other tokens by attention alone; others carry a state from token to token."""
SHAPES = ((5, (7, 4)), (3, (6,)), (0, (9,)))
"""Tokens of the prompt and of the answers of each group of the probe."""


def packs(network: Any) -> bool:
    """True if `network`, a causal transformers model, reads sequences that share a line as it reads each alone.

    It is tried once, on random tokens, and remembered; where they differ, each sequence gets a line of its own.
    Raises ModelError, with the architecture, where these are not read as each alone either, or where a token's
    probability depends on what follows it.
    """
    network = plain(network)
    known: bool | None = getattr(network, "_packs", None)
    if known is None:
        use_own_attention(network)
        known = _probed(network)
        network._packs = known
    return known


def shares_cache(network: Any) -> bool:
    """True if several answers of `network` may stand side by side behind the keys and values of one prompt."""
    from manyways.models.language.cache import holds_everything

    return packs(network) and holds_everything(network)


def attends_only(network: Any) -> bool:
    """True if attention alone carries something from token to token, by positions that can be given."""
    kinds = set(getattr(network.config.get_text_config(), "layer_types", None) or ATTENDING)
    stated = inspect.signature(network.forward).parameters
    return not network._is_stateful and kinds <= ATTENDING and "position_ids" in stated


def _probed(network: Any) -> bool:
    # What a method computes in bfloat16 may be asked first: that rounding must not be taken for another answer.
    with evaluating(network), torch.no_grad(), torch.autocast(_device(network).type, enabled=False):
        groups = _random_groups(network)
        _check_finite(network, groups)
        _check_causal(network, groups)
        with short_windows(network):
            alone = [_predicted(network, pack([group], 0, packed=False)) for group in _each_alone(groups)]
            if _may_pack(network) and _agree(network, groups, torch.cat(alone), packed=True):
                return True
            if _agree(network, groups, torch.cat(alone), packed=False) or _agree_in_double(network, groups):
                return False
    raise ModelError(
        f"The architecture {type(network).__name__} reads several sequences side by side otherwise than each alone, so "
        "that no probability of it could be trusted. Take a checkpoint of another architecture."
    )


def _agree(network: Any, groups: Sequence[Group], alone: Tensor, *, packed: bool) -> bool:
    """True if all sequences in one batch give what each gives `alone`."""
    batch = pack(groups, 0, packed).to(_device(network))
    try:
        outputs = hidden_states(network, batch)[batch.sources] if _scores(network) else target_logits(network, batch)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError):
        if packed:  # an architecture that cannot be given a mask
            return False
        raise
    return outputs.shape == alone.shape and _close(network, outputs, alone)


def _agree_in_double(network: Any, groups: Sequence[Group]) -> bool:
    """True if all sequences, each in a line, give what each gives alone but for rounding, which some states amplify."""
    double = copy.deepcopy(network).double()
    try:
        alone = [_predicted(double, pack([group], 0, packed=False)) for group in _each_alone(groups)]
        return _agree(double, groups, torch.cat(alone), packed=False)
    except RuntimeError:  # a part of it computes in another precision, whatever its weights are
        return False


def _predicted(network: Any, batch: Packed) -> Tensor:
    """Logits, or hidden states, of a plain forward pass over one sequence, where a target is predicted."""
    ids = batch.ids.to(_device(network))
    called = body(network) if _scores(network) else network
    output: Tensor = called(input_ids=ids, use_cache=False)[0]
    return output[0, batch.sources]


def _comparable(network: Any, values: Tensor) -> Tensor:
    """Log p of logits; hidden states as shares of their usual size."""
    values = values.float().cpu()
    return values / values.square().mean().sqrt() if _scores(network) else values.log_softmax(1)


def _close(network: Any, actual: Tensor, expected: Tensor) -> bool:
    expected = _comparable(network, expected)
    differences = (_comparable(network, actual) - expected).abs() / (1 + expected.abs())
    if next(network.parameters()).dtype in (torch.float16, torch.bfloat16):
        return bool(differences.mean() <= HALF)
    return bool(differences.max() <= TOLERANCE)


def _each_alone(groups: Sequence[Group]) -> list[Group]:
    return [Group(group.prompt, [answer]) for group in groups for answer in group.answers]


def _scores(network: Any) -> bool:
    """True if `network` scores what it has read, and predicts no token."""
    return network.get_output_embeddings() is None


def _check_finite(network: Any, groups: Sequence[Group]) -> None:
    """Raise ModelError where ordinary tokens give what is no number: it is like nothing, not even itself."""
    for group in _each_alone(groups):
        if not bool(_predicted(network, pack([group], 0, packed=False)).isfinite().all()):
            raise ModelError(
                f"What the {type(network).__name__} says of ordinary tokens is not finite: its weights are damaged, or "
                "its training diverged. Copy the checkpoint again, or take an earlier one."
            )


def _check_causal(network: Any, groups: Sequence[Group]) -> None:
    """Raise ModelError where another last token changes what is said of the tokens before it."""
    ids = list(groups[-1].answers[0].ids)
    other = next(token for group in groups for token in group.prompt if token != ids[-1])
    both = torch.tensor([ids, [*ids[:-1], other]], device=_device(network))
    called = body(network) if _scores(network) else network
    one, two = called(input_ids=both, use_cache=False)[0][:, :-1]
    if not _close(network, one, two):
        raise ModelError(
            f"The architecture {type(network).__name__} reads what follows a token before it predicts it, so it is no "
            "causal language model as it is configured. An encoder has its own methods: masked_lm, fine_tune."
        )


def _may_pack(network: Any) -> bool:
    """False where `network` is known to carry more than attention from token to token, or to hide its windows."""
    if not (attends_only(network) and network._can_set_attn_implementation()):
        return False
    config = network.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None) or 1 << 30
    return not any(  # a window under another name is written into the layers, and a probe is too short for it
        name.endswith(("window", "window_size")) and name not in WINDOWS
        and isinstance(size, int) and not isinstance(size, bool) and 0 < size < limit
        for name, size in config.to_dict().items()
    )  # fmt: skip


@contextmanager
def short_windows(network: Any) -> Iterator[None]:
    """Let windows of attention be a few tokens wide within this context, so that short sequences reach beyond them."""
    config = network.config.get_text_config()
    originals = {name: size for name in WINDOWS if isinstance(size := getattr(config, name, None), int) and size > 0}
    for name in originals:
        setattr(config, name, WINDOWS[name])
    try:
        yield
    finally:
        for name, size in originals.items():
            setattr(config, name, size)


def _random_groups(network: Any) -> list[Group]:
    """Groups of ordinary tokens; which they are does not depend on anything but the vocabulary."""
    config = network.config.get_text_config()
    named = {value for name, value in config.to_dict().items() if name.endswith("token_id")}
    special = {token for value in named if isinstance(value, int) for token in [value]}
    size = min(network.get_input_embeddings().num_embeddings, getattr(config, "vocab_size", 1 << 30))
    ordinary = [token for token in range(min(size, 1 << 14)) if token not in special] or list(range(size))
    rng = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[int]:
        return [ordinary[at] for at in torch.randint(len(ordinary), (count,), generator=rng).tolist()]

    return [Group(tokens(prompt), [Answer(tokens(length)) for length in answers]) for prompt, answers in SHAPES]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Without dropout, and with every part as it was afterwards."""
    before = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _device(network: Any) -> torch.device:
    device: torch.device = next(network.parameters()).device
    return device
