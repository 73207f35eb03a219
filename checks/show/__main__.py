"""`python -m checks.show NUMBER SUBMISSION OUT lent|own`: what `python -m checks show` runs.

Unlike grading this runs the learner's code as it is, beside the reference: it is their own machine.
"""

import importlib
import sys
import traceback
from pathlib import Path

import torch

from checks.catalogue import chapters
from checks.child import ChapterFinder
from checks.grader import chapter_folders
from checks.report import problem, say
from ddpm_ref.errors import UserError


def main(number: str, submission: str, out: str, others: str) -> int:
    torch.manual_seed(0)
    asked = chapters()[int(number)]
    folders = chapter_folders(Path(submission), asked, own=others == "own")
    own_folder = folders.get(asked.folder)
    if own_folder is None or not (Path(own_folder) / f"{asked.module}.py").is_file():
        problem(
            f"{submission} has no {asked.folder}/{asked.module}.py, where the chapter is written."
        )
        return 2
    sys.meta_path.insert(0, ChapterFinder(folders, hidden=()))
    try:
        module = importlib.import_module(f"chapters.{asked.folder}.{asked.module}")
        sentence = importlib.import_module(f"checks.show.{asked.folder[:4]}").draw(
            module, Path(out)
        )
    except NotImplementedError as error:
        say(f"Nothing to show yet: {error or 'something is still to be written'}.")
        return 1
    except UserError as error:
        problem(str(error))
        return 2
    except Exception as error:
        if isinstance(error, OSError) and str(error.filename) == out:
            problem(f"Cannot write {out} ({error.strerror}): name another place with --out.")
            return 2
        problem(f"{type(error).__name__}: {error}")
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(str(folders[asked.folder])):
                say(f"  {Path(frame.filename).name}, line {frame.lineno}: {frame.line}", "dim")
        return 1
    say(f"{sentence}\n{out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
