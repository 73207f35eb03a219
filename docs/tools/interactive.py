"""The interactive figures as HTML: a still picture for everybody, and controls that JavaScript wakes.

`docs/javascripts/figures.js` fetches a figure's data when it comes near, shows the controls and answers them.
Without JavaScript, without the data, and on paper the still picture remains, with a sentence.
"""

import html
import json
from collections.abc import Iterable

from checks.catalogue import Chapter, Misconception
from checks.gallery import FOLDER as GALLERY
from checks.gallery import RIGHT, pictured
from docs.tools.markup import markdown_code
from docs.tools.mistakes import corrections
from docs.tools.stamped import FOLDER


def render(name: str) -> str:
    """The figure of this name.

    Raises:
        ValueError: when there is none.
    """
    figures = {
        "noise-dial": noise_dial,
        "scrubber": scrubber,
        "unet": unet,
        "gallery": gallery,
    }
    if name not in figures:
        raise ValueError(f"there are {', '.join(figures)}")
    return figures[name]()


def noise_dial() -> str:
    steps = len(_data("noise-dial.json")["alpha_bar"]["cosine"])
    live = (
        _choices("Schedule", "schedule", [("cosine", "cosine"), ("linear", "linear")], "cosine")
        + _slider("Timestep t", "t", steps - 1, steps // 2)
        + '<div class="sum">'
        + _canvas("x_t", "<var>x</var><sub>t</sub>")
        + '<span>= <span data-show="signal-factor"></span> ·</span>'
        + _canvas("x_0", "<var>x</var><sub>0</sub>")
        + '<span>+ <span data-show="noise-factor"></span> ·</span>'
        + _canvas("noise", "<var>ε</var>")
        + "</div>\n"
        + _output("t")
    )
    caption = (
        "Picture and noise are the same at every t; only the two factors change. Numbers beyond [−1, 1] are "
        "shown as −1 or 1. The tables are those of <code>NoiseSchedule</code>; <code>python -m checks show 5"
        "</code> draws such a strip with yours."
    )
    return _figure(
        *("noise-dial", _drawing("noise-curves.svg"), "", live, caption),
        sentence="With JavaScript there is a dial for t here.",
        data="noise-dial.json",
    )


def scrubber() -> str:
    known = _data("scrubber.json")
    kind, scale = known["first"]
    live = (
        '<div class="controls">'
        + _select("Class", "class", known["classes"], kind)
        + _select("Guidance scale", "scale", [f"{s:g}" for s in known["scales"]], f"{scale:g}")
        + "</div>\n"
        + _slider("Step", "step", len(known["timesteps"]) - 1, 0)
        + '<div class="pair">'
        + _canvas("x_t", "<var>x</var><sub>t</sub>, what the model is given")
        + _canvas("x_0", "its guess at <var>x</var><sub>0</sub>")
        + "</div>\n"
        + _output("step")
    )
    caption = (
        f"The shipped model, DDIM in {len(known['timesteps'])} steps, always from the same noise. At scale "
        "0 the class is ignored. <code>python -m checks show 7</code> draws such pictures with your sampler."
    )
    return _figure(
        *("scrubber", "", _drawing("scrubber.svg"), live, caption),
        sentence="With JavaScript this can be walked through step by step, by class and guidance scale.",
        data="scrubber.json",
    )


def unet() -> str:
    known = _data("unet.json")
    name, first = next(iter(known.items()))
    recipes = [(n, f"{n}: {each['parameters']:,} parameters") for n, each in known.items()]
    sizes = [(size, f"{size} × {size}") for size in first["shapes"]]
    live = (
        '<div class="controls">'
        + _select("Recipe", "recipe", recipes, name)
        + _select("Picture", "size", sizes, str(first["size"]))
        + "</div>\n"
        + _slider("Layer", "layer", len(first["layers"]) - 1, 0)
        + _output("layer")
        + '<div class="layer-details" data-show="details"></div>\n'
    )
    caption = (
        "Channels × height × width of what leaves each layer, noted by hooks in a forward pass of the "
        f"network itself (first that of the recipe <code>{name}</code>, whose weights are shipped). The "
        "condition goes to every block. <code>python -m checks show 4</code> prints what goes into each "
        "layer of your own U-Net and what comes out, whatever its layers are called."
    )
    return _figure(
        *("unet", _drawing("unet-shapes.svg"), "", live, caption),
        sentence="With JavaScript every layer can be looked into, in four recipes.",
        data="unet.json",
    )


def gallery() -> str:
    """All pictures of docs/gallery; the script lets one choose which to see beside the right program's."""
    numbers = json.loads((GALLERY / "gallery.json").read_text(encoding="utf-8"))
    seen_by, mistakes = _data("symptoms.json"), pictured()
    right = numbers[RIGHT]
    options = [("all", "all, below each other")]
    options += [(name, f"{m.id} · {m.says.replace('`', '')}") for name, (_, m) in mistakes.items()]
    live = (
        '<div class="controls">'
        + _select("Mistake", "mistake", options, next(iter(mistakes)))
        + '<span><button type="button" class="md-button" data-step="-1">Previous</button> '
        '<button type="button" class="md-button" data-step="1">Next</button></span></div>\n'
    )
    reference = (
        '<figure class="symptom" id="right">'
        + _drawn(RIGHT, "The right program", right, right)
        + f"<figcaption><p><strong>The right program</strong>, for comparison. {_measured(right)}</p>"
        "</figcaption></figure>\n"
    )
    items = "".join(
        _symptom(name, *mistakes[name], numbers[name], right, seen_by[name]) for name in mistakes
    )
    return (
        f"<p>{_lesson([numbers[name] for name in mistakes], right)}</p>\n"
        '<div class="interactive" data-figure="gallery">\n'
        f'<div class="live" hidden data-search-exclude>{live}</div>\n{reference}'
        f'<div class="symptoms" data-show="symptoms">{items}</div>\n</div>'
    )


def _lesson(mistaken: list[dict], right: dict) -> str:
    """What the numbers of the gallery say together."""
    same = [each for each in mistaken if each["val_loss"][-1] < 1.1 * right["val_loss"][-1]]
    good = [each for each in same if each["class_accuracy"] >= right["class_accuracy"]]
    return (
        f"Each model saw {right['images_seen'][-1]:,.0f} pictures. Of the {len(mistaken)} mistakes here, "
        f"{len(same)} end with a validation loss less than 10% above that of the right program: the loss "
        "sees nothing of a mistake that is made in drawing, and little of some others. Of these, "
        f"{len(good)} also draw the class asked for no less often than the right program does after so short "
        "a training. A check finds every one."
    )


def _symptom(
    name: str,
    chapter: Chapter,
    mistake: Misconception,
    found: dict,
    right: dict,
    seen_by: list[str],
) -> str:
    says, number = markdown_code(mistake.says), chapter.number
    titles = [e.title for e in chapter.experiments if e.name in seen_by]
    held = "".join(f"<li>{markdown_code(title)}</li>" for title in titles)
    trained = (
        "The model is the right one's; the mistake is made in drawing."
        if number == 7
        else "The model was trained with the mistake, and draws with it."
    )
    return (
        f'<figure class="symptom" id="{name}">'
        + _drawn(name, f"With the mistake “{mistake.says.replace('`', '')}”", found, right)
        + f"<figcaption><p><strong>{says}</strong> "
        f'(<a href="../chapters/ch{number:02}/#mistakes-{mistake.id.replace(".", "-")}">'
        f"chapter {number}, exercise {mistake.id}</a>). {trained} {_measured(found)}</p>"
        '<details class="mistake"><summary>In code: − the mistake, + what mends it</summary>'
        f"{corrections(chapter, mistake)}</details>"
        f"<p>Found by <code>python -m checks chapter {number} --only {mistake.id}</code>, which says that "
        f"this does not hold:</p><ul>{held}</ul>"
        f"<p><code>python -m checks why {mistake.id}</code> names the mistake.</p></figcaption></figure>\n"
    )


def _drawn(name: str, whose: str, found: dict, right: dict) -> str:
    words = (
        f"{whose}: two pictures of each class, and the validation loss over pictures seen, which ends at "
        f"{found['val_loss'][-1]:.2f}, with the right program at {right['val_loss'][-1]:.2f}"
    )
    return (
        f'<img src="{name}.png" width="720" height="150" loading="lazy" '
        f'alt="{html.escape(words, quote=True)}">'
    )


def _measured(found: dict) -> str:
    return (
        f"Of {found['n']} pictures {found['class_accuracy']:.0%} show the class asked for; "
        f"validation loss at the end {found['val_loss'][-1]:.2f}."
    )


def _figure(
    name: str, kept: str, still: str, live: str, caption: str, sentence: str, data: str
) -> str:
    """A figure: `kept` stays when it is live, `still` gives way on the screen."""
    return (
        f'<figure class="interactive" id="{name}" data-figure="{name}" '
        f'data-source="../../figures/{data}" data-search-exclude>\n'
        f'<div class="kept">{kept}</div><div class="still">{still}</div>\n'
        f'<div class="live" hidden>{live}</div>\n'
        f'<figcaption>{caption} <span class="without">{sentence}</span></figcaption>\n</figure>'
    )


def _drawing(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").strip()


def _data(name: str) -> dict:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def _slider(label: str, name: str, last: int, value: int) -> str:
    return (
        f'<label class="slider"><span>{label}</span> <input type="range" id="slide-{name}" '
        f'data-control="{name}" min="0" max="{last}" step="1" value="{value}" autocomplete="off"></label>\n'
    )


def _output(name: str) -> str:
    """What the slider says in `aria-valuetext`, to be seen; not spoken a second time."""
    return f'<p><output for="slide-{name}" aria-live="off"></output></p>\n'


def _canvas(name: str, caption: str) -> str:
    return (
        f'<span class="sprite"><canvas data-show="{name}" role="img" aria-label="" width="1" height="1">'
        f"</canvas><span>{caption}</span></span>"
    )


def _select(label: str, name: str, options: Iterable, chosen: str) -> str:
    pairs = [each if isinstance(each, tuple) else (each, each) for each in options]
    made = "".join(
        f'<option value="{html.escape(value, quote=True)}"{" selected" * (value == chosen)}>'
        f"{html.escape(words)}</option>"
        for value, words in pairs
    )
    return (
        f'<label>{label} <select data-control="{name}" autocomplete="off">{made}</select></label>\n'
    )


def _choices(label: str, name: str, options: Iterable[tuple[str, str]], chosen: str) -> str:
    made = "".join(
        f'<label><input type="radio" name="{name}" data-control="{name}" value="{value}" '
        f'autocomplete="off"{" checked" * (value == chosen)}> {words}</label> '
        for value, words in options
    )
    return f'<fieldset class="choices"><legend>{label}</legend>{made}</fieldset>\n'
