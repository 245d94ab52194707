"""Schema of a receipt: its members, their types, and those that must agree.

A receipt may be a stranger's. What passes here can still say what is not so; but it says it in the words of a receipt.
"""

import math
import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from manyways.checked_json import Described, brief, checked
from manyways.errors import StoreError
from manyways.lineage.store.model_record import FORGOTTEN
from manyways.lineage.terms import (
    ASSEMBLE,
    BITWISE,
    DELETE,
    GONE,
    LEARNED_ANEW,
    NEARLY,
    NO_PROOF,
    RETRAIN,
    TAKEN_OUT,
)  # fmt: skip

SCHEMA = "manyways.receipt/1"
MEMBERS = ("schema", "manyways", "time", "request", "rows", "models", "data", "audit", "copies", "hash")
VERSIONS = ("python", "manyways", "torch", "numpy", "scikit-learn")
"""Packages whose version a lineage must state; others may be among them."""
MACHINE = ("device", "threads", "processor")
MOST_ROWS = 1 << 40
MOST_STEPS, MOST_THREADS = 10**12, 1024

ROW, KEY = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"[0-9]+(\.[0-9A-Za-z+_-]+)*")
STORED = re.compile(r"words|object|bool|u?int(8|16|32|64)|float(16|32|64)|(str|bytes)[0-9]{1,6}")
"""Types that the values of a column may be stored as."""
ROLE = re.compile(r"start|parent|part:.+|field:.+", re.DOTALL)


def check_schema(content: Any, where: str) -> None:
    """Raise StoreError where `content` has not the form of a receipt, or contradicts itself."""
    top = Described(checked(content, dict, where, StoreError), where, StoreError)
    schema = top.members.get("schema")
    if not str(schema).startswith("manyways.receipt/"):
        raise StoreError(f"{where} is no receipt of Manyways: its schema is {brief(schema)}.")
    if schema != SCHEMA:
        raise StoreError(f"{where} has the schema {schema}; this version reads {SCHEMA}.")
    _only(top, MEMBERS, "signature")
    _matches(top, "manyways", VERSION, "a version")
    _check_time(top)
    _check_rows(top)
    data = top.object("data")
    models = top.objects("models")
    for at, model in enumerate(models):
        _check_model(model, at, data)
    for key in data.members:
        check_data(data.object(key))
    used = {str(model.members["after"]["data"]) for model in models if model.members["after"] is not None}
    if strange := [key for key in data.members if key not in used]:
        raise StoreError(f"{where} has data {brief(strange[0])}, which no model of it was learned from.")
    for entry in top.objects("audit") if top.members["audit"] is not None else ():
        if not 0 <= entry.get("model", int) < len(models):
            raise StoreError(f"{entry.where} is of model {entry.members['model']}, and there are {len(models)}.")
    top.all("copies", str)
    top.get("hash", str)
    if "signature" in top.members:
        _check_signature(top.object("signature"))


def _only(of: Described, names: Collection[str], *also: str) -> None:
    """Raise StoreError unless `of` has all of `names` as members, and no others but for those of `also`."""
    for name in names:
        if name not in of.members:
            raise StoreError(f"{of.where} lacks `{name}`; it is damaged, or none of Manyways.")
    if strange := [name for name in of.members if name not in names and name not in also]:
        raise StoreError(f"{of.where} has a member {brief(strange[0])}, which receipts of this version do not have.")


def _matches(of: Described, key: str, form: re.Pattern[str], what: str) -> str:
    text = of.get(key, str)
    if not form.fullmatch(text):
        raise StoreError(f"`{key}` of {of.where} must be {what}; got {brief(text)}.")
    return text


def _whole(of: Described, key: str, least: int, most: int) -> int:
    value = of.get(key, int)
    if not least <= value <= most:
        raise StoreError(f"`{key}` of {of.where} must be in [{least}, {most}]; got {brief(value)}.")
    return value


def _check_time(top: Described) -> None:
    text = top.get("time", str)
    try:
        known = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise StoreError(
            f"`time` of {top.where} must be a time as ISO 8601 writes it, with its zone; got {brief(text)}."
        )


def _check_rows(top: Described) -> None:
    request = top.object("request")
    _only(request, ("subject", "rows", "how"), "counted")
    request.get("subject", str, None)
    request.get("how", str)
    count, rows = _whole(request, "rows", 0, MOST_ROWS), top.all("rows", str)
    if strange := [row for row in rows if not ROW.fullmatch(row)]:
        raise StoreError(f"A row id in `rows` of {top.where} has 32 hexadecimal digits; got {brief(strange[0])}.")
    if len(set(rows)) != count or len(rows) != count:
        raise StoreError(
            f"{top.where} says that {count:,} rows were forgotten, and lists {len(set(rows)):,} rows. It contradicts "
            "itself, and proves nothing."
        )
    if "counted" in request.members:  # copies of a row are one row
        _whole(request, "counted", count, MOST_ROWS)
    if not count:
        raise StoreError(f"{top.where} names no rows: it says of nobody that he was forgotten, and proves nothing.")


def _check_model(model: Described, place: int, data: Described) -> None:
    has_successor = model.members.get("after") is not None
    own = ("title", "how", "guarantee", "note", "rows", "before", "after")
    _only(model, (*own, "made_from", "folders") if has_successor else own)
    model.get("title", str)
    model.get("note", str)
    rows = model.object("rows")
    _only(rows, ("forgotten", "given"))
    _whole(rows, "forgotten", 0, _whole(rows, "given", 0, MOST_ROWS))
    before = model.object("before")
    _only(before, ("id", "weights"))
    for key in ("id", "weights"):
        _matches(before, key, KEY, "a SHA-256, 64 hexadecimal digits")
    _check_way(model, has_successor)
    if not has_successor:
        return
    after = model.object("after")
    _only(after, ("id", "weights", "lineage", "data"))
    for key in ("id", "weights"):
        _matches(after, key, KEY, "a SHA-256, 64 hexadecimal digits")
    check_lineage(after.object("lineage"), model.get("guarantee", str) != NO_PROOF)
    if after.members["data"] is not None and str(after.get("data", int)) not in data.members:
        raise StoreError(f"{after.where} refers to data {after.members['data']}, which is not there.")
    _check_made_from(model, place)


def _check_way(model: Described, has_successor: bool) -> None:
    """Raise StoreError unless its way of forgetting and its guarantee are words of a receipt that go together."""
    how, guarantee = model.get("how", str), model.get("guarantee", str)
    if has_successor == (how == DELETE):
        state = "has" if has_successor else "lacks"
        raise StoreError(f"{model.where} is called {brief(how)}, and {state} a model in its place.")
    known = how in (RETRAIN, ASSEMBLE, DELETE) or how.endswith(f" {TAKEN_OUT}") or guarantee == NO_PROOF
    promised = (
        guarantee == GONE
        if how == DELETE
        else guarantee in (BITWISE, NEARLY, NO_PROOF) or guarantee.startswith(LEARNED_ANEW)
    )
    if not known or not promised:
        raise StoreError(
            f"{model.where} is called {brief(how)} with the guarantee {brief(guarantee)}, which no receipt of this "
            "version says."
        )


def _check_made_from(model: Described, number: int) -> None:
    sources = model.object("made_from")
    for role in sources.members:
        source = sources.object(role)
        if not ROLE.fullmatch(role):
            raise StoreError(
                f"{sources.where} has the role {brief(role)}; allowed are start, parent, part:… and field:…."
            )
        _only(source, ("model",) if "model" in source.members else ("id",))
        if "id" in source.members:
            _matches(source, "id", KEY, "a SHA-256, 64 hexadecimal digits")
        else:
            _whole(source, "model", 0, number - 1)
    for place in model.all("folders", str):
        if f"field:{place}" not in sources.members:
            raise StoreError(f"`folders` of {model.where} has {brief(place)}, which `made_from` has not.")


def check_lineage(lineage: Described, again: bool) -> None:
    """Raise StoreError where a lineage has not the form that it has in receipts.

    again: whether its model is to be learned again, for which it must say under which versions and where.
    """
    _only(
        lineage,
        ("method", "title", "seed", "budget", "data", "fingerprint", "rows", "steps", "seconds", "versions", "facts",
         "plan", "machine"),
    )  # fmt: skip
    lineage.object("method").get("name", str)
    for key in ("title", "budget", "data"):
        lineage.get(key, str)
    _whole(lineage, "seed", 0, 2**32 - 1)
    _whole(lineage, "rows", 0, MOST_ROWS)
    _whole(lineage, "steps", 0, MOST_STEPS)
    seconds = lineage.get("seconds", float)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise StoreError(f"`seconds` of {lineage.where} must be 0 or more; got {brief(seconds)}.")
    _whole(lineage.object("facts"), FORGOTTEN, 0, MOST_ROWS)
    _check_members(lineage, "versions", lambda of, key: _matches(of, key, VERSION, "a version"))
    _check_members(lineage, "machine", lambda of, key: of.get(key, str))
    _check_members(lineage, "plan", _check_steps)
    if again:
        _check_stated(lineage)


def _check_stated(lineage: Described) -> None:
    """Raise StoreError unless all is stated that decides whether the weights can be compared at all."""
    _matches(lineage, "fingerprint", ROW, "a fingerprint, 32 hexadecimal digits: without it nobody knows the data")
    for key, names in (("versions", VERSIONS), ("machine", MACHINE)):
        stated = lineage.object(key).members
        if lost := [name for name in names if name not in stated]:
            raise StoreError(
                f"`{key}` of {lineage.where} does not state {', '.join(lost)}; without {'them' if lost[1:] else 'it'} "
                "nobody could say whether weights differ for another reason, so the receipt is refused."
            )
    threads = _matches(lineage.object("machine"), "threads", re.compile("[1-9][0-9]{0,3}"), "a number of threads")
    if int(threads) > MOST_THREADS:  # as many would be begun
        raise StoreError(f"`threads` of `machine` of {lineage.where} must be at most {MOST_THREADS}; got {threads}.")


def _check_members(of: Described, key: str, check: Callable[[Described, str], Any]) -> None:
    inner = of.object(key)
    for name in inner.members:
        check(inner, name)


def _check_steps(plan: Described, part: str) -> None:
    steps = plan.all(part, int)
    if len(steps) != 2 or not 0 <= steps[1] <= steps[0] <= MOST_STEPS:
        raise StoreError(f"`{part}` of {plan.where} must be two numbers of steps, planned and taken; got {steps}.")


def check_data(data: Described) -> None:
    """Raise StoreError where the data in a receipt have not their form."""
    _only(data, ("name", "origin", "roles", "fingerprint", "table", "used", "part", "visible", "chosen"))
    for key in ("name", "part", "visible"):
        data.get(key, str)
    for key in ("used", "chosen"):
        data.get(key, str, None)
    _whole(data, "table", 0, MOST_ROWS)
    _matches(data, "fingerprint", ROW, "a fingerprint, 32 hexadecimal digits: without it nobody knows the data")
    _check_members(data, "roles", lambda of, role: of.all(role, str))
    if data.members["origin"] is not None:
        _check_origin(data.object("origin"))


def _check_origin(origin: Described) -> None:
    from manyways.data.kinds import KINDS
    from manyways.data.options import OPTIONS
    from manyways.data.roles import ROLES

    _only(origin, ("source", "options", "columns", "steps"))
    if not origin.get("source", str):
        raise StoreError(f"`source` of {origin.where} is empty.")
    options = origin.object("options")
    if strange := [name for name in options.members if name not in {*OPTIONS, *ROLES} - {"environment"}]:
        raise StoreError(f"{options.where} has {brief(strange[0])}, which reading has no option or role for.")
    for key in ("test", "validation"):
        options.get(key, str, None)
    columns = origin.object("columns")
    for name in columns.members:
        said = columns.all(name, str)
        if len(said) != 2 or said[0] not in KINDS or not STORED.fullmatch(said[1]):
            raise StoreError(f"{columns.where} must say of {brief(name)} its kind and how it is stored.")
    for step in origin.get("steps", list):
        where = f"a step of {origin.where}"
        if not isinstance(step, list) or len(step) != 2 or not isinstance(step[0], str):
            raise StoreError(f"{where} must be a name and its arguments; got {brief(step)}.")
        checked(step[1], dict, f"the arguments of {where}", StoreError)


def _check_signature(signature: Described) -> None:
    _only(signature, ("algorithm", "public_key", "value"))
    _matches(signature, "algorithm", re.compile("Ed25519"), "Ed25519")
    _matches(signature, "public_key", KEY, "64 hexadecimal digits")
    _matches(signature, "value", re.compile("[0-9a-f]{128}"), "128 hexadecimal digits")
