"""Text of data that is shown to people: what a terminal would act on is made visible instead."""

ESCAPED = frozenset({0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF})
"""Marks that turn text around, join or end lines unseen: bidirectional overrides, separators, invisible operators."""
PICTURES = {**{code: chr(0x2400 + code) for code in range(0x20)}, 0x7F: "␡"}
CONTROL = {
    **PICTURES,
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in ESCAPED},
}
KEPT = {code: text for code, text in CONTROL.items() if chr(code) not in "\n\t"}


def visible(text: str, *, one_line: bool = False) -> str:
    r"""`text` with every control character but line ends and tabs replaced by what shows it: ␛ for an escape.

    Replaced are C0, DEL, C1, and marks that turn text around or cannot be seen; \x9b and \u202e are written so.
    one_line: whether line ends and tabs are shown as well, since a stranger's name could fake a line of ours.
    """
    return text.translate(CONTROL if one_line else KEPT)
