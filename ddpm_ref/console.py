"""What a person sees while a command works, bars on a terminal and plain lines elsewhere; and Ctrl-C."""

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.color import Color
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.style import Style
from rich.text import Text

from ddpm_ref.errors import UserError

# No markup: names of files and classes may have square brackets.
out = Console(highlight=False, soft_wrap=True, markup=False)
_err = Console(highlight=False, soft_wrap=True, stderr=True)


class _Rate(ProgressColumn):
    """Units a second, with the name of the unit."""

    def render(self, task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="cyan")


def _columns():
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )


@contextmanager
def bar(what: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
    """A progress bar with rate and time left; yields advance(amount).

    What took more than two seconds leaves one line, also where the output is no terminal.
    """
    began, done = time.monotonic(), 0
    with Progress(
        *_columns(), console=out, disable=not out.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(what, total=total, unit=unit, note="")

        def advance(amount: float = 1) -> None:
            nonlocal done
            done += amount
            progress.update(task, advance=amount)

        yield advance
    if time.monotonic() - began > 2:
        out.print(f"{what}: {done:,.0f} {unit} in {time.monotonic() - began:.1f} s")


class TrainingView:
    """The live view of a training: progress, loss, memory, and the last picture drawn, small.

    `training_view` makes one. Where the output is no terminal it shows nothing.
    """

    def __init__(self, live: Live, progress: Progress, task):
        self._live, self._progress, self._task = live, progress, task
        self._steps = 0

    def on_step(self, images: int, loss) -> None:
        self._steps += 1
        self._progress.advance(self._task, images)
        if self._live.is_started and self._steps % 20 == 0:  # looking at the loss makes a GPU wait
            note = f"loss {loss.item():.4f}, {_memory(loss.device)}"
            self._progress.update(self._task, note=note)

    def set_done(self, images_seen: int) -> None:
        """How far the training is; matters when it began in the middle."""
        self._progress.update(self._task, completed=images_seen)

    def validating(self, batches: Iterable) -> Iterator:
        for batch in batches:
            self._progress.update(self._task, note="validating")
            yield batch

    def show(self, picture: Path, image_size: int) -> None:
        """Put a row of small pictures below the bar, as many as the terminal is wide."""
        if self._live.is_started and picture.is_file():
            self._live.update(Group(self._progress, _as_text(picture, image_size, out.width)))


@contextmanager
def training_view(images: int) -> Iterator[TrainingView]:
    """A `TrainingView` for so many images."""
    began = time.monotonic()
    progress = Progress(*_columns(), console=out)
    task = progress.add_task("training", total=images, unit="images", note="")
    with Live(progress, console=out, transient=True, auto_refresh=out.is_terminal) as live:
        if not out.is_terminal:
            live.stop()
        yield TrainingView(live, progress, task)
    out.print(f"training: {time.monotonic() - began:.1f} s")


def _memory(device) -> str:
    """What this process holds of the GPU, or at most held of the machine's memory."""
    if device.type == "cuda":
        import torch

        return f"{torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB"
    try:
        import resource
    except ImportError:  # Windows
        return ""
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"


def _as_text(picture: Path, image_size: int, width: int) -> Text:
    """Two pixels a character, one above the other: upper half block in one colour on the other."""
    from PIL import Image

    with Image.open(picture) as image:
        image = image.convert("RGB")
    if image_size > 16:
        factor = 16 / image_size
        image = image.resize((round(image.width * factor), round(image.height * factor)))
    text = Text()
    for y in range(0, image.height - 1, 2):
        for x in range(min(image.width, width)):
            upper, lower = image.getpixel((x, y)), image.getpixel((x, y + 1))
            text.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        text.append("\n")
    return text


def tracker(what: str, unit: str = "steps") -> Callable[[Sequence], Iterator]:
    """A bar in the form that data sets and the judge take as `progress`: it wraps a sequence."""

    def wrap(sequence: Sequence) -> Iterator:
        with bar(what, len(sequence), unit) as advance:
            for item in sequence:
                yield item
                advance()

    return wrap


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and the end of the terminal instead of dying of them; yields the list.

    A second Ctrl-C does what it always does; under nohup the terminal may end.
    """
    received: list[int] = []

    def note(number, frame):
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def told() -> Iterator[None]:
    """Within it, what a user can put right is one sentence and exit code 2: for programs beside `ddpm`."""
    try:
        yield
    except UserError as error:
        problem(str(error))
        sys.exit(2)


def problem(sentence: str) -> None:
    """Say on standard error what is wrong."""
    _err.print(f"[bold red]error:[/] {escape(sentence)}")
