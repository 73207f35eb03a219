"""Files that appear whole or not at all, and the one exception that a user is meant to read."""

import json
import os
from pathlib import Path


class Problem(ValueError):
    """Something the user can put right; one sentence that says what and how. Exit code 2."""


def write_json(path: Path, content) -> None:
    """Write beside the file and rename, so that nobody ever reads half of it.

    Raises:
        Problem: when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        beside.write_bytes(text.encode("utf-8", "replace"))  # a path need not be Unicode
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Problem(f"Cannot write {path} ({error.strerror}): choose another place.") from error
