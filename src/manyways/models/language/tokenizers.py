"""Tokenizers: made on the spot from the data, or a checkpoint's own."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from manyways.errors import ModelError, NeedsError

PADDING, END, UNKNOWN, MASK = SPECIAL = ("<|pad|>", "<|end|>", "<|unknown|>", "<|mask|>")
Kind = Literal["characters", "bytes", "words"]

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{% if message['tool_calls'] %}{{ message['tool_calls'] | tojson }}{% endif %}{{ eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""Chat template for tokenizers that have none.

Every turn ends with the tokenizer's own end token, which no text can hold: so none can forge another turn.
"""
BOS = "{{ bos_token }}"
WHERE_READ = ("is_local", "local_files_only")
"""Members that transformers notes in a tokenizer of how it was read, and writes as if they were parts of it."""


def make_tokenizer(kind: Kind, texts: Iterable[str], vocabulary: int = 4096) -> Any:
    """A tokenizer for `texts` as a `PreTrainedTokenizerFast`.

    characters: one token for each character that occurs. bytes: one for each of the 256 bytes, so that nothing is
    unknown. words: byte-pair encoding (Sennrich et al. 2016) over bytes, trained on `texts` to `vocabulary` tokens.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    if kind == "characters":
        seen = sorted({character for text in texts for character in text})
        table = {token: at for at, token in enumerate((*SPECIAL, *seen))}
        tokenizer = Tokenizer(models.WordLevel(table, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    else:
        words = kind == "words"
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary if words else 256 + len(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts if words else (), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return _transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        eos_token=END,
        unk_token=UNKNOWN,
        mask_token=MASK,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def with_special_tokens(tokenizer: Any, where: str, objective: str = "causal", ends: Collection[int] = ()) -> Any:
    """`tokenizer` with an end token, which also pads where nothing else does, and a chat template.

    objective: what the network predicts; one that fills in hidden tokens needs a mask token in place of the end. ends:
    tokens at which the checkpoint states that generation ends.

    Raises:
        ModelError: What is needed is not there.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"The tokenizer of {where} is written in Python alone, and does not tell which characters a token stands "
            "for. Save it as a fast one: AutoTokenizer.from_pretrained(folder, use_fast=True).save_pretrained(folder)."
        )
    for name in WHERE_READ:  # else a model that was loaded would be written as another
        tokenizer.init_kwargs.pop(name, None)
    if objective == "masked":
        return _with_mask(tokenizer, where)
    if tokenizer.eos_token_id is None and ends:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(min(ends))
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {where} has no end-of-text token, so an answer could never end. Name one of its tokens: "
            'tokenizer.eos_token = "…", and save it again with tokenizer.save_pretrained(folder).'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        begins = tokenizer.bos_token_id is not None and tokenizer.bos_token_id in frame(tokenizer)[0]
        tokenizer.chat_template = (BOS if begins else "") + CHAT_TEMPLATE
    return tokenizer


def knows_chats(tokenizer: Any) -> bool:
    """True if `tokenizer` came with a chat template of its own, so that its model has learned to answer turns."""
    return tokenizer.chat_template is not None and tokenizer.chat_template not in (CHAT_TEMPLATE, BOS + CHAT_TEMPLATE)


def _with_mask(tokenizer: Any, where: str) -> Any:
    if tokenizer.mask_token_id is None:
        raise ModelError(
            f"The tokenizer of {where} has no mask token, so no token can be hidden. Name one of its tokens: "
            'tokenizer.mask_token = "…", and save it again with tokenizer.save_pretrained(folder).'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.sep_token or tokenizer.mask_token
    return tokenizer


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that `tokenizer` puts before every text, and those that it puts behind it."""
    inner, whole = token_ids(tokenizer, ["a"])[0], list(tokenizer("a", verbose=False)["input_ids"])
    for begin in range(len(whole) - len(inner) + 1):
        if whole[begin : begin + len(inner)] == inner:
            return whole[:begin], whole[begin + len(inner) :]
    return [], []


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each of `texts`, without any that a tokenizer puts before or after."""
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )["input_ids"]
    return ids


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise NeedsError("Language models need the transformers library: pip install 'manyways[language]'.") from error
    return transformers
