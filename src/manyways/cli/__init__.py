"""The command `manyways`: what each part can do, from a terminal.

This file imports nothing heavy, so that help and mistakes are answered at once; each command has its module.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from manyways.visible import visible

COMMANDS = {
    "compare": "Compare ways of learning on your data, side by side under one budget.",
    "advise": "Say which ways of learning your data allows, and what the others lack.",
    "fit": "Train a model by one method, or by a chain of them, and save it.",
    "predict": "Predict the label of every row with a saved model, or answer its prompt.",
    "embed": "Embed every row with a saved model: its features, a vector a row.",
    "generate": "Let a saved language model go on from prompts, or draw rows from a saved VAE or GAN.",
    "methods": "List all methods, or show one with its fields.",
    "lineage": "Show what a model was made from, and which models some rows or a person reached.",
    "forget": "Make every model forget some rows, or all of a person's, and write a receipt.",
    "verify": "Learn again what a receipt says, and compare the weights.",
    "keys": "Make a key to sign receipts with, or sign a receipt.",
    "store": "List the models that are kept, check them, or save one to a folder.",
}
"""Every command and what it does; the module `manyways.cli.<command>` holds its `main`."""

EXAMPLES = """\
examples:
  manyways compare digits --labels 40 --report report.html
  manyways compare photos/ --labels 100 --methods supervised,fixmatch,'simclr >> fixmatch'
  manyways advise reviews.csv --label stars
  manyways fit fixmatch digits --labels 40 --budget 20s --out model
  manyways predict model new.csv --out predictions.csv
  manyways embed model new.csv --out vectors.npy
  manyways fit active-learning reviews.csv --label stars --ask questions.csv --questions 40 --out model
  manyways fit ppo CartPole-v1 --out model
  manyways fit pretrain novel.txt --tokenizer characters --test-share 0.1 --out writer
  manyways fit sft answers.jsonl --checkpoint path/to/model --lora 8 --out assistant
  manyways generate writer --prompt 'It was' --temperature 0.8
  manyways fit vae photos/ --out painter
  manyways generate painter --count 100 --out pictures.png
  manyways compare digits --tasks 5 --methods replay,ewc,supervised
  manyways lineage model --subject ann
  manyways forget --subject ann --receipt receipt.json
  manyways verify receipt.json --model model

DATA is a CSV, TSV, JSON Lines, JSON, Parquet, IDX, .npz or .npy file, a .txt file of running text, a folder or
.zip with a folder per class of images or sounds, a data set on the Hugging Face Hub (hub:owner/name), or one of
digits, breast-cancer, wine, diabetes and arithmetic, which are built in. Columns called prompt, completion,
messages, text, chosen and rejected are what language models learn from; name others so: --role prompt=question.
An environment of Gymnasium stands in the place of data for methods that learn by acting: CartPole-v1, and
module:Name-v0 for one that your module registers.
"""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

AWAITING = 3
"""The exit code where a person is asked for labels, and has not given them yet."""

TERMINATED = 143
"""The exit code after SIGTERM: 128 + SIGTERM."""

READER_GONE = 141
"""The exit code where the reader of a pipe has gone: 128 + SIGPIPE."""


def usage() -> str:
    """The help of `manyways` itself."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return (
        "usage: manyways COMMAND …\n\nEvery way a model can learn, behind one verb.\n\n"
        f"commands:\n{commands}\n\n{EXAMPLES}\n"
        "`manyways COMMAND --help` shows the options of a command, `manyways --version` the version.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (without the program's name) gives, and return the exit code.

    0: done; 1: nothing could be compared, or a receipt is not shown to hold; 2: refused, with one line on stderr that
    begins with `error:`; 3: answers of a person are awaited; 130: interrupted; 143: ended by SIGTERM, which does what
    Ctrl-C does; 141: the reader of a pipe has gone.
    """
    from manyways.training.interruption import terminable, terminated

    with terminable():
        code = _main(argv)
        return TERMINATED if code == INTERRUPTED and terminated() else code


def _main(argv: Sequence[str] | None) -> int:
    from manyways.errors import ManywaysError

    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _console():
            code = _run(arguments)
            sys.stdout.flush()
    except ManywaysError as error:
        from manyways.cli.wording import as_typed

        print(visible(f"error: {as_typed(str(error))}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        from manyways.whole import is_full

        if isinstance(error, BrokenPipeError):
            # Python flushes the rest at exit, and would complain about the closed pipe once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return READER_GONE
        if not is_full(error):
            raise
        where = f" of {error.filename}" if error.filename else ""
        print(
            f"error: The disk{where} is full. Make room, or set MANYWAYS_HOME to a folder on another disk.",
            file=sys.stderr,
        )
        return 2
    return code


@contextmanager
def _console() -> Iterator[None]:
    """Warnings of data as one line each, and ? in place of characters that the console cannot show."""
    from manyways.errors import DataWarning

    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    reported: set[str] = set()
    plain = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, DataWarning):
            plain(visible(str(message)), category, *where, **more)
        elif str(message) not in reported:
            reported.add(str(message))
            print(visible(f"caution: {message}"), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def _run(arguments: list[str]) -> int:
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if command == "--version":
        from manyways.version import __version__

        print(f"manyways {__version__}")
        return 0
    if command not in COMMANDS:
        from manyways.errors import ParameterError, did_you_mean

        raise ParameterError(
            f"There is no command {command!r}; commands are {', '.join(COMMANDS)}.{did_you_mean(command, COMMANDS)}"
        )
    return int(import_module(f"{__name__}.{command}").main(rest))
