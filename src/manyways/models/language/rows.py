"""Rows of a table as tokens: running text, prompts with answers, pairs of answers."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.ragged import Ragged, ragged
from manyways.data.storage import RowNumbers
from manyways.errors import DataError
from manyways.models.language.chat import Chat
from manyways.models.language.conversations import (
    Message,
    conversations,
    holds_conversations,
    must_answer,
    place,
    prompt_turns,
)
from manyways.models.language.ends import Ends
from manyways.models.language.packing import Answer, Group
from manyways.models.language.tokenizers import frame, token_ids

TooLong = Literal["refuse", "cut", "skip"]


@dataclass(frozen=True, eq=False)
class Reader:
    """Reader of rows as tokens: a tokenizer, the most tokens a model reads, and what becomes of longer rows.

    refuse raises DataError; cut drops the beginning of the prompt, then the end of the answer; skip leaves rows out.
    stated: tokens at which the checkpoint states that generation ends. framed: texts stand in the tokenizer's own
    frame, as an encoder reads them; else they end with the end token.
    """

    tokenizer: Any
    context: int
    too_long: TooLong = "refuse"
    stated: Collection[int] = field(default=())
    framed: bool = False

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def ends(self) -> Ends:
        """Ends of answers: the tokenizer's end, the checkpoint's, or that of the chat template."""
        turn = [] if self.chat.end is None else [self.chat.end]
        return Ends(frozenset([self.end, *self.stated, *turn]), self.chat.stop, self.tokenizer)

    @cached_property
    def chat(self) -> Chat:
        """Chat template."""
        return Chat(self.tokenizer)

    @cached_property
    def prefix(self) -> list[int]:
        """Tokens that the tokenizer puts before every text."""
        return frame(self.tokenizer)[0]

    @cached_property
    def suffix(self) -> list[int]:
        """Tokens behind every text."""
        own = frame(self.tokenizer)[1] if self.framed else []
        return own or [self.end]

    def begun(self, ids: Sequence[int]) -> list[int]:
        """`ids` behind the prefix, which a text may hold already."""
        return list(ids) if list(ids[: len(self.prefix)]) == self.prefix else [*self.prefix, *ids]

    @cached_property
    def key(self) -> str:
        """A hash of the tokenizer, and of how texts are framed."""
        described = f"{self.prefix} {self.suffix} {self.tokenizer.backend_tokenizer.to_str()}"
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def texts(self, data: Data) -> Ragged:
        """The running text of each row, with the prefix before and the suffix behind it.

        A text that ends with a line break is a piece of a longer one and gets neither: such rows join seamlessly.
        """
        columns = text_columns(data)

        def make(rows: NDArray[np.int64]) -> list[list[int]]:
            parts = [strings(data, name, rows) for name in columns]
            texts = ["\n".join(each) for each in zip(*parts, strict=True)]
            made = token_ids(self.tokenizer, texts)
            return [
                ids if text.endswith("\n") and not self.framed else [*self.prefix, *ids, *self.suffix]
                for text, ids in zip(texts, made, strict=True)
            ]

        return ragged(len(data), make, f"{data.fingerprint} {columns} {self.key}")

    def prompts(self, data: Data, room: int = 0) -> list[list[int]]:
        """The prompt of each row, with `room` tokens left for an answer; `too_long="skip"` is the caller's to do.

        Of a conversation it is what precedes its last answer, or all of it where that is still to come.
        """
        role = "messages" if data.has("messages") else "prompt"
        if holds_conversations(data, role):
            ids = [
                self.chat.prompt(self._to_answer(talk, place(data, row)), place(data, row))
                for row, talk in enumerate(conversations(data, role, np.arange(len(data))))
            ]
        else:
            ids = [self.begun(row) for row in token_ids(self.tokenizer, self._strings(data, role))]
        return [group.prompt for group in self.fitting([Group(row, ()) for row in ids], data.name, room)[0]]  # type: ignore[misc]

    def answers(self, data: Data) -> list[Group]:
        """Prompt and completion of each row, or its conversation with the assistant's turns as targets."""
        return self.fitting(self._answers(data), data.name)[0]

    def fitting_answers(self, data: Data) -> tuple[list[Group], RowNumbers]:
        """As `answers`, and the rows of `data` that they are of: all, unless rows that are too long are skipped."""
        return self.fitting(self._answers(data), data.name)

    def _answers(self, data: Data) -> list[Group]:
        if data.has("messages"):
            talks = conversations(data, "messages", np.arange(len(data)))
            return [
                self._conversation(must_answer(talk, place(data, row)), place(data, row))
                for row, talk in enumerate(talks)
            ]
        return self._completed(data, ("completion",))

    def answers_or_text(self, data: Data) -> list[Group]:
        """Text of each row: its answer, or its running text, of which every token but the first is a target."""
        if data.has("messages") or data.has("completion"):
            return self.answers(data)
        texts = self.texts(data)
        return [Group((), (Answer(np.asarray(texts[at])[: self.context].tolist()),)) for at in range(len(texts))]

    def answered(self, prompts: Sequence[str], completions: Sequence[str]) -> list[Group]:
        """Prompts, each with its answer, which may be empty."""
        return self.fitting(self._continued(prompts, [completions]), "the list of prompts")[0]

    def pairs(self, data: Data) -> list[Group]:
        """Prompt of each row with two answers: the chosen one, then the rejected one."""
        groups = self._completed(data, ("chosen", "rejected"))
        equal = [row for row, group in enumerate(groups) if group.answers[0].ids == group.answers[1].ids]
        if equal:
            raise DataError(
                f"{data.name} has {len(equal)} of {len(data)} pairs whose chosen and rejected answer are the same, the "
                f"first is row {equal[0]} (rows count from 0); nothing can be preferred there. Leave them out."
            )
        return self.fitting(groups, data.name)[0]

    def _completed(self, data: Data, roles: Sequence[str]) -> list[Group]:
        """Prompt of each row with an answer for each of `roles`, texts or turns of a conversation."""
        if any(holds_conversations(data, role) for role in roles):
            return self._talks(data, roles)
        prompts = self._strings(data, "prompt") if data.has("prompt") else [""] * len(data)
        return self._continued(prompts, [self._completions(data, role) for role in roles])

    def _talks(self, data: Data, roles: Sequence[str]) -> list[Group]:
        """Conversations, as `_completed` gives texts: those of the roles go on from the prompt, or hold it."""
        everything = np.arange(len(data))
        talks = [conversations(data, role, everything) for role in roles]
        prompts: list[list[Message]] | None = None
        if holds_conversations(data, "prompt"):
            prompts = conversations(data, "prompt", everything)
        elif data.has("prompt"):
            prompts = [[{"role": "user", "content": text}] for text in self._strings(data, "prompt")]
        groups = []
        for row, answers in enumerate(zip(*talks, strict=True)):
            before = _shared(answers) if prompts is None else prompts[row]
            wholes = [answer if prompts is None else [*before, *answer] for answer in answers]
            groups.append(self._answers_to(before, wholes, place(data, row)))
        return groups

    def _answers_to(self, before: Sequence[Message], wholes: Sequence[list[Message]], where: str) -> Group:
        """Several conversations that begin with the messages `before`, and differ in what follows."""
        for whole in wholes:
            must_answer(whole[len(before) :], where)
        read = [self._ended(*self.chat.conversation(whole, where, len(before))) for whole in wholes]
        shared = min(next(at for at, answers in enumerate(mask) if answers) for _, mask in read)
        shared = min(shared, *(_alike(read[0][0], ids) for ids, _ in read))
        return Group(read[0][0][:shared], [Answer(ids[shared:], mask[shared:]) for ids, mask in read])

    def _conversation(self, talk: list[Message], where: str = "the conversation") -> Group:
        ids, mask = self._ended(*self.chat.conversation(talk, where))
        if not any(mask):
            raise DataError(
                f"The model's chat template marks nothing in {where} as said by the assistant, so there is nothing to "
                "learn to say. Leave it out, or mend the template's {% generation %}."
            )
        first = mask.index(True)
        return Group(ids[:first], (Answer(ids[first:], mask[first:]),))

    def _ended(self, ids: list[int], mask: list[bool]) -> tuple[list[int], list[bool]]:
        """A conversation whose last answer ends, also where the template does not end it."""
        if self.chat.end is None and not self.chat.stop:
            return [*ids, self.end], [*mask, True]
        return ids, mask

    def _continued(self, prompts: Sequence[str], texts: Sequence[Sequence[str]]) -> list[Group]:
        """Prompts, each with an answer for each list of `texts`, which ends.

        Prompt and answer are tokenised as one text where its tokens begin with those of the prompt alone, by which a
        model is asked; else each by itself.
        """
        before = token_ids(self.tokenizer, prompts)
        answers = []
        for completions in texts:
            together = token_ids(
                self.tokenizer, [prompt + text for prompt, text in zip(prompts, completions, strict=True)]
            )
            apart = token_ids(self.tokenizer, completions)
            answers.append([
                [*(whole[len(prompt) :] if prompt and whole[: len(prompt)] == prompt else own), self.end]
                for prompt, whole, own in zip(before, together, apart, strict=True)
            ])  # fmt: skip
        return [
            Group(self.begun(prompt), tuple(Answer(ids) for ids in row))
            for prompt, *row in zip(before, *answers, strict=True)
        ]

    def _to_answer(self, talk: list[Message], where: str) -> list[Message]:
        if not (open_turns := prompt_turns(talk)):
            raise DataError(f"The conversation in {where} asks nothing: it has turns of the assistant alone.")
        return open_turns

    def _strings(self, data: Data, role: str) -> list[str]:
        return strings(data, data.roles[role][0], np.arange(len(data)))

    def _completions(self, data: Data, role: str) -> list[str]:
        texts = self._strings(data, role)
        if empty := [row for row, text in enumerate(texts) if not text.strip()]:
            raise DataError(
                f"{data.name} has {len(empty)} of {len(texts)} rows whose {role} is empty, the first is row {empty[0]} "
                "(rows count from 0); there is nothing to learn to say. Fill them in, or leave them out."
            )
        return texts

    def fitting(self, groups: list[Group], name: str, room: int = 0) -> tuple[list[Group], RowNumbers]:
        """Return `groups` within the context, every prompt with its longest answer, and which of them are kept."""
        lengths = [len(g.prompt) + max((len(a.ids) for a in g.answers), default=room) for g in groups]
        long = [row for row, length in enumerate(lengths) if length > self.context]
        everything = np.arange(len(groups), dtype=np.int64)
        if not long:
            return groups, everything
        if self.too_long == "refuse":
            worst = max(long, key=lambda row: lengths[row])
            raise DataError(
                f"{name} has {len(long)} of {len(groups)} rows longer than the {self.context} tokens that the model "
                f"reads; the longest is row {worst} (rows count from 0) with {lengths[worst]}. Shorten them, or let "
                'the method cut or skip them: too_long="cut" or too_long="skip".'
            )
        if self.too_long == "skip":
            kept = everything[[length <= self.context for length in lengths]]
            if not len(kept):
                raise DataError(f"All {len(groups)} rows of {name} are longer than {self.context} tokens.")
            return [groups[row] for row in kept], kept
        return [_cut(group, self.context, room) for group in groups], everything


def _cut(group: Group, context: int, room: int) -> Group:
    answers = [Answer(a.ids[: context - 1], None if a.mask is None else a.mask[: context - 1]) for a in group.answers]
    left = context - max((len(answer.ids) for answer in answers), default=room)
    return Group(group.prompt[len(group.prompt) - left :] if len(group.prompt) > left else group.prompt, answers)


def _shared(talks: Sequence[list[Message]]) -> list[Message]:
    """The messages that all of `talks` begin with; the answer of each is what follows."""
    return talks[0][: min(*(_alike(talks[0], talk) for talk in talks), *(len(talk) - 1 for talk in talks))]


def _alike(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Number of elements that two sequences begin with alike."""
    both = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))


def text_columns(data: Data) -> tuple[str, ...]:
    """The columns with the role text; without any, the inputs that are text."""
    return data.roles.get("text") or tuple(column.name for column in data.inputs if column.kind == "text")


def strings(data: Data, column: str, rows: NDArray[np.int64]) -> list[str]:
    """The texts of `column` in `rows` of `data`; missing ones are empty."""
    return ["" if value is None else str(value) for value in data.columns[column].take(data.rows[rows])]
