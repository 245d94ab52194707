"""Conversations in the cells of a table: the formats that people have, brought to one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.errors import DataError

Message = dict[str, Any]
ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython")
"""Roles that may speak. A template may know fewer, and then refuses the others in its own words."""
SHAREGPT = {"human": "user", "gpt": "assistant", "bing": "assistant", "chatgpt": "assistant"}
"""Speakers as ShareGPT's form `{"from": …, "value": …}` calls them."""


def conversations(data: Data, role: str, rows: NDArray[np.int64]) -> list[list[Message]]:
    """The messages that the column of `role` holds in `rows`, as `messages_of` gives them."""
    column = data.columns[data.roles[role][0]]
    return [
        messages_of("" if text is None else str(text), place(data, row))
        for row, text in zip(rows.tolist(), column.take(data.rows[rows]), strict=True)
    ]


def holds_conversations(data: Data, role: str) -> bool:
    """True if the column of `role` holds lists of messages, by the first of its values that is there."""
    if not data.has(role):
        return False
    if role == "messages":
        return True
    values = data.columns[data.roles[role][0]].take(data.rows)
    first = next((str(value) for value in values if value is not None and str(value).strip()), "")
    if not first.lstrip().startswith("[{"):
        return False
    try:
        held = json.loads(first)
    except ValueError:
        return False
    return all(isinstance(each, dict) and ({"role", "from"} & each.keys()) for each in held)


def place(data: Data, row: int) -> str:
    """Name of a row in errors."""
    return f"row {row} of {data.name} (rows count from 0)"


def messages_of(text: str, where: str) -> list[Message]:
    """The conversation that `text`, JSON, holds: messages with a role and a content that is text.

    Of a content in parts the texts are joined; ShareGPT's form is read, too. Raises DataError, with the turn, for all
    that is no conversation, for a speaker that no template knows and for a content that is no text.
    """
    try:
        messages = json.loads(text)
    except (ValueError, RecursionError):
        messages = None
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise _no_conversation(text, where)
    return [_message(each, f"turn {turn} of {where}", text, where) for turn, each in enumerate(messages)]


def must_answer(messages: Sequence[Message], where: str) -> list[Message]:
    """`messages` in which the assistant says something.

    Raises:
        DataError: The assistant says nothing.
    """
    if any(message["role"] == "assistant" and _says_something(message) for message in messages):
        return list(messages)
    raise DataError(
        f"The conversation in {where} has no turn of the assistant, so there is nothing to learn to say. Leave it out, "
        "or add the answer."
    )


def prompt_turns(messages: Sequence[Message]) -> list[Message]:
    """The conversation up to the turn that is to be answered: all of it, or what precedes its last answer."""
    last = len(messages)
    while last and messages[last - 1]["role"] == "assistant":
        last -= 1
    return list(messages[:last])


def _message(message: Mapping[str, Any], here: str, text: str, where: str) -> Message:
    if "from" in message and "value" in message and "role" not in message:
        message = {"role": SHAREGPT.get(str(message["from"]), message["from"]), "content": message["value"]}
    role = message.get("role")
    if role not in ROLES or not ("content" in message or message.get("tool_calls")):
        raise _no_conversation(text, where)
    return {**message, "content": _content(message, here)}


def _content(message: Mapping[str, Any], here: str) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None and message.get("tool_calls"):
        return ""  # the form of a turn that only calls tools
    if isinstance(content, list) and all(isinstance(part, str | dict) for part in content):
        return "".join(part if isinstance(part, str) else _text_of(part, here) for part in content)
    got = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", dict: "an object"}
    raise DataError(
        f"The content of {here} is {got.get(type(content), 'a list of other things')}; it must be a text, or a list of "
        f'parts {{"type": "text", "text": …}}. Fill it in, or leave the row out.'
    )


def _text_of(part: Mapping[str, Any], here: str) -> str:
    if part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise DataError(
        f"The content of {here} has a part of the type {part.get('type')!r}; language models read parts of the type "
        "'text' alone. Leave out the row, or the part."
    )


def _says_something(message: Message) -> bool:
    return bool(message["content"].strip() or message.get("tool_calls"))


def _no_conversation(text: str, where: str) -> DataError:
    return DataError(
        f"{where[0].upper()}{where[1:]} holds no conversation: {text[:80]!r}. It must be a list of "
        f'{{"role": …, "content": …}} with the roles {", ".join(ROLES)}.'
    )
