"""Chapter 9: pictures and words in one space, to score by, to choose by, to steer by.

Numbers are looked at through a toy with the interface of open_clip's models, which costs nothing to make;
one experiment takes open_clip's own class.
"""

from itertools import pairwise

from checks import experiment, fake_device
from checks.fake_device import on_the_device
from checks.lab import *
from checks.walks import character, pictures_of

fake_device.plug_in()

CLASSES = ["star", "arrow", "horse", "Owl", "ice cream", "unicorn", "yacht", "pine_tree", "elk"]


def similarities(n, classes, seed=0):
    """(n, classes) numbers in [−1, 1] on a grid of 0.1, so that there are ties."""
    return noted(
        (images(n, classes, seed=seed) * 10).round() / 10,
        f"(images({n}, {classes}, seed={seed}) * 10).round() / 10",
    )


def has_graph(x):
    return isinstance(x, torch.Tensor) and x.requires_grad


@experiment(
    "9.1",
    "Each class has its caption, with the right article",
    points=1,
    hint=(
        "How does the caption of an arrow read?",
        'Vowel letters are a, e, i, o, u, capital or not: "an Owl", "an ice cream", "an unicorn" (letters, '
        'not sounds), "a yacht".',
        'name[:1].lower() in "aeiou" decides between " a {class}" and " an {class}".',
    ),
)
def captions(impl):
    return impl.class_prompts(CLASSES)


@experiment(
    "9.1",
    "Any template will do, as long as it says where the name belongs",
    points=1,
    hint=(
        "Try a template that begins with the article, one that has other articles in it, one without any.",
        'Only an "a" that is a word of its own and stands directly before {class} becomes "an".',
        'Put a space before the template, replace " a {class}" by " an {class}", take the space away again; '
        "and raise ValueError when there is no {class} in it.",
    ),
)
def templates(impl):
    def captions(found):  # each with its own call, where it is what it should be
        return (
            [told(x) if isinstance(x, str) else x for x in found] if type(found) is list else found
        )

    names = ["arrow", "star", "arrow"]
    given = [
        "a {class}",
        "a blurry photo of a {class} on a table",
        "a photo of the {class}.",
        "{class}",
        "pizza {class}",
    ]
    return {
        **{text: captions(impl.class_prompts(names, text)) for text in given},
        "no place": [raises(lambda t=t: impl.class_prompts(names, t)) for t in ("a photo", "")],
    }


@experiment(
    "9.2",
    "Captions become directions: rows of length 1",
    points=1,
    hint=(
        "Which axis holds the D numbers of one caption?",
        "Divide each row by its own length: F.normalize(…, dim=-1).",
        "F.normalize(clip.encode_text(tokenizer(list(prompts))), dim=-1), under torch.no_grad(): what "
        "inference_mode gives, 9.7 cannot use.",
    ),
)
def prompts_are_directions(impl):
    clip = toy_clip()
    alone = impl.encode_prompts(toy_clip(), ["an owl"], toy_tokenizer)
    captions = ["a star", "a ring", "an arrow", "a ring"]
    texts = impl.encode_prompts(clip, captions, toy_tokenizer)
    return {
        "texts": texts,
        "one alone": alone,
        "carries a graph": has_graph(texts),
        "made in inference mode, of no use where gradients are computed": texts.is_inference(),
        "the model is in training mode afterwards": clip.training,
        "gradients are switched on for the caller": torch.is_grad_enabled(),
    }


def as_on_the_cpu(encode):
    """encode(where): the device of what comes out on the pretended device, and whether it is right."""

    def run():
        here, there = (encode(where).detach() for where in ("cpu", fake_device.NAME))
        return {
            "device": there.device.type,
            "the numbers of the CPU": torch.allclose(here, there.cpu(), atol=1e-5),
        }

    return on_the_device(run, {"device": fake_device.NAME, "the numbers of the CPU": True})


@experiment(
    "9.2",
    "On a GPU, the tokens go to where the model is",
    points=1,
    hint=(
        "The tokenizer gives tokens on the CPU; the model's weights may be elsewhere.",
        "next(clip.parameters()).device, and tokens.to(device).",
    ),
)
def prompts_on_a_device(impl):
    prompts = ["a star", "a ring", "an arrow"]
    return as_on_the_cpu(
        lambda where: impl.encode_prompts(toy_clip().to(where), prompts, toy_tokenizer)
    )


@experiment(
    "9.3",
    "A picture is brought to the size and the range that CLIP was trained on",
    points=2,
    hint=(
        "Print the smallest and the largest number, and the shape, after each of your steps.",
        "(x + 1)/2, clamp to [0, 1], bicubic with antialias=True to image_size, minus mean, divided by std, "
        "encode_image, length 1.",
        'F.interpolate(pixels, size, mode="bicubic", antialias=True); mean and std are viewed as (3, 1, 1).',
    ),
)
def pictures_are_prepared(impl):
    smaller, larger = 0.8 * normal(4, 3, 12, 20), 0.8 * normal(3, 3, 4, 5, seed=1)
    return {
        "smaller": impl.encode_images(toy_clip((6, 9)), smaller),
        "larger": impl.encode_images(toy_clip((7, 8)), larger),
        "as wide already, but not as high": impl.encode_images(
            toy_clip((6, 9)), 0.8 * normal(2, 3, 12, 9)
        ),
        "as high already, but not as wide": impl.encode_images(
            toy_clip((6, 9)), 0.8 * normal(2, 3, 6, 20)
        ),
    }


@experiment(
    "9.3",
    "On a GPU, mean and std are where the pictures are",
    points=1,
    hint=(
        "torch.tensor(…) makes a tensor on the CPU.",
        "x.new_tensor(clip.visual.image_mean) is on the device of x, and of its type.",
    ),
)
def pictures_on_a_device(impl):
    return as_on_the_cpu(
        lambda where: impl.encode_images(toy_clip().to(where), images(3, 3, 8, 11).to(where))
    )


@experiment(
    "9.3",
    "It works with open_clip's own class, whose image_size is one number",
    points=1,
    hint=(
        "visual.image_size is an int for a square and a pair for other shapes: your code meets both. "
        "The whole picture is brought to that size, also one that is no square.",
        "size = (size, size) if isinstance(size, int) else tuple(size)",
    ),
)
def open_clip_takes_it(impl):
    import open_clip

    torch.manual_seed(0)
    tower = {"image_size": 24, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
    words = {"context_length": 6, "vocab_size": 90, "width": 16, "heads": 2, "layers": 1}
    clip = open_clip.CLIP(12, tower, words).to(lab_dtype()).eval()
    clip.visual.image_mean, clip.visual.image_std = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
    return {
        "open_clip": impl.encode_images(clip, images(3, 3, 16, 20)),
        # In some towers of open_clip's the number has become a pair.
        "one number": impl.encode_images(toy_clip(8), images(3, 3, 12, 20)),
    }


def lab_dtype():
    """The type of numbers that this experiment runs in."""
    return images(1).dtype


@experiment(
    "9.3",
    "The gradient finds its way back to the picture",
    points=1,
    hint=(
        "Is anything between x and the result detached, turned into numpy, or made under no_grad?",
        "Leave torch.no_grad() to whoever calls it.",
    ),
)
def pictures_have_gradients(impl):
    # Some numbers lie outside [−1, 1]: through the clamp no gradient reaches them.
    x = noted(normal(3, 3, 8, 11).requires_grad_(True), "normal(3, 3, 8, 11).requires_grad_(True)")
    (gradient,) = gradients(impl.encode_images(toy_clip(), x, 2), x)
    return gradient


@experiment(
    "9.3",
    "Many pictures go through the model in portions, none is lost",
    points=1,
    hint=(
        "How many pictures does the model get at once when batch_size is 3 and there are 10?",
        "for batch in x.split(batch_size): …, and torch.cat of what comes out; the last portion is smaller.",
    ),
)
def in_portions(impl):
    clip = toy_clip()
    found = impl.encode_images(clip, images(10, 3, 7, 7), 3)
    largest, by_default = max(clip.batches, default=0), toy_clip()
    impl.encode_images(by_default, images(101, 3, 7, 7))
    return {
        "images": found,
        "a hundred at once by default": max(by_default.batches, default=0) <= 100,
        "pictures at once": "three or fewer" if largest <= 3 else largest,
        "the model is in training mode afterwards": clip.training,
    }


@experiment(
    "9.4",
    "A row for each picture, a column for each text, and raw cosines in it",
    points=1,
    hint=(
        "All rows have length 1 already: what is the cosine of two of them?",
        "images @ texts.T, and nothing after it: after a softmax or a scale they would not compare.",
    ),
)
def cosines(impl):
    pictures = torch.nn.functional.normalize(normal(7, 6), dim=-1)
    return {
        "as many pictures as texts": impl.similarity_matrix(pictures[:4], toy_texts(4, 6)),
        "more of them": impl.similarity_matrix(pictures, toy_texts(4, 6)),
    }


@experiment(
    "9.4",
    "Vectors of two different models are refused",
    points=1,
    hint=(
        "What does your code do with pictures of 6 dimensions and texts of 8?",
        "raise ValueError(…) when images.shape[-1] != texts.shape[-1]",
    ),
)
def refuses_two_models(impl):
    return {
        "6 and 8": raises(lambda: impl.similarity_matrix(toy_texts(3, 6), toy_texts(4, 8))),
        "6 and 6": raises(lambda: impl.similarity_matrix(toy_texts(3, 6), toy_texts(4, 6))),
    }


def scored(impl, *given):
    """What clip_scores returns: a dictionary."""
    scores = impl.clip_scores(*given)
    if not isinstance(scores, dict):
        raise TypeError(f"clip_scores returns a dictionary, not a {type(scores).__name__}")
    return scores


@experiment(
    "9.5",
    "Three numbers for pictures whose classes are known",
    points=3,
    hint=(
        "Take two pictures and three texts, and reckon all three numbers by hand.",
        "The largest of each row; where it is; the one in the column of the label.",
        "similarity.amax(dim=1).mean(); (similarity.argmax(dim=1) == labels).float().mean(); "
        "similarity.gather(1, labels[:, None]).mean()",
    ),
)
def three_scores(impl):
    y = labels(3, 0, 1, 1, 2, 3, 0, 3, 2)
    found = [scored(impl, similarities(9, 4, seed), y) for seed in range(4)]
    names = ("top1_similarity", "matching_accuracy", "intended_similarity")
    return {
        "names": sorted(found[0]),
        **{name: torch.tensor([float(one.get(name, -9)) for one in found]) for name in names},
    }


@experiment(
    "9.5",
    "Of equally similar texts the lowest class counts",
    points=1,
    hint=(
        "What does argmax give for [0.5, 0.5]? And what would `>=` or a sort have given?",
        "torch.argmax takes the first of equals.",
    ),
)
def ties_go_to_the_lowest(impl):
    tied = noted(
        torch.tensor([[0.5, 0.5, 0.1], [0.2, 0.7, 0.7], [0.4, 0.4, 0.4], [0.1, 0.2, 0.2]]),
        "torch.tensor([[0.5, 0.5, 0.1], [0.2, 0.7, 0.7], [0.4, 0.4, 0.4], [0.1, 0.2, 0.2]])",
    )
    return [
        float(scored(impl, tied, y).get("matching_accuracy", -9))
        for y in (labels(0, 1, 0, 1), labels(1, 2, 2, 2), labels(0, 2, 1, 1))
    ]


@experiment(
    "9.5",
    "Labels that are none are refused",
    points=1,
    hint=(
        "An index of −1 is the last class to torch. And what if there are fewer labels than pictures?",
        "Compare labels.shape with (N,), and labels.min() and .max() with 0 and C − 1.",
    ),
)
def refuses_wrong_labels(impl):
    cases = [(0, 1, 2), (0, 1, -1), (0, 1, 3), (0, 1), (0, 1, 2, 1)]
    found = {
        str(list(case)): raises(lambda c=case: impl.clip_scores(similarities(3, 3), labels(*c)))
        for case in cases
    }
    none = raises(lambda: impl.clip_scores(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)))
    return {**found, "no picture": none}


@experiment(
    "9.6",
    "The best candidates come first, and of equals the earlier one",
    points=2,
    hint=(
        "Which column is looked at, and which end of the order is the best?",
        "argsort knows descending and stable; topk promises nothing about equals.",
        "similarity[:, label].argsort(descending=True, stable=True)[:keep]",
    ),
)
def best_first(impl):
    many = similarities(60, 5)
    return {
        "8 of 60": impl.rerank(many, 3, 8),
        "all of 60": impl.rerank(many, 0, 60),
        "one of 5": impl.rerank(similarities(5, 3, 1), 2, 1),
    }


@experiment(
    "9.6",
    "More than there are, none, and texts that do not exist are refused",
    points=1,
    hint=(
        "Slicing takes [:9] of five without a word, and −1 is the last column to an index.",
        "Two comparisons and a ValueError each.",
    ),
)
def refuses_what_is_not_there(impl):
    few = similarities(5, 3)
    cases = [(0, 1), (2, 5), (0, 6), (0, 0), (1, -1), (3, 2), (-1, 2)]
    return {
        f"label {c}, keep {k}": raises(lambda c=c, k=k: impl.rerank(few, c, k)) for c, k in cases
    }


def nudged(impl, **options):
    """One nudge of four pictures: the model, CLIP, and what came out."""
    model, clip = toy_model(5), toy_clip()
    given = {"y": labels(2, 0, 4, 2), "clip_scale": 3.0, **options}
    found = impl.clip_guidance(
        model,
        short_schedule(impl),
        given.pop("x_t", normal(4, 3, 6, 8)),
        timesteps(11, 0, 5, 2),
        clip,
        given.pop("texts", toy_texts(4)),
        **given,
    )
    return found, model, clip


@experiment(
    "9.7",
    "The noise is nudged along the gradient of the cosine, in proportion to the noise that is left",
    points=3,
    star=True,
    hint=(
        "With clip_scale=0 the result is the model's noise itself: is it? Then look at the nudge alone.",
        "The gradient is with respect to x_t, of the *sum* over the batch; the factor is √(1 − alpha_bar); "
        "the noise estimate gets smaller along it.",
        "noise − clip_scale · (1 − alpha_bar).sqrt() · torch.autograd.grad((images * texts).sum(), x_t)[0]",
    ),
)
def the_nudge(impl):
    noise = nudged(impl)[0]
    return {"noise": noise, "carries a graph": has_graph(noise)}


@experiment(
    "9.7",
    "A prediction of v is turned into noise first, and both kinds of guidance combine",
    points=2,
    star=True,
    hint=(
        "The result is noise, whatever the model predicts.",
        "predict_x0 with the target gives x_0; the noise is (x_t − √alpha_bar · x_0) / √(1 − alpha_bar).",
    ),
)
def v_and_labels(impl):
    return {
        "v": nudged(impl, target="v")[0],
        "v, without a nudge": nudged(impl, target="v", clip_scale=0.0)[0],
        "guidance scale 2.5": nudged(impl, guidance_scale=2.5)[0],
        "no labels, one text for all": nudged(impl, y=None, texts=toy_texts(1), target="v")[0],
    }


@experiment(
    "9.7",
    "With through_model=False the prediction is a constant",
    points=1,
    star=True,
    hint=(
        "x_0 depends on x_t in two ways: directly, and through what the model says of it.",
        "prediction.detach(), or torch.set_grad_enabled(through_model) around the model's call.",
    ),
)
def beside_the_model(impl):
    return {
        "noise": nudged(impl, through_model=False)[0],
        "v": nudged(impl, through_model=False, target="v", guidance_scale=2.5)[0],
    }


@experiment(
    "9.7",
    "It works inside torch.no_grad(), and leaves nothing behind",
    points=1,
    star=True,
    hint=(
        "Samplers switch gradients off. What has to be switched on again, and where?",
        "torch.enable_grad() around what the gradient goes through; torch.autograd.grad, not backward(), "
        "which would fill the .grad of every weight.",
    ),
)
def inside_no_grad(impl):
    x_t = normal(4, 3, 6, 8)
    with torch.no_grad():
        found, model, clip = nudged(impl, x_t=x_t)
        switched_on = torch.is_grad_enabled()
    weights = [*model.parameters(), *clip.parameters()]
    return {
        "noise": found,
        "carries a graph": has_graph(found),
        "x_t still asks for no gradient": not x_t.requires_grad,
        "gradients are switched on for the caller": switched_on,
        "gradients left": any(p.grad is not None for p in weights),
        "weights still learn": all(p.requires_grad for p in weights),
    }


def walked(impl, **options):
    """A walk of three steps from a given start (with five, rounding grows to what a mistake would be)."""
    model = options.pop("model", None) or toy_model(5)
    given = {
        "y": labels(2, 0, 4),
        "steps": 3,
        "clip_scale": 3.0,
        "noise": normal(3, 3, 6, 8),
        **options,
    }
    out = impl.guided_sample_loop(
        model,
        short_schedule(impl),
        (3, 3, 6, 8),
        toy_clip(),
        given.pop("texts", toy_texts(3)),
        **given,
    )
    if not model.seen:
        raise TypeError("guided_sample_loop never asks the model: is there a step that it takes?")
    return out


@experiment(
    "9.8",
    "A walk in which the text has a say at every step",
    points=1,
    star=True,
    hint=(
        "What comes out of clip_guidance is noise, whatever the model predicts: tell ddim_step so.",
        "x_0 is clipped in ddim_step, after the nudge; the last step goes to t = −1.",
        "x_t, _ = ddim_step(schedule, x_t, t, t_next, noise, eta, generator=generator)",
    ),
)
def guided_walk(impl):
    return {
        "noise": walked(impl),
        "v": walked(impl, target="v", guidance_scale=2.0),
        "v, beside the model": walked(impl, target="v", guidance_scale=2.0, through_model=False),
    }


@experiment(
    "9.8",
    "Outside the interval of timesteps it has none",
    points=1,
    star=True,
    hint=(
        "The interval counts timesteps, not steps; both of its ends belong to it.",
        "lowest <= t <= highest; outside, the same with clip_scale = 0: still noise, whatever the model "
        "predicts, and with guidance_scale. And 0 ≤ lowest ≤ highest < T, or a ValueError.",
    ),
)
def in_the_interval(impl):
    # The walk visits 11, 7, 3.
    options = {"target": "v", "guidance_scale": 2.0}
    return {
        **{
            str(i): walked(impl, interval=i, **options) for i in ((3, 7), (0, 2), (11, 11), (4, 11))
        },
        **{
            f"refused {i}": raises(lambda i=i: walked(impl, interval=i))
            for i in ((-1, 3), (5, 4), (3, 12), (0, 11))
        },
    }


CROWD = (8, 3, 12, 14)  # enough numbers for statistics


@experiment(
    "9.8",
    "The model is in eval mode meanwhile and in its own mode afterwards; start and noise are drawn",
    points=1,
    star=True,
    hint=(
        "Dropout is no part of a prediction: model.eval(), and back to what it was.",
        "Draw the start with torch.randn(shape, generator=generator) when no noise is given, and only then. "
        "Hand eta and the generator to ddim_step. No seed is set.",
    ),
)
def mode_and_start(impl):
    model = toy_model(5).train()
    in_training = walked(impl, model=model)
    start, other, given = toy_model(5), toy_model(5), toy_model(5)
    options = {"noise": None, "eta": 1.0, "interval": (0, 7)}  # of the visited 11, 7 and 3
    one, again = (
        walked(impl, model=model, generator=torch.Generator().manual_seed(1), **options)
        for model in (start, None)
    )
    walked(impl, model=other, noise=None, generator=torch.Generator().manual_seed(2), steps=1)
    walked(impl, model=given, generator=torch.Generator(), eta=1.0, steps=1)
    torch.manual_seed(1)
    by_default = [walked(impl, noise=None, steps=1) for _ in range(2)]
    on_the_way = [walked(impl, eta=1.0, steps=2) for _ in range(2)]
    return {
        "from training mode": in_training,
        "mode afterwards": model.training,
        "mode afterwards, from eval mode": start.training,
        "modes seen": sorted({call["training"] for call in model.seen}),
        "carries a graph": has_graph(in_training),
        "one seed, one picture": torch.equal(one, again),
        "another seed, another start": not torch.equal(shown(start, 3)[11], shown(other, 3)[11]),
        "without a generator, the next draw is another one": not torch.equal(*by_default),
        "without a generator, the noise on the way is another one": not torch.equal(*on_the_way),
        "start, where noise and a generator are given": shown(given, 3)[11],
        **drawn_on_the_way(impl),
    }


def shown(model, batch):
    """The pictures at each timestep of a walk, whether the model was shown all at once or one by one."""
    calls = {}
    for call in model.seen:
        calls.setdefault(int(call["t"][0]), []).append(call["x"])
    return {t: pictures_of({"x": torch.cat(x)}, batch) for t, x in calls.items()}


def drawn_on_the_way(impl):
    """What the start is like, and what eta = 1 adds to each step of one's own, in units of its sigma.

    The text has a say in the middle of the walk only: noise is added everywhere.
    """
    batch, texts, clip = CROWD[0], toy_texts(1), toy_clip()
    schedule = impl.chapter(5).NoiseSchedule(torch.tensor([0.2, 0.3, 0.4, 0.6]))
    step, model = impl.chapter(7).ddim_step, toy_model(5)
    given = {"steps": 4, "eta": 1.0, "interval": (1, 2)}
    out = impl.guided_sample_loop(model, schedule, CROWD, clip, texts, **given)
    way = [*shown(model, batch).items(), (-1, out)]
    added = []
    for (t, x), (t_next, after) in pairwise(way):
        scale = 30.0 if t in (1, 2) else 0.0
        said = impl.clip_guidance(
            *(model, schedule, x, torch.full((batch,), t), clip, texts), clip_scale=scale
        )
        calm, noisy = (
            step(schedule, x, t, t_next, said, eta=1.0, noise=torch.full(CROWD, z))[0]
            for z in (0.0, 1.0)
        )
        sigma = (noisy - calm).mean()
        added.append((after - calm) / sigma if t_next >= 0 else after - calm)
    return {
        "start": character(way[0][1]),
        "added in each step": character(torch.cat(added[:-1] or [out[:0]]), len(added) - 1 or None),
        "added in the last step": bool(added[-1].abs().max() > 1e-3),
    }


@experiment(
    "9.8",
    "On a GPU, the start is where the model is",
    points=1,
    star=True,
    hint=(
        "torch.randn(shape) draws on the CPU.",
        "torch.randn(shape, generator=generator).to(next(model.parameters()).device)",
    ),
)
def start_on_a_device(impl):
    right = {"start": fake_device.NAME}

    def run():
        here = fake_device.NAME
        model, clip = (each.to(here) for each in (toy_model(5), toy_clip()))
        schedule, texts = (each.to(here) for each in (short_schedule(impl), toy_texts(1)))
        try:
            impl.guided_sample_loop(model, schedule, (2, 3, 6, 8), clip, texts, steps=1)
        except RuntimeError:  # what follows from a start in the wrong place
            if not model.seen:
                raise
        return {"start": model.seen[0]["x"].device.type if model.seen else "the model is not asked"}

    return on_the_device(run, right)
