"""Tokenizers: what they are made of, and that texts come back."""

from typing import Any

import pytest

from manyways.errors import ModelError
from manyways.models.language.tokenizers import (
    CHAT_TEMPLATE,
    conversation,
    make_tokenizer,
    token_ids,
    with_special_tokens,
)

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


TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "and 2?"},
    {"role": "assistant", "content": "4"},
]


def test_a_conversation_says_who_says_what(tokenizer: Any) -> None:
    pieces = list(conversation(tokenizer, TALK))
    assert [said for _, said in pieces] == [False, True, False, True]
    assert [text for text, said in pieces if said] == ["2<|end|>\n", "4<|end|>\n"]
    assert "".join(text for text, _ in pieces) == tokenizer.apply_chat_template(TALK, tokenize=False)


def test_a_template_that_rewrites_the_past_is_refused(tokenizer: Any) -> None:
    import copy

    odd = copy.copy(tokenizer)
    odd.chat_template = "{{ messages | length }}" + CHAT_TEMPLATE
    with pytest.raises(ModelError, match="rewrites earlier messages"):
        list(conversation(odd, TALK))
