"""The one exception that a user is meant to read."""

import difflib
from contextlib import contextmanager


class UserError(ValueError):
    """Something the user can put right. The message is one sentence that says what and how.

    The command line prints it without a traceback and exits with code 2. It is a `ValueError`, so
    that callers of the Python API need to know nothing about it.
    """


@contextmanager
def readable(what: str):
    """Within it, a `ValueError` of the library becomes a `UserError` that begins with `what`."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{what}: {error}.") from error


@contextmanager
def telling(sentence: str):
    """Within it, any error becomes a `UserError` of this sentence; that a library is missing stays.

    For what is read from a header: a damaged one can say anything, and torch answers in as many ways.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise UserError(sentence) from error


def first_line(error: Exception) -> str:
    """What an error of another library says, as a part of a sentence; its kind when it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def closest_hint(word: str, choices) -> str:
    """Which choices there are, and which of them looks most like `word`, if any does."""
    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(word).lower(), choices, n=1)
    if close:
        return f'did you mean "{close[0]}"? Known: {", ".join(choices)}'
    return f"known: {', '.join(choices)}"
