"""Small networks with random weights, of many architectures, and which of them read packed sequences."""

from typing import Any

import torch

WINDOW = {"sliding_window": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LATENT = {
    "num_key_value_heads": 4, "head_dim": None, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "q_lora_rank": 16, "kv_lora_rank": 16,
}  # fmt: skip
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}

PACKING: dict[str, dict[str, Any]] = {
    "llama": {}, "gpt2": {}, "qwen2": {"use_sliding_window": True, "max_window_layers": 1, **WINDOW}, "qwen3": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32}, "gpt_neox": {}, "gptj": {"rotary_dim": 4}, "phi": {},
    "stablelm": {},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, **WINDOW}, "gemma": {}, "gemma2": WINDOW,
    "gemma3_text": WINDOW, "mistral": WINDOW, "phi3": WINDOW, "olmo3": WINDOW, "cohere": {}, "cohere2": WINDOW,
    "granite": {"logits_scaling": 4.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2},
    "exaone4": WINDOW, "starcoder2": WINDOW, "mixtral": {"num_local_experts": 4, **WINDOW},
    "modernbert-decoder": WINDOW, "olmo": {}, "olmo2": {}, "nemotron": {}, "persimmon": {}, "biogpt": {},
    "gpt_bigcode": {}, "codegen": {"rotary_dim": 4}, "smollm3": {}, "glm": {}, "glm4": {}, "qwen3_moe": EXPERTS,
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 32}, "granitemoe": {"num_local_experts": 4},
    "deepseek_v3": {
        **LATENT, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
        "moe_intermediate_size": 32, "first_k_dense_replace": 1,
    },
    "llama4_text": {"num_local_experts": 2, "intermediate_size_mlp": 64, "attention_chunk_size": 8},
    "helium": {}, "bert": {"is_decoder": True},
}  # fmt: skip
"""Architectures whose sequences may share a line of the batch: their shape, beside the common one."""

ALONE: dict[str, dict[str, Any]] = {
    "mpt": {}, "xglm": {"ffn_dim": 64}, "bloom": {}, "falcon": {"head_dim": None},
    "falcon-alibi": {"head_dim": None, "alibi": True},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]], "window_size": 8},
    "mamba": {}, "mamba2": {"num_heads": 8, "n_groups": 1, "state_size": 8, "chunk_size": 8}, "rwkv": {},
    "recurrent_gemma": {"lru_width": 32, "attention_window_size": 8},
    "qwen3_next": {
        **EXPERTS, "shared_expert_intermediate_size": 32, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
        "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    },
    "lfm2": {"layer_types": ["conv", "conv", "full_attention", "conv"], "block_ff_dim": 64, "block_multiple_of": 8},
    "jamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
        "num_experts": 2, "mamba_d_state": 4, "mamba_dt_rank": 4, "use_mamba_kernels": False,
    },
    "bamba": {**MAMBA, "attn_layer_indices": [1]}, "falcon_h1": {**MAMBA, "mamba_d_ssm": 64}, "openai-gpt": {},
}  # fmt: skip
"""Architectures of which every sequence needs a line of its own."""

SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
}  # fmt: skip


def small(name: str, tokenizer: Any) -> Any:
    """The architecture `name` with random weights, larger than usual, so that every token matters."""
    import transformers

    shape = {**SHAPE, **{**PACKING, **ALONE}[name]}
    config = transformers.CONFIG_MAPPING[name.removesuffix("-alibi")](
        **{key: value for key, value in shape.items() if value is not None}, vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    auto: Any = transformers.AutoModelForCausalLM
    network = auto.from_config(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:  # a larger state of mamba amplifies rounding beyond what is compared
                parameter.mul_(2 if name == "mamba" else 4)
    return network
