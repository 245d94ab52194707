"""`manyways generate`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, Count, Pairs, at_least, one, pairs, parse
from manyways.cli.output import DESCRIPTION, check_file, say, write_out
from manyways.errors import ParameterError
from manyways.sheet import as_csv

if TYPE_CHECKING:
    from manyways.models.model import Model

Share = Annotated[float | None, one(float, "a number", "P"), UNSAID]


@dataclass(frozen=True)
class Generate:
    """Let a saved language model go on from prompts, or draw rows from a saved VAE or GAN.

    What is said to a --prompt is printed as it is. The prompts of DATA give CSV: the number of the row, counted
    from 0, the prompt, and what the model says. Drawn pictures go into one .png side by side, or into an .npz as they
    are; rows of a table into a CSV.
    """

    model: Annotated[Path, tyro.conf.Positional, arg(metavar="MODEL")]
    """Folder of a model that `manyways fit` saved, or of a language model of transformers or peft."""
    data: Annotated[str | None, tyro.conf.Positional, one(str, "a source", "[DATA]"), UNSAID] = None
    """Prompts: a table with a column prompt, or a .txt file with one on each line."""
    prompt: Annotated[tuple[str, ...], arg(metavar="TEXT …", help_behavior_hint="")] = ()
    """The beginning to go on from; - reads one from the terminal or a pipe."""
    role: Pairs = ()
    """The column of prompts, where it has another name: prompt=question."""
    chat: tyro.conf.FlagCreatePairsOff[bool] = False
    """Each prompt is the user's turn in a conversation, written as the model's chat template has it: the default for a
    checkpoint of transformers that has a template of its own, and has not been trained here since."""
    raw: tyro.conf.FlagCreatePairsOff[bool] = False
    """Each prompt is read as it is, whatever template there is."""
    longest: Annotated[int, one(int, "a whole number", "N")] = 128
    """The most tokens of an answer."""
    temperature: Annotated[float, one(float, "a number", "T")] = 0.0
    """0 says the most probable token; 1 draws from what the model has learned; less is less daring."""
    top_k: Count = None
    """Draw only from so many of the most probable tokens."""
    top_p: Share = None
    """Draw only from the fewest tokens that hold this share of the probability."""
    seed: Annotated[int, one(int, "a whole number", "N")] = 0
    """Another seed draws other tokens, or other rows."""
    count: Count = None
    """The number of rows that are drawn; by default 64."""
    of_class: Annotated[str | None, one(str, "a class", "CLASS"), UNSAID] = None
    """The class of all that is drawn, by a model that was told classes: gan(conditional=True)."""
    out: Annotated[str, arg(metavar="FILE")] = "-"
    """File of the CSV, - is the terminal; or a .png or .npz of what is drawn."""

    spreadsheet_safe: tyro.conf.FlagCreatePairsOff[bool] = False
    """Put an apostrophe before text that a spreadsheet would compute: what begins with = + - @, a tab or a line end,
    and is no number. Classes, names of columns and what models say may come from anybody."""

    def check(self) -> None:
        """Raise ParameterError for what is wrong before a language model is loaded."""
        if self.count is not None or self.of_class is not None:
            flag = "--count" if self.count is not None else "--of-class"
            raise ParameterError(f"{flag} is for models that draw rows; {self.model} is none.")
        if bool(self.prompt) == (self.data is not None):
            given = "both are" if self.prompt else "neither is"
            raise ParameterError(f"Prompts come from --prompt or from DATA, one of the two; {given} given.")
        if self.chat and self.raw:
            raise ParameterError("--chat writes prompts as turns of a conversation, --raw leaves them; both are given.")
        if self.prompt and self.out != "-":
            raise ParameterError("--out is for the CSV of DATA; what is said to a --prompt is printed.")
        if self.prompt and self.spreadsheet_safe:
            raise ParameterError("--spreadsheet-safe is for CSV; what is said to a --prompt is printed. Leave it out.")
        if self.role and self.data is None:
            raise ParameterError("--role names the column of DATA, and none is given.")
        at_least("--longest", self.longest, 1)
        at_least("--top-k", self.top_k, 1)
        at_least("--seed", self.seed, 0)
        at_least("--temperature", self.temperature, 0)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ParameterError(f"--top-p must be in (0, 1]; got {self.top_p}.")
        check_file("--out", None if self.out == "-" else Path(self.out))


def main(arguments: Sequence[str]) -> int:
    """Run `manyways generate`."""
    options = parse(Generate, "generate", arguments)
    if draws_rows(options.model):
        from manyways.cli.draw import draw

        return draw(options)
    options.check()
    from manyways.models.saving import load_model

    model = load_model(options.model)
    if options.data is None:
        prompts = [sys.stdin.read() if text == "-" else text for text in options.prompt]
        write_out("\n".join(answers(model, prompts, options)) + "\n")
        return 0
    prompts = prompts_of(options.data, dict(pairs("--role", options.role, "ROLE=COL, such as prompt=question")))
    rows = zip(range(len(prompts)), prompts, answers(model, prompts, options), strict=True)
    text = as_csv([["row", "prompt", "completion"], *rows], options.spreadsheet_safe)
    if options.out == "-":
        write_out(text)
        return 0
    from manyways.whole import write_whole

    write_whole(Path(options.out), text)
    say(f"{len(prompts):,} completions: {options.out}")
    return 0


def draws_rows(folder: Path) -> bool:
    """True if the model saved in `folder` draws rows, as its description says; nothing is loaded."""
    path = folder / DESCRIPTION
    try:
        return "sample" in json.loads(path.read_text(encoding="utf-8"))["gives"]
    except (OSError, ValueError, KeyError, TypeError):  # whatever is wrong is said when the model is loaded
        return False


def answers(model: "Model", prompts: list[str], options: Generate) -> list[str]:
    """The answers of `model` to each of `prompts`."""
    sampling: dict[str, Any] = {
        name: getattr(options, name) for name in ("longest", "temperature", "top_k", "top_p", "seed")
    }
    if options.chat or (not options.raw and turns_by_default(model, options.model)):
        turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
        replies: list[str] = model.replies(turns, **sampling)
        return replies
    completions: list[str] = model.generate(prompts, **sampling)
    return completions


def turns_by_default(model: "Model", folder: Path) -> bool:
    """True if prompts are turns where nothing is said of it; says on stderr what that means for this model.

    A checkpoint with a chat template of its own has learned to answer turns, and says little or nothing after a bare
    prompt. What it has been trained on here since may have been either.
    """
    from manyways.models.language.tokenizers import knows_chats

    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None or not knows_chats(tokenizer) or "generate" not in model.gives:
        return False
    trained_here = (folder / DESCRIPTION).is_file()
    reason = (
        "A prompt is read as it is. If the model has learned conversations, --chat makes it the user's turn"
        if trained_here
        else "A prompt is taken for the user's turn; --raw reads it as it is"
    )
    say(f"{folder} has a chat template of its own. {reason}.")
    return not trained_here


def prompts_of(source: str, roles: dict[str, Any]) -> list[str]:
    """The prompts in `source`: lines of a .txt file, or the column prompt of a table. Raises DataError without any."""
    from manyways.data.read import read
    from manyways.errors import DataError

    path = Path(source).expanduser()
    if path.suffix == ".txt" and path.is_file():
        lines = "".join(read(path).take("text")).splitlines()
        return [line for line in lines if line.strip()]
    data = read(source, label=(), **roles)
    if not data.has("prompt"):
        raise DataError(
            f'{data.name} has no column of prompts. Name it: prompt="…" with one of {", ".join(data.columns)}.'
        )
    return [str(value) for value in data.take(data.roles["prompt"][0])]
