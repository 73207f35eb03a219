"""What a person sees while a command works: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
_err = Console(highlight=False, soft_wrap=True, stderr=True)


class _Rate(ProgressColumn):
    """Units a second, with the name of the unit."""

    def render(self, task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="cyan")


@contextmanager
def bar(what: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
    """A progress bar with rate and time left; yields advance(amount, note="").

    Where the output is no terminal there is one line at the end.
    """
    began, done = time.monotonic(), 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=total, unit=unit, note="")

        def advance(amount: float = 1, note: str = "") -> None:
            nonlocal done
            done += amount
            changed = {"note": note} if note else {}
            progress.update(task, advance=amount, **changed)

        yield advance
    out.print(f"{what}: {done:,.0f} {unit} in {time.monotonic() - began:.1f} s")


def tracker(what: str, unit: str = "steps") -> Callable[[Sequence], Iterator]:
    """A bar in the form that data sets and the judge take as `progress`: it wraps a sequence."""

    def wrap(sequence: Sequence) -> Iterator:
        with bar(what, len(sequence), unit) as advance:
            for item in sequence:
                yield item
                advance()

    return wrap


def problem(sentence: str) -> None:
    """Say on standard error what is wrong."""
    _err.print(f"[bold red]error:[/] {escape(sentence)}")
