"""New language models: one dial, from which the rest follows, and checkpoints."""

from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import nn

from manyways.errors import ModelError
from manyways.models.backbones import _checkpoints as checkpoints
from manyways.models.language.adapters import CONFIG, add_adapters, base_of
from manyways.models.language.tokenizers import with_special_tokens

WIDTH, DEPTH, HEAD = 192, 4, 32
"""Features, layers and features per attention head at size 1."""


def new_network(objective: str, tokenizer: Any, context: int, size: float) -> nn.Module:
    """A network with random weights: Llama's architecture (Touvron et al. 2023), or BERT's for masked tokens.

    context: the most tokens it reads. size: multiplies the width; the depth grows with its root.
    """
    import transformers

    heads = max(1, round(WIDTH * size / HEAD))
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": heads * HEAD,
        "num_hidden_layers": max(1, round(DEPTH * sqrt(size))),
        "num_attention_heads": heads,
        "max_position_embeddings": context,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    if objective == "causal":
        width = 8 * round(heads * HEAD * 8 / 3 / 8)  # gated layers have three matrices; 8/3 keeps the count of two at 4
        config = transformers.LlamaConfig(**shape, intermediate_size=width, rms_norm_eps=1e-5)
        return transformers.LlamaForCausalLM(config)
    masked = transformers.BertConfig(
        **shape, intermediate_size=4 * heads * HEAD, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    return transformers.BertForMaskedLM(masked)


AUTO = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "reward": "AutoModelForSequenceClassification",
}
"""The class that transformers loads a network by, for what it says: the next token, hidden ones, or a score."""


def load_network(
    checkpoint: str, objective: str, base: str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Any, Any]:
    """Network and tokenizer of a folder, .gguf file or Hub name; of a folder of adapters with their base.

    base: the fingerprint of that base. dtype: of the weights.

    Raises:
        ModelError: It does not exist, is damaged, lacks a shard or weights, holds pickled weights only, or its
            tokenizer has no end token.
    """
    transformers = checkpoints.transformers_library()
    if (Path(checkpoint) / CONFIG).is_file():
        return _load_adapted(Path(checkpoint), objective, base, dtype)
    place, options = checkpoints.located(checkpoint)
    network, report = checkpoints.read_weights(checkpoint, getattr(transformers, AUTO[objective]), dtype)
    tokenizer = checkpoints.open_tokenizer(checkpoint, place, **options)
    if report["missing_keys"]:
        lost = sorted(report["missing_keys"])
        raise ModelError(
            f"The checkpoint {checkpoint!r} lacks {len(lost)} weights of its own architecture, the first is "
            f"{lost[0]!r}; it is damaged, or no {objective} model."
        )
    if objective == "reward" and not (network.config.num_labels == 1 and hasattr(network, "score")):
        raise ModelError(
            f"The checkpoint {checkpoint!r} is a classifier of {network.config.num_labels} labels, not a reward model: "
            "one label, read off the last token."
        )
    if len(tokenizer) > network.get_input_embeddings().num_embeddings:
        raise ModelError(
            f"The tokenizer of {checkpoint!r} has {len(tokenizer)} tokens, the network "
            f"{network.get_input_embeddings().num_embeddings}; they do not belong together."
        )
    return network, with_special_tokens(tokenizer, checkpoint, objective, stated_ends(network))


def _load_adapted(folder: Path, objective: str, base: str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    network, tokenizer = load_network(base_of(folder), objective, dtype=dtype)
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = checkpoints.open_tokenizer(str(folder), str(folder), local_files_only=True)
    tokenizer = with_special_tokens(tokenizer, str(folder), objective, stated_ends(network))
    return add_adapters(network, folder, base), tokenizer


STATED = {
    "ForMaskedLM": "masked",
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForSequenceClassification": "reward",
}
"""Ends of the names of architectures, and what such a network says."""


def objective_of(checkpoint: str) -> str:
    """Objective of a checkpoint by its architecture: causal, masked or reward.

    Raises:
        ModelError: The architecture is another.
    """
    transformers = checkpoints.transformers_library()
    if (Path(checkpoint) / CONFIG).is_file():
        return objective_of(base_of(Path(checkpoint)))
    place, options = checkpoints.located(checkpoint)
    if "gguf_file" in options:  # such files hold causal language models
        return "causal"
    with checkpoints.quiet():
        config = checkpoints.guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    named = checkpoints.stated_architecture(config)
    if found := [objective for end, objective in STATED.items() if named.endswith(end)]:
        return found[0]
    raise ModelError(
        f"The checkpoint {checkpoint!r} is {named or 'of no architecture that it states'}, and no language model; names"
        f" of those end in {', '.join(STATED)}. What gives features is a backbone: fine_tune(backbone={checkpoint!r})."
    )


def context_of(network: Any) -> int:
    """The most tokens that `network` reads."""
    config = network.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "context_length"):
        if isinstance(value := getattr(config, name, None), int) and value > 0:
            return value - _unused_positions(network)
    return 1024


def _unused_positions(network: Any) -> int:
    """Number of positions that no token can have: RoBERTa's kind counts from behind the place of padding."""
    offsets = [
        part.padding_idx + 1
        for name, part in network.named_modules()
        if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None
    ]
    return max(offsets, default=0)


def stated_ends(network: Any) -> frozenset[int]:
    """The tokens at which the checkpoint of `network` states that generation ends."""
    stated = getattr(getattr(network, "generation_config", None), "eos_token_id", None)
    ends = stated if isinstance(stated, list | tuple) else [stated]
    return frozenset(end for end in ends if isinstance(end, int) and end >= 0)
