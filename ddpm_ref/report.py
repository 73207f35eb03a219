"""One HTML file that tells the story of a run: nothing to install, nothing to fetch, easy to send."""

import base64
import io
import json
from contextlib import contextmanager
from html import escape
from pathlib import Path

from PIL import Image

from ddpm_ref.clip.scores import CLIP_ROWS, clip_ways
from ddpm_ref.errors import UserError
from ddpm_ref.files import write_atomically
from ddpm_ref.painting import Painter
from ddpm_ref.pictures import curves, encode, grid, stack, zoom_for
from ddpm_ref.recipes import steps_of, with_sampling
from ddpm_ref.runs import Run

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
img { max-width: 100%; height: auto; image-rendering: pixelated; }
img.curves { image-rendering: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .9rem; text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr { border-bottom: 1px solid #ddd; } .wide { overflow-x: auto; }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; }
"""


def progression(run: Run) -> Image.Image | None:
    """The same noise over the epochs: one row an epoch, at most twelve, evenly chosen."""
    samples = (run.folder / "samples").glob("epoch-*.png")
    files = [file for file in samples if file.stem.split("-")[1].isdecimal()]
    files.sort(key=_epoch_of)  # names may have more than four digits
    if not files:
        return None
    count = min(12, len(files))
    chosen = [files[round(k * (len(files) - 1) / max(1, count - 1))] for k in range(count)]
    zoom = zoom_for(run.config().model.image_size, 48)
    pictures = []
    for file in chosen:
        with _readable_picture(file), Image.open(file) as picture:
            large = (picture.width * zoom, picture.height * zoom)
            pictures.append(picture.convert("RGB").resize(large, Image.Resampling.NEAREST))
    return stack(pictures, [f"epoch {_epoch_of(file)}" for file in chosen])


def _epoch_of(file: Path) -> int:
    return int(file.stem.split("-")[1])


@contextmanager
def _readable_picture(file: Path):
    try:
        yield
    except OSError as error:
        raise UserError(f"{file} is no picture: remove it.") from error


def write_report(run: Run, painter: Painter, path: Path) -> None:
    """Collect what a run has: recipe, curves, pictures, progression, scores."""
    about, metrics = run.about(), run.metrics()
    parts = [
        f"<h1>{escape(run.folder.name)}</h1>",
        f"<p><code>{escape(str(about.get('command', '')))}</code></p>",
    ]
    if metrics:
        last = metrics[-1]
        parts.append(
            f"<p>{last['images_seen']:,.0f} images seen in {last['epoch']:.0f} epochs and "
            f"{last['seconds']:,.0f} seconds; validation loss {last['val_loss']:.4f}.</p>"
        )
    if evaluation := run.numbers("evaluation.json"):
        with _complete(run, "evaluation.json"):
            parts += ["<h2>Scores</h2>", _scores(evaluation)]
            seen = evaluation.get("images_seen")
            if metrics and seen is not None and seen != metrics[-1]["images_seen"]:
                parts.append(
                    f"<p>Measured when {seen:,} images had been seen, not after the "
                    f"{metrics[-1]['images_seen']:,.0f} of now: <code>ddpm evaluate</code> does it anew.</p>"
                )
            if "clip_model" in evaluation:
                parts += ["<h2>CLIP</h2>", *_clip(run, evaluation)]
    parts += ["<h2>Samples</h2>", *_samples(run, painter)]
    with _complete(run, "rerank.json"):
        parts += _reranked(run)
    with _complete(run, "guide.json"):
        parts += _guided(run)
    if (picture := progression(run)) is not None:
        parts += [
            "<h2>Progress</h2>",
            "<p>The same noise, drawn after each of these epochs, without guidance.</p>",
            embedded(encode(picture), "One row an epoch, one column a class"),
        ]
    if metrics:
        parts += [
            "<h2>Loss</h2>",
            "<p>A poor signal on its own: small timesteps rule the mean, large ones the shapes.</p>",
            embedded(curves(metrics), "Training and validation loss over images seen", "curves"),
        ]
    recipe = escape(json.dumps(about["config"], indent=2))
    parts += ["<h2>Recipe</h2>", f"<pre>{recipe}</pre>"]
    write_atomically(path, page(f"{run.folder.name} – a DDPM run", parts).encode())


@contextmanager
def _complete(run: Run, name: str):
    """Within it, a file of numbers in which something is missing is an error that says which file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{run.folder / name} does not hold what this version writes there: remove it."
        ) from error


def page(title: str, parts: list[str]) -> str:
    """A whole HTML document of these parts."""
    head = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
    )
    return head + "\n".join(parts) + "\n</html>\n"


def _samples(run: Run, painter: Painter) -> list[str]:
    how = with_sampling(painter.config)
    picture = run.folder / "samples.png"
    trained_at = painter.source.stat().st_mtime
    # An older picture is of a model that has gone on since.
    there = picture.is_file() and picture.stat().st_mtime >= trained_at
    content = picture.read_bytes() if there else encode(sample_grid(painter, seed=0))
    scale, steps = how.guidance_scale, steps_of(how, painter.config)
    with _readable_picture(picture):
        shown = embedded(content, "Samples, one column a class")
    return [
        f"<p>One column a class; {escape(how.sampler)}, {steps} steps, guidance scale {scale:g}.</p>",
        f'<div class="wide">{shown}</div>',
    ]


def sample_grid(painter: Painter, rows: int = 6, seed: int = 0) -> Image.Image:
    """`rows` pictures of every class, a column each, drawn the way the run draws."""
    import torch

    columns = len(painter.classes)
    y = torch.arange(columns).repeat(rows)
    x = painter.draw(y, painter.noise(len(y), seed), with_sampling(painter.config), seed)
    return grid(x, columns, column_titles=painter.classes)


def _scores(evaluation: dict) -> str:
    ways = [("without guidance", "")]
    if "guidance_scale" in evaluation:
        ways.append((f"guidance scale {evaluation['guidance_scale']:g}", "_guided"))
    head = "".join(f"<th>{escape(title)}</th>" for title, _ in ways)
    rows = [("<b>all classes</b>", [evaluation[f"class_accuracy{s}"] for _, s in ways])]
    for name in evaluation["class_accuracies"]:
        rows.append((escape(name), [evaluation[f"class_accuracies{s}"][name] for _, s in ways]))
    body = "".join(
        f"<tr><td>{title}</td>{''.join(f'<td>{value:.1%}</td>' for value in values)}</tr>"
        for title, values in rows
    )
    distances = "".join(f"<td>{evaluation[f'frechet_distance{s}']:.2f}</td>" for _, s in ways)
    return (
        f"<p>Share of {evaluation['n']:,} pictures that show the class asked for, in the eyes of a "
        f"judge that is right on {evaluation['judge_accuracy']:.2%} of {evaluation['judge_n']:,} real "
        f"held-out pictures. The Fréchet distance is one in the judge's own features (lower is better): "
        f"compare it only at the same n and with the same judge.</p>"
        f"<table><tr><th>class</th>{head}</tr>{body}"
        f"<tr><td>Fréchet distance, n = {evaluation['n']:,}</td>{distances}</tr></table>"
    )


def _clip(run: Run, evaluation: dict) -> list[str]:
    ways = clip_ways(evaluation)
    head = "".join(f"<th>{escape(title)}</th>" for title, _ in ways)
    body = ""
    for title, name, form in CLIP_ROWS:
        cells = "".join(f"<td>{form.format(evaluation[f'clip_{name}{s}'])}</td>" for _, s in ways)
        body += f"<tr><td>{title}</td>{cells}</tr>"
    for name in evaluation["clip_matching_accuracies"]:
        shares = [evaluation[f"clip_matching_accuracies{s}"].get(name) for _, s in ways]
        cells = "".join(f"<td>{'–' if v is None else f'{v:.1%}'}</td>" for v in shares)
        body += f"<tr><td>matching, {escape(name)}</td>{cells}</tr>"
    templates = ", ".join(f"“{escape(t)}”" for t in evaluation["clip_templates"])
    return [
        f"<p>The same {evaluation['n']:,} pictures in the eyes of the CLIP "
        f"{escape(evaluation['clip_model'])}, prompts {templates}. The column of real held-out pictures is "
        f"the ceiling. Matching: the most similar prompt is that of the class asked for. The average "
        f"top-1 similarity is high for noise too.</p>"
        f"<table><tr><th></th>{head}</tr>{body}</table>",
        *_picture(run, "clip-samples.png", "Samples with the label that CLIP gives them"),
        *_picture(
            run, "clip-similarity.png", "Similarity of each class with each prompt", "curves"
        ),
    ]


def _reranked(run: Run) -> list[str]:
    about = run.numbers("rerank.json")
    if about is None:
        return []
    found = about["classes"].values()
    sentence = (
        f"The best {about['keep']} of {about['candidates']} in the eyes of the CLIP "
        f"{escape(about['clip_model'])}; mean similarity {_mean(found, 'similarity'):.4f} of all, "
        f"{_mean(found, 'similarity_kept'):.4f} of those kept."
    )
    if all("class_accuracy" in one for one in found):
        sentence += (
            f" The judge, who took no part, finds {_mean(found, 'class_accuracy'):.0%} of all right, and "
            f"{_mean(found, 'class_accuracy_kept'):.0%} of those kept."
        )
    return ["<h2>Best of n</h2>", f"<p>{sentence}</p>", *_picture(run, "rerank.png", "Best of n")]


def _guided(run: Run) -> list[str]:
    about = run.numbers("guide.json")
    if about is None:
        return []
    sentence = (
        f"“{escape(about['prompt'])}”, scale {about['clip_scale']:g}, by the CLIP "
        f"{escape(about['clip_model'])}: similarity {about['similarity_without']:.4f} without and "
        f"{about['similarity_guided']:.4f} with guidance, from the same noise; "
        f"{about['seconds_per_image_without']:.3f} and {about['seconds_per_image_guided']:.3f} seconds "
        f"a picture."
    )
    if "class_accuracy_guided" in about:
        sentence += (
            f" The judge, who took no part, sees a {escape(about['class'])} in "
            f"{about['class_accuracy_without']:.0%} and {about['class_accuracy_guided']:.0%}."
        )
    return ["<h2>Guided by text</h2>", f"<p>{sentence}</p>", *_picture(run, "guide.png", "Guided")]


def _mean(found, name: str) -> float:
    values = [one[name] for one in found]
    return sum(values) / len(values)


def _picture(run: Run, name: str, alt: str, kind: str = "") -> list[str]:
    file = run.folder / name
    if not file.is_file():
        return []
    with _readable_picture(file):
        return [f'<div class="wide">{embedded(file.read_bytes(), alt, kind)}</div>']


def embedded(content: bytes, alt: str, kind: str = "") -> str:
    """A PNG as an element that carries its own bytes."""
    width = Image.open(io.BytesIO(content)).width
    data = base64.b64encode(content).decode()
    css = f' class="{kind}"' if kind else ""
    return (
        f'<p><img{css} width="{width}" alt="{escape(alt)}" src="data:image/png;base64,{data}"></p>'
    )
