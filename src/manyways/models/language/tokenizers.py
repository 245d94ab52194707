"""Tokenizers: made on the spot from the data, or a checkpoint's own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from manyways.errors import ModelError, NeedsError

PADDING, END, UNKNOWN, MASK = SPECIAL = ("<|pad|>", "<|end|>", "<|unknown|>", "<|mask|>")
ROLES = ("system", "user", "assistant")
Kind = Literal["characters", "bytes", "words"]

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""How a conversation is written down for tokenizers that do not say it themselves."""


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


def with_special_tokens(tokenizer: Any, where: str) -> Any:
    """`tokenizer` with an end token, which also pads where nothing else does. Raises ModelError without one."""
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {where} has no end-of-text token, so an answer could never end. Name one of its tokens: "
            'tokenizer.eos_token = "…", and save it again with tokenizer.save_pretrained(folder).'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each of `texts`, without any that a tokenizer puts before or after."""
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )["input_ids"]
    return ids


def conversation(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, bool]]:
    """The text of a conversation in pieces, each with whether the assistant says it (and so it is to be learned).

    A template must write a conversation's beginning as the beginning of the whole. Raises ModelError where it does not.
    """
    done = ""
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            asked = str(tokenizer.apply_chat_template(messages[:at], tokenize=False, add_generation_prompt=True))
            whole = str(tokenizer.apply_chat_template(messages[: at + 1], tokenize=False))
            if not (asked.startswith(done) and whole.startswith(asked)):
                raise ModelError(
                    "The tokenizer's chat template rewrites earlier messages when later ones are added, so that the "
                    "answers cannot be found in the text; use prompt and completion columns instead."
                )
            yield asked[len(done) :], False
            yield whole[len(asked) :], True
            done = whole


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise NeedsError("Language models need the transformers library: pip install 'manyways[language]'.") from error
    return transformers
