"""Chat templates: a conversation as the tokens of one text, and which of them the assistant says."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from typing import Any

from manyways.errors import DataError, ModelError
from manyways.models.language.conversations import Message

Span = tuple[int, int]
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
"""Tag by which a template marks what the assistant says."""
PLACEHOLDER = "\ue000\ue001\ue000"
"""Stands for a content, to see where a template puts it: of characters for private use, with which no text begins."""


@dataclass(frozen=True, eq=False)
class Chat:
    """The chat template of a tokenizer.

    A conversation is written as one text and tokenised whole, so that its tokens are those of the template's text. What
    messages hold is text: a special token that is written in one does not become that token.
    """

    tokenizer: Any

    def text(self, messages: Sequence[Message], where: str = "the conversation", *, asks: bool = False) -> str:
        """The text of `messages`; asks: with the beginning of the assistant's turn.

        Raises DataError, with `where`, in the template's own words where it refuses them.
        """
        from jinja2 import TemplateError

        self._check_tools(messages, where)
        try:
            return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=asks))
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            reason = str(error).strip() or type(error).__name__
            raise DataError(
                f"The model's chat template refuses {where}: {reason.rstrip('.')}. Change the conversation, or leave "
                "it out."
            ) from error

    def prompt(self, messages: Sequence[Message], where: str = "the conversation") -> list[int]:
        """The tokens of `messages`, after which the assistant speaks."""
        return self._tokens(self.text(messages, where, asks=True), messages, (), where, asks=True)[0]

    def conversation(
        self, messages: Sequence[Message], where: str = "the conversation", answers_from: int = 0
    ) -> tuple[list[int], list[bool]]:
        """The tokens of `messages`, and which are the assistant's: its words, up to and with the end of its turn.

        answers_from: the first message whose tokens may be marked.
        """
        text = self.text(messages, where)
        return self._tokens(text, messages, self._answers(messages, text, where, answers_from), where)

    @cached_property
    def template(self) -> str:
        """The template itself, in Jinja's language."""
        return str(self.tokenizer.get_chat_template())

    @cached_property
    def turn_end(self) -> str:
        """Text by which the template ends a turn of the assistant, up to its first special token."""
        talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": PLACEHOLDER}]
        try:
            behind = self.text(talk).rpartition(PLACEHOLDER)[2]
        except DataError:
            return ""
        special = self._special.search(behind)
        return behind[: special.end()] if special else behind.rstrip()

    @cached_property
    def end(self) -> int | None:
        """The special token that ends a turn of the assistant; None where the template ends it by words, or not."""
        found = self._special.search(self.turn_end)
        return None if found is None else int(self.tokenizer.convert_tokens_to_ids(found[0]))

    @cached_property
    def stop(self) -> str:
        """The words that end a turn of the assistant; empty where a special token does."""
        return self.turn_end.strip() if self.end is None else ""

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """Special tokens, as they are written."""
        tokens = self.tokenizer.added_tokens_decoder.values()
        written = sorted({str(token.content) for token in tokens if token.special}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, written)) or r"(?!)")

    def _check_tools(self, messages: Sequence[Message], where: str) -> None:
        calls = [turn for turn, message in enumerate(messages) if message.get("tool_calls")]
        if calls and "tool_calls" not in self.template:
            raise DataError(
                f"Turn {calls[0]} of {where} calls a tool, and the model's chat template does not write such calls, so "
                "that nothing would be learned of them. Write the call into the content, or leave the row out."
            )

    def _answers(self, messages: Sequence[Message], text: str, where: str, first: int) -> list[Span]:
        """Spans in `text` where the assistant speaks, each turn up to and with its end."""
        if first == 0 and GENERATION.search(self.template):
            return self._marked(messages)
        turns = [turn for turn in range(first, len(messages)) if messages[turn]["role"] == "assistant"]
        return [self._turn(messages, turn, text, where) for turn in turns]

    def _marked(self, messages: Sequence[Message]) -> list[Span]:
        from transformers.utils.chat_template_utils import render_jinja_template

        rendered: Any = render_jinja_template(
            [list(messages)], chat_template=self.template, return_assistant_tokens_mask=True,
            **self.tokenizer.special_tokens_map,
        )  # fmt: skip
        return [(int(begin), int(end)) for begin, end in rendered[1][0]]

    def _turn(self, messages: Sequence[Message], turn: int, text: str, where: str) -> Span:
        """Span in `text` of the message at `turn`: behind what the assistant is asked, up to the end of the turn.

        A template may write earlier turns otherwise once later ones follow; then what it writes in the place of the
        content is what counts.
        """
        begin, end = self._content(messages, turn, text, where)
        if turn:
            asked = self.text(messages[:turn], where, asks=True)
            begin = len(asked) if text.startswith(asked) and len(asked) <= begin else begin
        return begin, end + len(self.turn_end) if text.startswith(self.turn_end, end) else end

    def _content(self, messages: Sequence[Message], turn: int, text: str, where: str) -> Span:
        """Span in `text` of the content of the message at `turn`, found by what else changes with another content."""
        other = [dict(message) for message in messages]
        other[turn] = {**{k: v for k, v in other[turn].items() if k != "tool_calls"}, "content": PLACEHOLDER}
        written = self.text(other, where)
        before = _common(text, written)
        after = _common(text[before:][::-1], written[before:][::-1])
        return before, len(text) - after

    def _tokens(
        self, text: str, messages: Sequence[Message], answers: Sequence[Span], where: str, *, asks: bool = False
    ) -> tuple[list[int], list[bool]]:
        contents: list[Span] = []
        if any(self._special.search(part) for message in messages for part in _texts(message)):
            contents = [self._written(messages, turn, text, where, asks) for turn in range(len(messages))]
        if any(self._special.search(text, begin, end) for begin, end in contents):
            return self._escaped.tokens(text, contents, answers, self._special)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return list(encoded["input_ids"]), _mask(encoded["offset_mapping"], answers)

    def _written(self, messages: Sequence[Message], turn: int, text: str, where: str, asks: bool) -> Span:
        if asks:  # the same text but for its end, which no content reaches
            whole = self.text(messages, where)
            if not text.startswith(whole):
                raise DataError(
                    f"{where[0].upper()}{where[1:]} holds a special token of the model in a message, and its chat "
                    "template writes a question otherwise than a conversation, so that the two cannot be told apart. "
                    "Leave it out."
                )
            text = whole
        return self._content(messages, turn, text, where)

    @cached_property
    def _escaped(self) -> "EscapedTokenizer":
        return EscapedTokenizer.of(self.tokenizer)


@dataclass(frozen=True, eq=False)
class EscapedTokenizer:
    """A tokenizer in which special tokens have other, unguessable names, so that their usual ones are plain text."""

    backend: Any
    names: dict[str, str]
    ids: dict[int, int]

    @classmethod
    def of(cls, tokenizer: Any) -> "EscapedTokenizer":
        """The escaped twin of `tokenizer`."""
        from tokenizers import Tokenizer

        described = json.loads(tokenizer.backend_tokenizer.to_str())
        key = hashlib.blake2b(tokenizer.backend_tokenizer.to_str().encode(), digest_size=12).hexdigest()
        special = [str(token["content"]) for token in described["added_tokens"] if token["special"]]
        names = {token: f"<{key}{at}>" for at, token in enumerate(special)}
        for token in described["added_tokens"]:
            token["content"] = names.get(token["content"], token["content"])
        vocabulary = described["model"].get("vocab")
        if isinstance(vocabulary, dict):
            described["model"]["vocab"] = {names.get(token, token): at for token, at in vocabulary.items()}
        elif isinstance(vocabulary, list):
            described["model"]["vocab"] = [[names.get(token, token), score] for token, score in vocabulary]
        if described["model"].get("unk_token") in names:
            described["model"]["unk_token"] = names[described["model"]["unk_token"]]
        described["post_processor"] = None  # it would name tokens that are called otherwise here
        backend = Tokenizer.from_str(json.dumps(described))
        known = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True)
        ids = {
            place: known[before] for before, after in names.items() if (place := backend.token_to_id(after)) is not None
        }
        if backend.get_vocab_size() != tokenizer.backend_tokenizer.get_vocab_size() or len(ids) != len(names):
            raise ModelError(
                "A message holds a special token of the model, and its tokenizer cannot be made to read that as text. "
                "Leave the row out."
            )
        return cls(backend, names, ids)

    def tokens(
        self, text: str, contents: Sequence[Span], answers: Sequence[Span], special: re.Pattern[str]
    ) -> tuple[list[int], list[bool]]:
        """The tokens of `text`, in whose `contents` special tokens are text, and which of them lie in `answers`."""
        edges = sorted({0, len(text), *(edge for span in (*contents, *answers) for edge in span)})
        written, places = "", {0: 0}
        for begin, end in pairwise(edges):
            inside = any(first <= begin and end <= last for first, last in contents)
            piece = text[begin:end]
            written += piece if inside else special.sub(lambda found: self.names[found[0]], piece)
            places[end] = len(written)
        encoded = self.backend.encode(written, add_special_tokens=False)
        mask = _mask(encoded.offsets, [(places[begin], places[end]) for begin, end in answers])
        return [self.ids.get(token, token) for token in encoded.ids], mask


def _mask(offsets: Sequence[Span], answers: Sequence[Span]) -> list[bool]:
    """Mask of the tokens whose characters reach into one of `answers`."""
    return [end > begin and any(begin < last and end > first for first, last in answers) for begin, end in offsets]


def _common(one: str, other: str) -> int:
    """Number of characters that two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _texts(message: Message) -> list[str]:
    """Texts of a message, at any depth."""
    texts: list[str] = []
    open_values: list[Any] = [value for name, value in message.items() if name != "role"]
    while open_values:
        value = open_values.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict):
            open_values += value.values()
        elif isinstance(value, list):
            open_values += value
    return texts
