"""Rows of a table as tokens: running text, prompts with answers, pairs of answers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.ragged import Ragged, ragged
from manyways.errors import DataError
from manyways.models.language.packing import Answer, Group
from manyways.models.language.tokenizers import ROLES, conversation, token_ids

TooLong = Literal["refuse", "cut", "skip"]


@dataclass(frozen=True, eq=False)
class Reader:
    """How rows become tokens: a tokenizer, the most tokens a model reads, and what becomes of longer rows.

    refuse raises DataError; cut drops the beginning of the prompt, then the end of the answer; skip leaves rows out.
    """

    tokenizer: Any
    context: int
    too_long: TooLong = "refuse"

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def prefix(self) -> list[int]:
        """What the tokenizer puts before every text."""
        ids: list[int] = self.tokenizer("", verbose=False)["input_ids"]
        return [token for token in ids if token != self.end]

    def begun(self, ids: Sequence[int]) -> list[int]:
        """`ids` behind the prefix, which a chat template may have written already."""
        return list(ids) if list(ids[: len(self.prefix)]) == self.prefix else [*self.prefix, *ids]

    @cached_property
    def key(self) -> str:
        """A hash of the tokenizer."""
        return hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:16]

    def texts(self, data: Data) -> Ragged:
        """The running text of each row, with the prefix before and the end token behind it.

        A text that ends with a line break is a piece of a longer one and gets neither: such rows join seamlessly.
        """
        columns = text_columns(data)

        def make(rows: NDArray[np.int64]) -> list[list[int]]:
            parts = [strings(data, name, rows) for name in columns]
            texts = ["\n".join(each) for each in zip(*parts, strict=True)]
            made = token_ids(self.tokenizer, texts)
            return [
                ids if text.endswith("\n") else [*self.prefix, *ids, self.end]
                for text, ids in zip(texts, made, strict=True)
            ]

        return ragged(len(data), make, f"{data.fingerprint} {columns} {self.key}")

    def prompts(self, data: Data, room: int = 0) -> list[list[int]]:
        """The prompt of each row, with `room` tokens left for an answer; `too_long="skip"` is the caller's to do."""
        everything = np.arange(len(data))
        if data.has("messages"):
            texts = [
                str(self.tokenizer.apply_chat_template(_asked(talk), tokenize=False, add_generation_prompt=True))
                for talk in conversations(data, everything)
            ]
        else:
            texts = strings(data, data.roles["prompt"][0], everything)
        ids = [self.begun(row) for row in token_ids(self.tokenizer, texts)]
        return [group.prompt for group in self._fitted([Group(row, ()) for row in ids], data.name, room)]  # type: ignore[misc]

    def answers(self, data: Data) -> list[Group]:
        """Each row's prompt and completion, or its conversation with the assistant's turns as what is said."""
        everything = np.arange(len(data))
        if data.has("messages"):
            groups = [self._conversation(talk) for talk in conversations(data, everything)]
        else:
            prompts = self._prompts_or_none(data)
            said = self._completions(data, "completion")
            groups = [Group(prompt, (Answer(ids),)) for prompt, ids in zip(prompts, said, strict=True)]
        return self._fitted(groups, data.name)

    def said(self, data: Data) -> list[Group]:
        """What each row says: its answer, or its running text, of which every token but the first is said."""
        if data.has("messages") or data.has("completion"):
            return self.answers(data)
        texts = self.texts(data)
        return [Group((), (Answer(np.asarray(texts[at])[: self.context].tolist()),)) for at in range(len(texts))]

    def answered(self, prompts: Sequence[str], said: Sequence[str]) -> list[Group]:
        """Each of `prompts` with what was said to it, which may be nothing."""
        asked, answers = token_ids(self.tokenizer, prompts), token_ids(self.tokenizer, said)
        groups = [
            Group(self.begun(prompt), (Answer([*answer, self.end]),))
            for prompt, answer in zip(asked, answers, strict=True)
        ]
        return self._fitted(groups, "the list of prompts")

    def pairs(self, data: Data) -> list[Group]:
        """Each row's prompt with two answers: the chosen one, then the rejected one."""
        chosen, rejected = self._completions(data, "chosen"), self._completions(data, "rejected")
        equal = [row for row, (a, b) in enumerate(zip(chosen, rejected, strict=True)) if a == b]
        if equal:
            raise DataError(
                f"{data.name} has {len(equal)} of {len(data)} pairs whose chosen and rejected answer are the same, the "
                f"first is row {equal[0]} (rows count from 0); nothing can be preferred there. Leave them out."
            )
        prompts = self._prompts_or_none(data)
        groups = [
            Group(prompt, (Answer(good), Answer(bad)))
            for prompt, good, bad in zip(prompts, chosen, rejected, strict=True)
        ]
        return self._fitted(groups, data.name)

    def _prompts_or_none(self, data: Data) -> list[list[int]]:
        if not data.has("prompt"):
            return [list(self.prefix) for _ in range(len(data))]
        texts = strings(data, data.roles["prompt"][0], np.arange(len(data)))
        return [self.begun(row) for row in token_ids(self.tokenizer, texts)]

    def _completions(self, data: Data, role: str) -> list[list[int]]:
        texts = strings(data, data.roles[role][0], np.arange(len(data)))
        if empty := [row for row, text in enumerate(texts) if not text.strip()]:
            raise DataError(
                f"{data.name} has {len(empty)} of {len(texts)} rows whose {role} is empty, the first is row {empty[0]} "
                "(rows count from 0); there is nothing to learn to say. Fill them in, or leave them out."
            )
        return [[*row, self.end] for row in token_ids(self.tokenizer, texts)]

    def _conversation(self, talk: Sequence[dict[str, str]]) -> Group:
        pieces = list(conversation(self.tokenizer, talk))
        ids = token_ids(self.tokenizer, [text for text, _ in pieces])
        said = [flag for row, (_, flag) in zip(ids, pieces, strict=True) for flag in [flag] * len(row)]
        first = len(ids[0])
        rest = [token for row in ids[1:] for token in row]
        return Group(self.begun(ids[0]), (Answer(rest, said[first:]),))

    def _fitted(self, groups: list[Group], name: str, room: int = 0) -> list[Group]:
        """`groups` within the context, every prompt with its longest answer."""
        lengths = [len(g.prompt) + max((len(a.ids) for a in g.answers), default=room) for g in groups]
        long = [row for row, length in enumerate(lengths) if length > self.context]
        if not long:
            return groups
        if self.too_long == "refuse":
            worst = max(long, key=lambda row: lengths[row])
            raise DataError(
                f"{name} has {len(long)} of {len(groups)} rows longer than the {self.context} tokens that the model "
                f"reads; the longest is row {worst} (rows count from 0) with {lengths[worst]}. Shorten them, or let "
                'the method cut or skip them: too_long="cut" or too_long="skip".'
            )
        if self.too_long == "skip":
            kept = [group for row, group in enumerate(groups) if lengths[row] <= self.context]
            if not kept:
                raise DataError(f"All {len(groups)} rows of {name} are longer than {self.context} tokens.")
            return kept
        return [_cut(group, self.context, room) for group in groups]


def _cut(group: Group, context: int, room: int) -> Group:
    answers = [Answer(a.ids[: context - 1], None if a.said is None else a.said[: context - 1]) for a in group.answers]
    left = context - max((len(answer.ids) for answer in answers), default=room)
    return Group(group.prompt[len(group.prompt) - left :] if len(group.prompt) > left else group.prompt, answers)


def text_columns(data: Data) -> tuple[str, ...]:
    """The columns with the role text; without any, the inputs that are text."""
    return data.roles.get("text") or tuple(column.name for column in data.inputs if column.kind == "text")


def strings(data: Data, column: str, rows: NDArray[np.int64]) -> list[str]:
    """The texts of `column` in `rows` of `data`; missing ones are empty."""
    return ["" if value is None else str(value) for value in data.columns[column].take(data.rows[rows])]


def conversations(data: Data, rows: NDArray[np.int64]) -> list[list[dict[str, str]]]:
    """The messages of `rows`. Raises DataError where they are no conversation, or the assistant says nothing."""
    found = []
    for row, text in enumerate(strings(data, data.roles["messages"][0], rows)):
        try:
            talk = json.loads(text)
            right = all(set(message) >= {"role", "content"} for message in talk) and bool(talk)
        except (ValueError, TypeError):
            right = False
        if not right or any(message["role"] not in ROLES for message in talk):
            raise DataError(
                f"Row {row} of {data.name} (rows count from 0) is no conversation: {text[:80]!r}. It must be a list "
                f'of {{"role": …, "content": …}} with the roles {", ".join(ROLES)}.'
            )
        if not any(message["role"] == "assistant" and message["content"].strip() for message in talk):
            raise DataError(
                f"The conversation in row {row} of {data.name} (rows count from 0) has no turn of the assistant, so "
                "there is nothing to learn to say. Leave it out, or add the answer."
            )
        found.append(talk)
    return found


def _asked(talk: list[dict[str, str]]) -> list[dict[str, str]]:
    """The conversation up to the assistant's last turn."""
    last = max(at for at, message in enumerate(talk) if message["role"] == "assistant")
    return talk[:last]
