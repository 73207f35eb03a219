"""Known mistakes of a chapter as HTML: what they are, what they look like in code, what they draw."""

import html

from checks.catalogue import Chapter, Misconception, find, spoilt
from checks.gallery import picture_of
from docs.tools.markup import difference, markdown_code


def render(number: int, root: str) -> str:
    """The mistakes that the grader of a chapter knows, an exercise after the other.

    Args:
        root: the way from the page to the root of the site, such as "../../".
    """
    chapter = find(number)
    counted = [m for m in chapter.misconceptions if m.equal is None]
    parts = [
        f"<p>The grader knows {len(counted)} mistakes of this chapter by name. The tests of the course make "
        "each of them in the reference, and demand that a check catches it and names it as itself. Unfolded, "
        "− marks the lines of the mistake and + those that mend it.</p>"
    ]
    for id in dict.fromkeys(m.id for m in counted):
        items = "".join(_item(chapter, m, root) for m in counted if m.id == id)
        parts.append(f'<h3 id="mistakes-{id.replace(".", "-")}">Exercise {id}</h3>')
        parts.append(f'<ul class="mistake-list">{items}</ul>')
    harmless = [m for m in chapter.misconceptions if m.equal is not None]
    if harmless:
        items = "".join(
            f"<li>{markdown_code(m.says)}: {markdown_code(m.equal)}</li>" for m in harmless
        )
        parts.append(f'<h3 id="not-seen">Looks wrong, and is not seen</h3>\n<ul>{items}</ul>')
    return '<section class="mistakes">\n' + "\n".join(parts) + "\n</section>"


def _item(chapter: Chapter, mistake: Misconception, root: str) -> str:
    """What the mistake is; unfolded, the code; below, what a model draws that was trained with it."""
    says = markdown_code(mistake.says)
    told = (
        f'<details class="mistake"><summary>{says}</summary>'
        f"{corrections(chapter, mistake)}</details>"
    )
    picture = picture_of(mistake.says)
    return f"<li>{told}{_symptom(picture.name, root) if picture else ''}</li>\n"


def corrections(chapter: Chapter, mistake: Misconception) -> str:
    """What mends a mistake, as a difference between two versions of the reference's file."""
    right = chapter.reference_file.read_text(encoding="utf-8")
    return difference(spoilt(right, mistake.edits), right)


def _symptom(picture: str, root: str) -> str:
    source = html.escape(f"{root}gallery/{picture}", quote=True)
    what = "Drawn by a model that was trained with this mistake"
    beside = f"{root}gallery/#{picture.removesuffix('.png')}"
    return (
        f'<figure><img src="{source}" loading="lazy" alt="{what}">'
        f'<figcaption>{what}. <a href="{html.escape(beside, quote=True)}">Beside the right program\'s</a>'
        "</figcaption></figure>"
    )


def exercises(chapter: Chapter) -> str:
    """A table of what is written in a chapter and what has to hold, from the same files as the grader."""
    rows = []
    for id in dict.fromkeys(e.id for e in chapter.experiments):
        held = [e for e in chapter.experiments if e.id == id]
        star = any(e.star for e in held)
        claims = "".join(f"<li>{markdown_code(e.title)}</li>" for e in held)
        rows.append(
            f'<tr><th scope="row">{id}{" ★" if star else ""}</th><td><ul>{claims}</ul></td>'
            f"<td>{sum(e.points for e in held)}</td></tr>\n"
        )
    optional = " ★ marks optional work." if any(e.star for e in chapter.experiments) else ""
    return (
        '<table class="exercises"><thead><tr><th scope="col">Exercise</th>'
        '<th scope="col">What has to hold</th><th scope="col">Points</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table>\n"
        f"<p>{chapter.points} points in all.{optional}</p>"
    )
