"""The grader. A chapter's author writes two things. In `checks/experiments/chNN_….py`:

    @experiment("5.3", "q_sample keeps the variance at one", points=3, hint="which power of alpha_bar?")
    def variance_is_kept(impl):
        return {"x_t": impl.q_sample(...)}

and in `checks/mistakes/chNN_….py`:

    misconception("5.3", "alpha_bar where its square root belongs",
                  edit=("alpha_bar.sqrt() * x_0", "alpha_bar * x_0"))

An experiment runs on the learner's code and on `ddpm_ref`, each in a process of its own, and the judge
compares what the two returned (`checks/compare.py`). Mistakes are made in the reference, to see whether it
then gives what the learner's code gave. The judge reads such files without running them
(`checks/catalogue.py`), so the arguments here are literals.
"""

from __future__ import annotations  # so that a Python that is too old comes as far as saying so


def experiment(
    id: str,
    title: str,
    points: int,
    hint: str | tuple[str, ...] = (),
    star: bool = False,
):
    """Declare the function below as an experiment.

    It takes an implementation (`impl.NAME` is the learner's or the reference's NAME) and returns what it
    saw: a dictionary of tensors, numbers, strings, None, or lists and dictionaries of those. It may
    observe only what the specification fixes, since every right program has to give the same.

    Args:
        id: of the exercise, chapter and number, such as "4.2"; the `TODO(4.2)` of the stub. Several
            experiments may share it. Function `skip_order` then has the name "4.2-skip-order".
        title: what holds when it passes, as a statement.
        points: for passing it, all or none.
        hint: one, or several of which each says more than the one before.
        star: optional work; its points are not part of the sum to be reached.
    """
    return lambda function: function


def misconception(
    id: str,
    says: str,
    edit: tuple,
    equal: str | None = None,
    draws: str | None = None,
) -> None:
    """Declare a known mistake: what to tell a learner, and how the reference has to be spoilt to make it.

    Args:
        id: of the exercise whose experiments catch it.
        says: the mistake in a sentence, as the learner reads it. Unique in its chapter.
        edit: (old, new), or several of these: text of the chapter's module in `ddpm_ref`, where old
            must occur exactly once.
        equal: why no experiment can see it (equal by algebra); it is listed, and the tests make sure
            that it really is not seen.
        draws: name of its picture in docs/gallery, where it has one; see `checks.gallery`.
    """
