"""The forward pass of a transformers network over packed sequences, through its own masks, scaling and soft caps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from manyways.models.language.attention import EAGER, NAME, packed_attention, use_own_attention
from manyways.models.language.packing import Packed, per_answer


def hidden_states(network: Any, batch: Packed) -> Tensor:
    """The last hidden states of `network` for `batch`, flattened to [lines * length, width]."""
    states: Tensor = _run(network, batch, body(network))[0]
    return states.flatten(0, 1)


def target_logits(network: Any, batch: Packed) -> Tensor:
    """The logits of each target token, float32 [targets, vocabulary], as the network itself ends its forward pass.

    Only the hidden states that predict a target go through what follows the body: the projection to the vocabulary,
    and whatever the architecture does with its outcome.
    """
    return logits_at(network, batch.sources, lambda: _run(network, batch, network))


def logits_at(network: Any, places: Tensor, forward: Callable[[], Any]) -> Tensor:
    """The logits that `forward`, a call of `network`, gives at `places` in the flattened batch, float32 [places, V]."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> Any:
        kept.append(output[0].flatten(0, 1)[places][None])
        if isinstance(output, tuple):
            return (kept[0], *output[1:])
        output.last_hidden_state = kept[0]
        return output

    # Some architectures call a part of their body in place of the body; their logits are picked afterwards.
    decoder = plain(network).get_decoder()
    inner = decoder if hasattr(decoder, "config") else body(network)
    handle = inner.register_forward_hook(keep) if inner is not plain(network) else None
    try:
        logits: Tensor = forward().logits
    finally:
        if handle is not None:
            handle.remove()
    return (logits[0] if kept else logits.flatten(0, 1)[places]).float()


def token_log_probabilities(network: Any, batch: Packed, temperature: float = 1.0) -> Tensor:
    """Log-probability of each target token, float32 [targets].

    temperature: of the distribution that the tokens were sampled from.
    """
    logits = target_logits(network, batch)
    if temperature != 1:
        logits = logits / temperature
    log_probs: Tensor = logits.gather(1, batch.targets[:, None])[:, 0] - logits.logsumexp(1)
    return log_probs


def answer_log_probabilities(network: Any, batch: Packed) -> Tensor:
    """Log-probability of each answer given its prompt, float32 [answers]: the sum over its target tokens."""
    return per_answer(token_log_probabilities(network, batch), batch)


def body(network: Any) -> Any:
    """The part of a transformers model that gives hidden states; inside an adapter, if it has one."""
    return plain(network).base_model


def plain(network: Any) -> Any:
    """The transformers model inside an adapter, or `network` itself."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def _run(network: Any, batch: Packed, called: Any) -> Any:
    """The output of `called`, which is `network` or its body, for `batch`."""
    if not batch.packed:
        return called(input_ids=batch.ids, attention_mask=batch.segments.clamp_max(1), use_cache=False)
    options = {"input_ids": batch.ids, "position_ids": batch.positions, "use_cache": False}
    mask = batch.mask()
    if mask is None:
        return called(**options)
    use_own_attention(plain(network))
    if plain(network).config._attn_implementation not in (NAME, EAGER):
        raise ValueError(f"{type(plain(network)).__name__} cannot be given a mask of packed sequences: packed=False.")
    with packed_attention(mask, batch.positions):
        # A padding mask without padding: without any, jumps of positions would be taken for other sequences.
        return called(attention_mask=torch.ones_like(batch.ids), **options)
