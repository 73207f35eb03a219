"""Chapters 5, 6, 7 and 9: noise and its schedules, losses and weights, samplers, CLIP."""

from docs.tools.drawings.plots import INKS, PALE, Plot, inked, line, table
from docs.tools.drawings.sprites import sheet
from docs.tools.drawings.svg import document, pictures, text
from docs.tools.stamped import figure

PLOTS = tuple(f"docs/tools/drawings/{name}.py" for name in ("plots", "sprites", "svg"))
MODEL = (
    "ddpm_ref/diffusion.py",
    "ddpm_ref/sampling.py",
    "ddpm_ref/unet.py",
    "ddpm_ref/weights/shapes.safetensors",
)
X_T = 'x<tspan dy="4" font-size="11">t</tspan>'
TIMES = [(t, str(t)) for t in (0, 250, 500, 750, 999)]


@figure("alpha-bar.svg", "ddpm_ref/diffusion.py", *PLOTS)
def alpha_bar() -> str:
    """What is left of the picture's variance, under both schedules."""
    from ddpm_ref.diffusion import NoiseSchedule

    shares = [(v, f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
    plot = Plot((0, 999), (0, 1), TIMES, shares, "ᾱ: share of the picture", "timestep t")
    ts = range(0, 1000, 9)
    for kind, (name, at) in enumerate((("cosine", (560, 0.52)), ("linear", (130, 0.1)))):
        table = getattr(NoiseSchedule, name)(1000).alpha_bars
        plot.curve(ts, table[list(ts)].tolist(), kind, name, at)
    title = (
        "ᾱ falls from 1 to 0 over 1000 timesteps; linear: half of it is gone after a quarter of them; "
        "cosine: after a half"
    )
    return plot.svg("alpha-bar", title)


@figure("snr.svg", "ddpm_ref/diffusion.py", *PLOTS)
def snr() -> str:
    """Signal to noise, on a logarithmic axis."""
    from ddpm_ref.diffusion import NoiseSchedule

    powers = [
        (10.0**k, words)
        for k, words in ((4, "10⁴"), (2, "10²"), (0, "1"), (-2, "10⁻²"), (-4, "10⁻⁴"))
    ]
    above = "signal to noise: ᾱ / (1 − ᾱ)"
    plot = Plot((0, 999), (1e-5, 1e5), TIMES, powers, above, "timestep t", log_y=True)
    ts = [*range(0, 991, 9), 994, 997, 998, 999]
    for kind, (name, at) in enumerate((("cosine", (560, 3)), ("linear", (380, 0.01)))):
        table = getattr(NoiseSchedule, name)(1000).alpha_bars.double()[ts]
        plot.curve(ts, (table / (1 - table)).tolist(), kind, name, at)
    title = (
        "The ratio of signal to noise falls from ten thousand to less than a ten-thousandth; "
        "the cosine schedule stays higher until the very end"
    )
    return plot.svg("snr", title)


@figure("rotation.svg", "ddpm_ref/diffusion.py", "ddpm_ref/loss.py", *PLOTS)
def rotation() -> str:
    """x_t and v as two arms of a right angle that turns from picture to noise."""
    import torch

    from ddpm_ref.diffusion import NoiseSchedule, q_sample
    from ddpm_ref.loss import v_target

    # The picture is one axis, the noise the other: (1, 0) and (0, 1).
    x_0, noise = (
        torch.tensor([1.0, 0.0]).view(1, 2, 1, 1),
        torch.tensor([0.0, 1.0]).view(1, 2, 1, 1),
    )
    t = torch.tensor([350])
    schedule = NoiseSchedule.cosine(1000)
    x_t = q_sample(schedule, x_0, t, noise).flatten().tolist()
    v = v_target(schedule, x_0, t, noise).flatten().tolist()
    size, middle, radius = (380, 230), (170, 200), 160

    def place(point, share=1.0):
        return middle[0] + share * radius * point[0], middle[1] - share * radius * point[1]

    def arrow(point, ink, width=2.5):
        (x, y), (dx, dy) = place(point), (point[0], -point[1])
        head = [
            (x, y),
            (x - 10 * dx - 5 * dy, y - 10 * dy + 5 * dx),
            (x - 10 * dx + 5 * dy, y - 10 * dy - 5 * dx),
        ]
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in head)
        return (
            line([middle, place(point, 0.96)], ink, width=width)
            + f'<polygon points="{corners}" style="fill:{ink}"/>'
        )

    way = (
        f"M{place((1, 0))[0]},{middle[1]} A{radius},{radius} 0 0 0 {middle[0] - radius},{middle[1]}"
    )
    small = place((1, 0), 0.3), place(x_t, 0.3)
    (x1, y1), (x2, y2) = small
    angle = f"M{x1:.1f},{y1:.1f} A{0.3 * radius},{0.3 * radius} 0 0 0 {x2:.1f},{y2:.1f}"
    half = (x_t[0] + 1) / 2, x_t[1] / 2
    grey = "var(--md-default-fg-color--light)"
    parts = [
        f'<path d="{way}" style="fill:none;stroke:{PALE};stroke-dasharray:2 4"/>',
        f'<path d="{angle}" style="fill:none;stroke:{grey};stroke-width:1.5"/>',
        text(*place(half, 0.39), "φ", "middle"),
        line([place(x_t), place((x_t[0], 0))], PALE, "4 4", 1.5),
        line([place(x_t), place((0, x_t[1]))], PALE, "4 4", 1.5),
        *(arrow((1, 0), grey), arrow((0, 1), grey), arrow(x_t, INKS[0]), arrow(v, INKS[1])),
        text(place((1, 0))[0] + 8, middle[1] + 5, "x₀"),
        text(middle[0], place((0, 1))[1] - 8, "ε", "middle"),
        text(
            place(x_t)[0] + 8,
            place(x_t)[1] - 4,
            X_T,
            **inked(0),
        ),
        text(
            place(v)[0] - 8,
            place(v)[1] - 4,
            "v",
            "end",
            **inked(1),
        ),
        text(place((x_t[0] / 2, 0))[0] + 10, middle[1] + 20, "√ᾱ = cos φ", "middle"),
        text(middle[0] + 8, place((0, x_t[1]))[1] - 7, "√(1 − ᾱ) = sin φ", size=13),
    ]
    title = (
        "The picture points right and the noise up; x at t lies between them at an angle φ, "
        "and v stands upright on it"
    )
    return document("rotation", title, *size, parts)


@figure("weights.svg", "ddpm_ref/diffusion.py", "ddpm_ref/loss.py", *PLOTS)
def weights() -> str:
    """How much an error of the predicted picture counts, by loss and timestep."""
    import torch

    from ddpm_ref.diffusion import NoiseSchedule
    from ddpm_ref.loss import min_snr_weight

    schedule = NoiseSchedule.cosine(1000)
    ts = [1, 2, 4, *range(8, 985, 8), 988, 992, 995, 997, 998]
    now, before = (table.double()[ts] for table in (schedule.alpha_bars, schedule.alpha_bars_prev))
    ratio, ratio_before = now / (1 - now), before / (1 - before)
    capped = min_snr_weight(schedule, torch.tensor(ts), "noise") * ratio
    powers = [
        (10.0**k, words)
        for k, words in ((4, "10⁴"), (2, "10²"), (0, "1"), (-2, "10⁻²"), (-4, "10⁻⁴"))
    ]
    plot = Plot(
        (0, 999), (1e-5, 1e6), TIMES, powers, "weight of ‖x₀ − x̂₀‖²", "timestep t", True, (380, 300)
    )
    plot.curve(ts, (500 * (ratio_before - ratio)).tolist(), 0, "bound × T", (330, 300))
    plot.curve(ts, ratio.tolist(), 1, "noise", (780, 0.0012))
    plot.curve(ts, (ratio + 1).tolist(), 2, "v", (900, 2))
    plot.curve(ts, capped.tolist(), 3, "min-SNR-5", (60, 0.7))
    title = (
        "All weights fall with t. The bound is highest, then noise prediction; v prediction stays at 1 "
        "where noise prediction falls to nothing, and min-SNR is 5 at most"
    )
    return plot.svg("weights", title)


@figure("losses.svg", "ddpm_ref/loss.py", "ddpm_ref/shapes.py", *MODEL, *PLOTS)
def losses() -> str:
    """The shipped model's error, timestep by timestep, as three losses."""
    import torch

    from ddpm_ref import shapes
    from ddpm_ref.data import to_model_range
    from ddpm_ref.loss import losses_per_image
    from ddpm_ref.painting import load_painter

    painter, n = load_painter(device="cpu"), 100
    indices = range(100_000, 100_000 + n)  # none that it was trained on
    x_0 = to_model_range(torch.from_numpy(shapes.draw(indices)))
    y = torch.from_numpy(shapes.label_of(indices))
    noise = painter.noise(n, seed=1)
    ts = [0, 3, 10, 25, *range(50, 951, 50), 970, 985, 995]
    with torch.no_grad():
        v = [
            losses_per_image(
                painter.model, painter.schedule, x_0, torch.full((n,), t), y, noise, "v"
            )
            .mean()
            .item()
            for t in ts
        ]
    bars = painter.schedule.alpha_bars[ts].tolist()
    powers = [
        (10.0**k, words)
        for k, words in ((0, "1"), (-1, "0.1"), (-2, "0.01"), (-3, "10⁻³"), (-4, "10⁻⁴"))
    ]
    plot = Plot(
        (0, 999), (1e-5, 2), TIMES, powers, "mean square error", "timestep t", True, (380, 300)
    )
    plot.curve(ts, v, 2, "v", (640, 0.09))
    plot.curve(ts, [a * each for a, each in zip(bars, v, strict=True)], 1, "noise", (790, 0.0009))
    plot.curve(
        ts, [(1 - a) * each for a, each in zip(bars, v, strict=True)], 0, "picture", (90, 0.0007)
    )
    title = (
        "Three losses of one model: that of the noise falls with t to a ten-thousandth, "
        "that of the picture rises, and that of v is high at both ends"
    )
    return plot.svg("losses", title)


@figure("steps.svg", *MODEL, *PLOTS)
def steps() -> str:
    """The same noise, drawn by three samplers in few and in many steps."""
    import torch

    from ddpm_ref.painting import load_painter
    from ddpm_ref.sampling import ddim_sample_loop, dpm_solver_2m

    painter, counts = load_painter(device="cpu"), [1, 2, 3, 5, 10, 50]
    y, noise = torch.tensor(painter.labels(["star", "crescent"])), painter.noise(2, seed=5)

    def drawn(sampler, **options):
        """(2, C, 3, H, W)"""
        each = [
            sampler(
                *(painter.model, painter.schedule, noise.shape, y),
                steps=n,
                target=painter.config.diffusion.target,
                noise=noise,
                generator=torch.Generator().manual_seed(0),
                **options,
            )
            for n in counts
        ]
        return torch.stack(each, dim=1)

    ways = [drawn(ddim_sample_loop), drawn(dpm_solver_2m), drawn(ddim_sample_loop, eta=1.0)]
    rows = torch.stack(ways, dim=1).flatten(0, 1)  # star by three samplers, then crescent
    titles = [f"{n} step" + "s" * (n > 1) for n in counts]
    names = ["DDIM", "DPM++", "η = 1"] * 2
    title = (
        "A star and a crescent from the same noise. One step gives a blurred mean; without added noise the "
        "same picture sharpens with more steps, with it (η = 1) each number of steps gives another picture"
    )
    return table("steps", title, rows, titles, names, left=66)


@figure("scales.svg", *MODEL, *PLOTS)
def scales() -> str:
    """The same noise, with the class followed more and more strongly."""
    import torch

    from ddpm_ref.painting import load_painter
    from ddpm_ref.sampling import ddim_sample_loop

    painter, factors, names = (
        load_painter(device="cpu"),
        [0, 1, 1.5, 3, 6, 12],
        ["heart", "cross", "arrow"],
    )
    y, noise = torch.tensor(painter.labels(names)), painter.noise(3, seed=6)
    drawn = [
        ddim_sample_loop(
            *(painter.model, painter.schedule, noise.shape, y),
            steps=20,
            guidance_scale=s,
            target=painter.config.diffusion.target,
            noise=noise,
        )
        for s in factors
    ]
    title = (
        "At scale 0 any shape comes out; from 1 on the one asked for; at 6 and 12 the colours burn out "
        "and the shapes lose their outline"
    )
    titles = [f"s = {factors[0]:g}", *(f"{s:g}" for s in factors[1:])]
    return table("scales", title, torch.stack(drawn, dim=1), titles, names, left=62)


@figure("ode.svg", "ddpm_ref/diffusion.py", "ddpm_ref/sampling.py", *PLOTS)
def ode() -> str:
    """The paths of the differential equation for data of two points, and DDIM's steps along one."""
    import torch

    from ddpm_ref.diffusion import NoiseSchedule
    from ddpm_ref.sampling import ddim_step

    schedule = NoiseSchedule.cosine(1000)
    bars = schedule.alpha_bars.double()
    level = ((1 - bars) / bars).sqrt()

    def walk(start, visited):
        """Points (level, x / √alpha_bar) of a walk, with the best predictor for data of −1 and 1."""
        x = torch.tensor(start, dtype=torch.float64).view(-1, 1, 1, 1) * bars[visited[0]].sqrt()
        points = []
        for t, after in zip(visited, [*visited[1:], -1], strict=True):
            points.append((level[t].item(), (x / bars[t].sqrt()).flatten().tolist()))
            x_0 = torch.tanh(bars[t].sqrt() * x / (1 - bars[t]))
            said = (x - bars[t].sqrt() * x_0) / (1 - bars[t]).sqrt()
            x, _ = ddim_step(schedule, x, t, after, said)
        return [*points, (0.0, x.flatten().tolist())]

    first = int((level < 2.5).nonzero()[-1])
    starts = [-3.4, -2.4, -1.5, -0.7, -0.15, 0.15, 0.7, 1.5, 2.4, 3.4]
    fine = walk(starts, list(range(first, -1, -4)))[::3]
    chosen = [int((level < u).nonzero()[-1]) for u in (2.5, 1.7, 0.9)]
    coarse = walk([1.5], chosen)
    ticks = [(v, f"{v:g}".replace("-", "−")) for v in (-2, -1, 0, 1, 2)]
    plot = Plot(
        (2.5, 0),
        (-3.5, 3.5),
        [(v, f"{v:g}") for v in (2.5, 2, 1, 0)],
        ticks,
        "x / √ᾱ",
        "noise level √(1 − ᾱ) / √ᾱ",
        size=(420, 320),
    )
    for k in range(len(starts)):
        ways = [plot.place(u, values[k]) for u, values in fine]
        plot.parts.append(line(ways, INKS[0], width=1.5))
    steps = [plot.place(u, values[0]) for u, values in coarse]
    plot.parts.append(line(steps, INKS[1], width=2.5))
    plot.parts += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill:{INKS[1]}"/>' for x, y in steps
    ]
    title = (
        "Ten smooth paths lead from much noise on the left to the two data points 1 and −1 on the right; "
        "three straight steps follow one of them, each along the direction at its beginning"
    )
    return plot.svg("ode", title)


@figure(
    "similarities.svg",
    "ddpm_ref/clip/clip.py",
    "ddpm_ref/shapes.py",
    "ddpm_ref/weights/clip-shapes.safetensors",
    *PLOTS,
)
def similarities() -> str:
    """Real pictures and noise, with the captions of five classes: cosines of the small CLIP."""
    import torch

    from ddpm_ref import shapes
    from ddpm_ref.clip import class_prompts, encode_images, encode_prompts, similarity_matrix
    from ddpm_ref.clip.models import load_clip
    from ddpm_ref.data import to_model_range

    known = load_clip("shapes")
    names = ["circle", "square", "star", "heart", "arrow"]
    labels = shapes.label_of(range(100, 200)).tolist()
    chosen = [100 + labels.index(shapes.CLASSES.index(name)) for name in names]
    x = to_model_range(torch.from_numpy(shapes.draw(chosen)))
    noise = torch.randn(x[:1].shape, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    x = torch.cat([x, noise])
    with torch.no_grad():
        texts = encode_prompts(known.clip, class_prompts(names), known.tokenizer)
        cosines = similarity_matrix(encode_images(known.clip, x), texts)
    parts = [pictures(4, 26, 44, sheet(x[:, None]), 1, len(x), gap=2)]
    low, high, wide = cosines.min().item(), cosines.max().item(), 62
    parts += [text(56 + (j + 0.5) * wide, 17, name, "middle") for j, name in enumerate(names)]
    for i, row in enumerate(cosines.tolist()):
        for j, value in enumerate(row):
            shade = 0.45 * (value - low) / (high - low)
            box = f'x="{56 + j * wide}" y="{26 + i * 44}" width="{wide - 3}" height="41"'
            parts.append(f'<rect {box} style="fill:{INKS[0]};fill-opacity:{shade:.2f}"/>')
            bold = {"font_weight": 700} if value == max(row) else {}
            words = f"{value:.2f}".replace("-", "−")
            parts.append(text(56 + (j + 0.5) * wide - 1, 26 + i * 44 + 26, words, "middle", **bold))
    title = (
        "Six pictures by five captions. Each real picture has its largest cosine with its own caption; "
        "noise has cosines as well, and a largest one"
    )
    return document("similarities", title, 56 + 5 * wide, 26 + 6 * 44, parts)


@figure(
    "gradients.svg",
    "ddpm_ref/clip/clip.py",
    *MODEL,
    "ddpm_ref/weights/clip-shapes.safetensors",
    *PLOTS,
)
def gradients() -> str:
    """What CLIP would change: the gradient of the cosine, with and without the path through the network."""
    import torch

    from ddpm_ref.clip import clip_guidance, encode_prompts
    from ddpm_ref.clip.models import load_clip
    from ddpm_ref.diffusion import per_image, predict_x0
    from ddpm_ref.painting import load_painter
    from ddpm_ref.sampling import ddim_sample_loop

    painter, known = load_painter(device="cpu"), load_clip("shapes")
    schedule, target = painter.schedule, painter.config.diffusion.target
    y, noise = torch.tensor(painter.labels(["heart"])), painter.noise(1, seed=7)
    text_of = encode_prompts(known.clip, ["a photo of a blue heart"], known.tokenizer)
    seen = {}
    ddim_sample_loop(
        *(painter.model, schedule, noise.shape, y),
        steps=10,
        target=target,
        noise=noise,
        callback=lambda i, t, x_t, x_0: seen.update({i: x_t}),
    )
    rows, times = [], [799, 499, 199]
    for t in times:
        at, x_t = torch.tensor([t]), seen[(999 - t) // 100 - 1]
        with torch.no_grad():
            x_0 = predict_x0(schedule, x_t, at, painter.model(x_t, at, y), target)
        nudges = []
        for through in (False, True):
            options = dict(y=y, target=target, through_model=through, normalise=True)
            plain, moved = (
                clip_guidance(
                    painter.model, schedule, x_t, at, known.clip, text_of, clip_scale=s, **options
                )
                for s in (0.0, 1.0)
            )
            # Upwards in the cosine, of root mean square 1; a third of that is shown as a full step of grey.
            nudges.append((plain - moved) / (1 - per_image(schedule.alpha_bars, at)).sqrt() / 3)
        rows.append(torch.cat([x_t, x_0, *nudges]))
    title = (
        "A cyan heart on its way, for the caption a photo of a blue heart: x at t, the predicted picture, "
        "the gradient without the network, and through it"
    )
    titles = [X_T, "x̂₀", "direct", "through"]
    return table(
        "gradients",
        title,
        torch.stack(rows).clamp(-1, 1),
        titles,
        [f"t = {t}" for t in times],
        left=70,
        cell=76,
    )
