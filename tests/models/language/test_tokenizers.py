"""Tokenizers: what they are made of, and that texts come back."""

from typing import Any

import pytest

from manyways.errors import ModelError
from manyways.models.language.tokenizers import CHAT_TEMPLATE, frame, make_tokenizer, token_ids, with_special_tokens

pytestmark = pytest.mark.quick

TEXTS = ["To be, or not to be:\nthat is the question.\n", "  two  spaces\tand a tab", "größer 😀"]


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_texts_come_back(kind: Any) -> None:
    tokenizer = make_tokenizer(kind, TEXTS, 400)
    for text, ids in zip(TEXTS, token_ids(tokenizer, TEXTS), strict=True):
        assert tokenizer.decode(ids) == text


def test_what_a_token_is() -> None:
    text = "größer 😀"
    assert len(token_ids(make_tokenizer("characters", TEXTS), [text])[0]) == len(text)
    assert len(token_ids(make_tokenizer("bytes", TEXTS), [text])[0]) == len(text.encode())
    words = make_tokenizer("words", ["the cat sat on the mat the cat"] * 50, 300)
    assert len(token_ids(words, ["the cat"])[0]) == 2
    assert len(words) <= 300


def test_bytes_know_everything_and_characters_say_what_they_do_not() -> None:
    characters, plain = make_tokenizer("characters", ["abc"]), make_tokenizer("bytes", ["abc"])
    assert token_ids(characters, ["aXb"])[0][1] == characters.unk_token_id
    assert plain.decode(token_ids(plain, ["aXé"])[0]) == "aXé"


def test_special_tokens_in_a_text_are_the_special_tokens(tokenizer: Any) -> None:
    assert token_ids(tokenizer, ["ab<|end|>"])[0][-1] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_tokenizer_without_an_end_is_refused(tokenizer: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ModelError, match=r"'bare' has no end-of-text token.*tokenizer.eos_token"):
        with_special_tokens(bare, "'bare'")
    bare.eos_token = "<|end|>"
    assert with_special_tokens(bare, "'bare'").pad_token_id == bare.eos_token_id
    assert bare.chat_template == CHAT_TEMPLATE


def test_the_end_that_a_checkpoint_states_is_the_tokenizers(tokenizer: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    assert with_special_tokens(bare, "'bare'", ends={tokenizer.eos_token_id}).eos_token == "<|end|>"


def test_a_tokenizer_that_fills_in_needs_a_mask_and_no_end(tokenizer: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ModelError, match=r"'bare' has no mask token.*tokenizer.mask_token"):
        with_special_tokens(bare, "'bare'", "masked")
    bare.mask_token = "<|mask|>"
    assert with_special_tokens(bare, "'bare'", "masked").eos_token_id is None


def test_the_frame_is_what_a_tokenizer_puts_around_a_text() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer("characters", ["abc"])
    assert frame(tokenizer) == ([], [])
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|mask|> $A <|end|>", special_tokens=[("<|mask|>", 3), ("<|end|>", 1)]
    )
    assert frame(tokenizer) == ([3], [1])
