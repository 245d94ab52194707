"""Write src/manyways/__init__.pyi, the types of what `import manyways` loads lazily: python tools/write_stub.py.

Type checkers and editors read there each public name and each built-in method, with its fields.
"""

from pathlib import Path

import manyways
from manyways.methods.discovery import GROUP, find_method, modules

STUB = Path(manyways.__file__).with_suffix(".pyi")
COMMAND = "python tools/write_stub.py"
HEAD = f'"""The public names and the built-in methods, for type checkers; `{COMMAND}` writes this file."""\n'


def stub() -> str:
    """Return the text of the stub: the table of public names, then the methods in the folders of the package."""
    members = [(manyways.version.__name__, "__version__")]
    renamed = {}
    for name, place in manyways._PLACES.items():
        module, _, attribute = place.partition(":")
        members.append((f"manyways.{module}", attribute or name))
        if attribute:
            renamed[name] = attribute
    for name, module in modules().items():
        if module.startswith(f"{GROUP}."):
            members.append((module, find_method(name).__name__))
    # A stub re-exports `X as X` alone; what has another name in public is assigned.
    imports = [
        f"from {module} import {name}" + f" as {name}" * (name not in renamed.values())
        for module, name in sorted(members)
    ]
    return "\n".join([HEAD, *imports, "", *(f"{name} = {member}" for name, member in renamed.items()), ""])


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
