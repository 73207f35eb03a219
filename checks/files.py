"""Files that appear whole or not at all, and the one exception that a user is meant to read."""

import json
import os
from contextlib import suppress
from pathlib import Path


class Problem(ValueError):
    """Something the user can put right; one sentence that says what and how. Exit code 2."""


def read_json(path: Path) -> dict:
    """What `write_json` has written there; {} for anything else, and for nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content) -> None:
    """As `write_text` does."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write beside the file and rename, so that nobody ever reads half of it; to a device, into it.

    Raises:
        Problem: when it cannot be written.
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = text.encode(encoding, "replace")  # a path need not be Unicode
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(data)
            return
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise Problem(f"Cannot write {path} ({error.strerror}): choose another place.") from error
