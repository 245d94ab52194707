"""Messages in the spelling of the command line."""

import re
import shlex

SPELLINGS = (
    (re.compile(r"\bdata\.with_(labels|clients)\((\d+)\)"), lambda m: f"--{m[1]} {m[2]}"),
    (re.compile(r"\bheader=(True|False)"), lambda m: f"--header {'yes' if m[1] == 'True' else 'no'}"),
    (
        re.compile(r"""\bkinds=\{(["'])(.+?)\1: "(\w+)"\}"""),
        lambda m: f"--kinds {shlex.quote(f'{m[2]}={m[3]}')}",
    ),
    (re.compile(r'\bfunctions=\{"([^"]+)": …\}'), lambda m: f"--function {shlex.quote(f'{m[1]}=MODULE:FUNCTION')}"),
    (re.compile(r"\ballow=\[…\]"), lambda _: "--yes"),
    (
        re.compile(r'\b(prompt|completion|messages|text|chosen|rejected|client|task|time)="([^"]*)"'),
        lambda m: f"--role {m[1]}={shlex.quote(m[2]) if m[2] != '…' else '…'}",
    ),
    (
        re.compile(
            r'\b(label|input|part|bad_rows|image_size|sample_rate|header|decimal|checkpoint|backbone|too_long)=(?:"([^"]*)"|…)'
        ),
        lambda m: f"--{m[1].replace('_', '-')} {shlex.quote(m[2]) if m[2] not in (None, '…') else '…'}",
    ),
)


def as_typed(message: str) -> str:
    """`message` with what Python is told (`bad_rows="skip"`) as it is typed here (`--bad-rows skip`)."""
    for pattern, spelled in SPELLINGS:
        message = pattern.sub(spelled, message)
    return message


def command_line(command: str, *arguments: str) -> str:
    """The line to type, quoted for a shell."""
    return shlex.join(["manyways", command, *arguments])
