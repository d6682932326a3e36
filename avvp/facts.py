"""Facts that a command computed once, from files that cannot be handed out: JSON with a schema."""

import json
from pathlib import Path
from typing import Any

from avvp.atomic import write_text
from avvp.errors import AvvpError


def write_facts(path: str | Path, facts: dict[str, Any]) -> None:
    """Write facts, whole or not at all."""
    write_text(path, json.dumps(facts, indent=2) + "\n")


def read_facts(path: str | Path, *, what: str, command: str, schema: int) -> dict[str, Any]:
    """What :func:`write_facts` wrote.

    Args:
        path: of the file.
        what: the facts, in the plural, for messages.
        command: that writes them anew.
        schema: of the file, its entry ``schema``.

    Raises:
        AvvpError: the file is missing, damaged or of another schema.
    """
    path, remedy = Path(path), f"write it anew with '{command}'"
    if not path.is_file():
        raise AvvpError(f"there are no {what} at {path}; {remedy}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise AvvpError(f"{path} is no JSON, perhaps half written; {remedy}.") from None
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise AvvpError(f"{path} does not hold {what} of schema {schema}; {remedy}.")
    return content
