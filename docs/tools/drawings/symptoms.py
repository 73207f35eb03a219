"""The gallery: which checks see each of the mistakes that are pictured there."""

from docs.tools.stamped import figure


@figure(
    "symptoms.json",
    "checks/experiments/ch03_residual_block.py",
    "checks/experiments/ch04_unet.py",
    "checks/experiments/ch05_forward_noise.py",
    "checks/experiments/ch06_loss.py",
    "checks/experiments/ch07_sampling.py",
    "checks/mistakes/ch03_residual_block.py",
    "checks/mistakes/ch04_unet.py",
    "checks/mistakes/ch05_forward_noise.py",
    "checks/mistakes/ch06_loss.py",
    "checks/mistakes/ch07_sampling.py",
    "checks/compare.py",
    "checks/lab.py",
)
def checks_that_see() -> str:
    """By the name of the picture: the experiments of the mistake's exercise that fail with it."""
    import json

    from checks.compare import differences
    from checks.gallery import pictured
    from checks.grader import Grader

    found: dict[str, list[str]] = {}
    with Grader() as grader:
        for name, (chapter, mistake) in pictured().items():
            reference, place = grader.reference(chapter), chapter.misconceptions.index(mistake)
            found[name] = []
            for e in (e for e in chapter.experiments if e.id == mistake.id):
                answer, fill = reference.recognise(
                    e, lambda fill, e=e, r=reference, k=place: r.observe(e, (k,), fill=fill)
                )
                if differences(reference.observe(e, fill=fill), answer):
                    found[name].append(e.name)
    return json.dumps(found, indent=1) + "\n"
