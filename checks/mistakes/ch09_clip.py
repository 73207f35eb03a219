"""Chapter 9, mistakes that the grader knows by name: CLIP."""

from checks import misconception

misconception(
    "9.1",
    "the names alone, without the caption around them",
    edit=('caption[1:].replace("{class}", name)', "name"),
)
misconception(
    "9.1",
    'always "a": it is "an arrow"',
    edit=('if name.lower().startswith(("a", "e", "i", "o", "u")):', "if False:"),
)
misconception(
    "9.1",
    'always "an": it is "a star"',
    edit=('if name.lower().startswith(("a", "e", "i", "o", "u")):', "if True:"),
)
misconception(
    "9.1",
    'every "a" of the caption becomes "an": only the one before the name does',
    edit=('caption.replace(" a {class}", " an {class}")', 'caption.replace(" a ", " an ")'),
)
misconception(
    "9.1",
    "a capital letter is not taken for a vowel",
    edit=("name.lower().startswith", "name.startswith"),
)
misconception(
    "9.1",
    "h is taken for a vowel letter, as in hour: only a, e, i, o and u count",
    edit=('"o", "u")', '"o", "u", "h")'),
)
misconception("9.1", "y is taken for a vowel letter", edit=('"o", "u")', '"o", "u", "y")'))
misconception(
    "9.1",
    "the underscore of a name becomes a space: a name goes in as it is",
    edit=('.replace("{class}", name)', '.replace("{class}", name.replace("_", " "))'),
)
misconception(
    "9.1",
    'the "a" at the end of a word becomes "an", too',
    edit=('" a {class}", " an {class}"', '"a {class}", "an {class}"'),
)
misconception(
    "9.1",
    "an article at the very beginning of the template is missed",
    edit=('caption = f" {template}"', 'caption = f"_{template}"'),
)
misconception(
    "9.1",
    "a template without {class} is accepted: all classes get the same caption",
    edit=('if "{class}" not in template:', "if False:"),
)
misconception(
    "9.1",
    "the template that was given is ignored",
    edit=('caption = f" {template}"', 'caption = f" {TEMPLATE}"'),
)
misconception(
    "9.1",
    "a class that comes twice has one caption only: there is one for each class, in order",
    edit=("    return prompts\n", "    return list(dict.fromkeys(prompts))\n"),
)
misconception(
    "9.2",
    "the texts are not brought to length 1",
    edit=(
        "F.normalize(clip.encode_text(tokens.to(device)), dim=-1)",
        "clip.encode_text(tokens.to(device))",
    ),
)
misconception(
    "9.2",
    "the texts are normalised along the wrong axis: over the captions, not over the dimensions",
    edit=(
        "clip.encode_text(tokens.to(device)), dim=-1)",
        "clip.encode_text(tokens.to(device)), dim=0)",
    ),
)
misconception(
    "9.2",
    "the absolute values of a text add up to one, where its squares should",
    edit=(
        "clip.encode_text(tokens.to(device)), dim=-1)",
        "clip.encode_text(tokens.to(device)), p=1, dim=-1)",
    ),
)
misconception(
    "9.2",
    "a softmax where the length belongs",
    edit=(
        "F.normalize(clip.encode_text(tokens.to(device)), dim=-1)",
        "clip.encode_text(tokens.to(device)).softmax(-1)",
    ),
)
misconception(
    "9.2",
    "one caption alone loses its axis (squeeze): it stays (1, D)",
    edit=(
        "F.normalize(clip.encode_text(tokens.to(device)), dim=-1)",
        "F.normalize(clip.encode_text(tokens.to(device)).squeeze(), dim=-1)",
    ),
)
misconception(
    "9.2",
    "the texts are made in inference mode: 9.7 computes gradients with them, which torch then refuses",
    edit=(
        "@torch.no_grad()\ndef encode_prompts",
        "@torch.inference_mode()\ndef encode_prompts",
    ),
)
misconception(
    "9.2",
    "CLIP is put into training mode: it stays in eval mode",
    edit=(
        "    return F.normalize(clip.encode_text(tokens.to(device)), dim=-1)",
        "    clip.train()\n    return F.normalize(clip.encode_text(tokens.to(device)), dim=-1)",
    ),
)
misconception(
    "9.2",
    "the texts carry a graph: each step of a sampler would keep it alive",
    edit=("@torch.no_grad()\ndef encode_prompts", "def encode_prompts"),
)
misconception(
    "9.2",
    "the tokens stay on the CPU, wherever the model is",
    edit=("tokens.to(device)", "tokens"),
)
misconception(
    "9.3",
    "pictures are given in [−1, 1]: CLIP's mean and std are those of [0, 1]",
    edit=("((batch + 1) / 2).clamp(0, 1)", "batch"),
)
misconception(
    "9.3",
    "pictures are not clamped: what lies outside [−1, 1] is seen brighter than white",
    edit=("((batch + 1) / 2).clamp(0, 1)", "((batch + 1) / 2)"),
)
misconception(
    "9.3",
    "pictures are clamped to [0, 1] before they are moved there: all dark pixels are grey",
    edit=("((batch + 1) / 2).clamp(0, 1)", "((batch.clamp(0, 1) + 1) / 2)"),
)
misconception(
    "9.3",
    "clamped after the interpolation, not before it",
    edit=(
        ("((batch + 1) / 2).clamp(0, 1)", "((batch + 1) / 2)"),
        ("antialias=True)", "antialias=True).clamp(0, 1)"),
    ),
)
misconception(
    "9.3",
    "bilinear interpolation where bicubic is asked for",
    edit=('mode="bicubic"', 'mode="bilinear"'),
)
misconception(
    "9.3",
    "the nearest pixel is taken (the default of F.interpolate) where bicubic is asked for",
    edit=(
        'F.interpolate(pixels, size, mode="bicubic", antialias=True)',
        "F.interpolate(pixels, size)",
    ),
)
misconception(
    "9.3",
    "interpolated without antialiasing",
    edit=(', mode="bicubic", antialias=True', ', mode="bicubic"'),
)
misconception(
    "9.3",
    "align_corners is set: the pixels lie elsewhere",
    edit=('mode="bicubic", antialias=True', 'mode="bicubic", antialias=True, align_corners=True'),
)
misconception(
    "9.3",
    "mean and std are left out",
    edit=("(pixels - mean) / std", "pixels"),
)
misconception(
    "9.3",
    "mean and std are made on the CPU, wherever the pictures are",
    edit=("x.new_tensor(values).view", "torch.tensor(values, dtype=x.dtype).view"),
)
misconception(
    "9.3",
    "mean and std have changed places",
    edit=("(pixels - mean) / std", "(pixels - std) / mean"),
)
misconception(
    "9.3",
    "mean and std are those of OpenAI's CLIP, whichever model is given: they are in clip.visual",
    edit=(
        "for values in (mean, std))",
        "for values in ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)))",
    ),
)
misconception(
    "9.3",
    "multiplied by std, where it is divided by it",
    edit=("(pixels - mean) / std", "(pixels - mean) * std"),
)
misconception(
    "9.3",
    "divided by the square root of std: std is no variance",
    edit=("(pixels - mean) / std", "(pixels - mean) / std.sqrt()"),
)
misconception(
    "9.3",
    "mean and std are applied before the interpolation",
    edit=(
        (
            "((batch + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)",
            "(((batch + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1) - mean) / std",
        ),
        ("(pixels - mean) / std)  # (B, D)", "pixels)  # (B, D)"),
    ),
    equal="the weights of an interpolation add up to one, so it commutes with a shift and a factor",
)
misconception(
    "9.3",
    "pictures are not brought to the size that CLIP wants",
    edit=('F.interpolate(pixels, size, mode="bicubic", antialias=True)', "pixels"),
)
misconception(
    "9.3",
    "height and width of image_size have changed places",
    edit=("else tuple(size)", "else tuple(size)[::-1]"),
)
misconception(
    "9.3",
    "what goes beyond a square is cut off where image_size is one number: the whole picture is brought to it",
    edit=(
        "        pixels = F.interpolate(",
        "        if isinstance(clip.visual.image_size, int):\n"
        "            side = min(pixels.shape[-2:])\n"
        "            top, left = ((n - side) // 2 for n in pixels.shape[-2:])\n"
        "            pixels = pixels[..., top : top + side, left : left + side]\n"
        "        pixels = F.interpolate(",
    ),
)
misconception(
    "9.3",
    "the pictures' vectors are not brought to length 1",
    edit=("F.normalize(embedded, dim=-1)", "embedded"),
)
misconception(
    "9.3",
    "the pictures' vectors are normalised over the batch: a picture's score then depends on the others",
    edit=("F.normalize(embedded, dim=-1)", "F.normalize(embedded, dim=0)"),
)
misconception(
    "9.3",
    "the pictures are detached: no gradient reaches them",
    edit=("in x.split(", "in x.detach().split("),
)
misconception(
    "9.3",
    "the length is divided by as a constant (detached): the gradient then has a part along the vector, too",
    edit=(
        "F.normalize(embedded, dim=-1)",
        "embedded / embedded.detach().norm(dim=-1, keepdim=True)",
    ),
)
misconception(
    "9.3",
    "batch_size is another one where none is given: it is 100",
    edit=("x: Tensor, batch_size: int = 100", "x: Tensor, batch_size: int = 1000"),
)
misconception(
    "9.3",
    "batch_size is ignored: all pictures go through CLIP at once",
    edit=("x.split(batch_size)", "x.split(len(x))"),
)
misconception(
    "9.3",
    "batch_size is taken for the number of portions (chunk): it is how many pictures are in each (split)",
    edit=("x.split(batch_size)", "x.chunk(batch_size)"),
)
misconception(
    "9.3",
    "a portion of one picture loses its axis (squeeze): it stays (1, D)",
    edit=("F.normalize(embedded, dim=-1)", "F.normalize(embedded.squeeze(), dim=-1)"),
)
misconception(
    "9.3",
    "the last portion is lost when it is smaller than batch_size",
    edit=(
        "in x.split(batch_size):",
        "in (x[k : k + batch_size] for k in range(0, max(1, len(x) - batch_size + 1), batch_size)):",
    ),
)
misconception(
    "9.3",
    "pictures are divided by 255: they are in [−1, 1], not in 0…255",
    edit=("((batch + 1) / 2).clamp(0, 1)", "(batch / 255).clamp(0, 1)"),
)
misconception(
    "9.4",
    "a softmax over the texts: what comes out depends on which other texts there are",
    edit=("return images @ texts.T", "return (images @ texts.T).softmax(dim=1)"),
)
misconception(
    "9.4",
    "a softmax over the pictures: what comes out depends on which other pictures there are",
    edit=("return images @ texts.T", "return (images @ texts.T).softmax(dim=0)"),
)
misconception(
    "9.4",
    "scaled by 100, as for CLIP's own loss: a raw cosine is asked for",
    edit=("return images @ texts.T", "return 100 * images @ texts.T"),
)
misconception(
    "9.4",
    "2.5 · max(cosine, 0), which is called CLIPScore: a raw cosine is asked for",
    edit=("return images @ texts.T", "return 2.5 * (images @ texts.T).clamp(min=0)"),
)
misconception(
    "9.4",
    "a row for each text: rows are pictures, columns are texts",
    edit=("return images @ texts.T", "return texts @ images.T"),
)
misconception(
    "9.4",
    "the cosine is moved to [0, 1]",
    edit=("return images @ texts.T", "return (images @ texts.T + 1) / 2"),
)
misconception(
    "9.4",
    "distances in place of cosines: the nearest has the smallest number",
    edit=("return images @ texts.T", "return torch.cdist(images, texts)"),
)
misconception(
    "9.4",
    "where there are as many pictures as texts, each meets one text only: every picture meets all of them",
    edit=(
        "return images @ texts.T",
        "return (images * texts).sum(-1) if images.shape == texts.shape else images @ texts.T",
    ),
)
misconception(
    "9.4",
    "vectors of two models are not refused with a ValueError",
    edit=("if images.shape[-1] != texts.shape[-1]:", "if False:"),
)
misconception(
    "9.5",
    "the top-1 similarity is looked for over the pictures, not over the texts",
    edit=("similarity.amax(dim=1)", "similarity.amax(dim=0)"),
)
misconception(
    "9.5",
    "the top-1 similarity is the largest of all, not the mean over pictures",
    edit=("similarity.amax(dim=1).mean()", "similarity.amax()"),
)
misconception(
    "9.5",
    "the top-1 similarity is taken at the label: that is the intended one",
    edit=("similarity.amax(dim=1).mean()", "intended.mean()"),
)
misconception(
    "9.5",
    "the intended similarity is that of the best text: it belongs to the label's",
    edit=(
        '"intended_similarity": intended.mean()',
        '"intended_similarity": similarity.amax(dim=1).mean()',
    ),
)
misconception(
    "9.5",
    "similarity[:, labels] is a column for each label of all pictures, not each picture's own number",
    edit=("similarity[torch.arange(n, device=labels.device), labels]", "similarity[:, labels]"),
)
misconception(
    "9.5",
    "argmin where argmax belongs: the least similar text counts as the match",
    edit=("similarity.argmax(dim=1)", "similarity.argmin(dim=1)"),
)
misconception(
    "9.5",
    "the number of matches, not their share",
    edit=("(best == labels).float().mean()", "(best == labels).float().sum()"),
)
misconception(
    "9.5",
    "the share of matches in percent: it lies between 0 and 1",
    edit=("(best == labels).float().mean()", "100 * (best == labels).float().mean()"),
)
misconception(
    "9.5",
    "the share of pictures that do not match",
    edit=("(best == labels)", "(best != labels)"),
)
misconception(
    "9.5",
    "the intended similarity is the mean over all texts, whatever was asked for",
    edit=('"intended_similarity": intended.mean()', '"intended_similarity": similarity.mean()'),
)
misconception(
    "9.5",
    "the intended similarity is the mean over the matching pictures only",
    edit=(
        '"intended_similarity": intended.mean()',
        '"intended_similarity": intended[best == labels].mean()',
    ),
)
misconception(
    "9.5",
    "a sum over the pictures, not their mean: the intended similarity grows with their number",
    edit=('"intended_similarity": intended.mean()', '"intended_similarity": intended.sum()'),
)
misconception(
    "9.5",
    "the scores are not those of each picture's own label: the labels are in another order",
    edit=(
        "n, classes = similarity.shape\n    if labels.shape",
        "n, classes = similarity.shape\n    labels = labels.flip(0)\n    if labels.shape",
    ),
)
misconception(
    "9.5",
    "of equally similar texts the highest class counts",
    edit=("similarity.argmax(dim=1)", "classes - 1 - similarity.flip(1).argmax(dim=1)"),
)
misconception(
    "9.5",
    "a tie counts as a match: one text has to be the best, the lowest of equals",
    edit=("(best == labels)", "(intended == similarity.amax(dim=1))"),
)
misconception(
    "9.5",
    "labels that are none of the classes are accepted",
    edit=("or not 0 <= labels.min() <= labels.max() < classes:", "and False:"),
)
misconception(
    "9.5",
    "the label −1 is accepted: to an index it is the last class",
    edit=("not 0 <= labels.min() <= labels.max() < classes", "not labels.max() < classes"),
)
misconception(
    "9.6",
    "the worst come first",
    edit=("argsort(descending=True, stable=True)[:keep]", "argsort(stable=True)[:keep]"),
)
misconception(
    "9.6",
    "those most similar to any text, not to the one that was asked for",
    edit=("similarity[:, label].argsort", "similarity.amax(dim=1).argsort"),
)
misconception(
    "9.6",
    "the row of the label, not its column: that is one picture with all the texts",
    edit=("similarity[:, label].argsort", "similarity[label].argsort"),
)
misconception(
    "9.6",
    "topk, which promises no order among equals",
    edit=(
        "similarity[:, label].argsort(descending=True, stable=True)[:keep]",
        "similarity[:, label].topk(keep).indices",
    ),
)
misconception(
    "9.6",
    "the similarities are returned, not the positions",
    edit=(
        "similarity[:, label].argsort(descending=True, stable=True)[:keep]",
        "similarity[:, label].sort(descending=True, stable=True).values[:keep]",
    ),
)
misconception(
    "9.6",
    "the chosen ones in the order in which they were drawn, not the best first",
    edit=(
        "argsort(descending=True, stable=True)[:keep]",
        "argsort(descending=True, stable=True)[:keep].sort().values",
    ),
)
misconception(
    "9.6",
    "of equals the last one comes first",
    edit=(
        "argsort(descending=True, stable=True)[:keep]",
        "argsort(stable=True).flip(0)[:keep]",
    ),
)
misconception(
    "9.6",
    "`keep` is ignored: all candidates are returned",
    edit=("argsort(descending=True, stable=True)[:keep]", "argsort(descending=True, stable=True)"),
)
misconception(
    "9.6",
    "the ranks of the candidates, not the candidates by rank (argsort of the argsort)",
    edit=(
        "argsort(descending=True, stable=True)[:keep]",
        "argsort(descending=True, stable=True).argsort()[:keep]",
    ),
)
misconception(
    "9.6",
    "more candidates than there are, or none, may be asked for",
    edit=("if not 1 <= keep <= n:", "if False:"),
)
misconception(
    "9.6",
    "a text that does not exist is not refused",
    edit=("if not 0 <= label < classes:", "if False:"),
)
misconception(
    "9.7",
    "the wrong sign: away from the text",
    edit=("return noise - clip_scale", "return noise + clip_scale"),
)
misconception(
    "9.7",
    "clip_scale is ignored: the nudge is always of strength 1",
    edit=("return noise - clip_scale * (1 -", "return noise - (1 -"),
)
misconception(
    "9.7",
    "the gradient is brought to length 1: how strong it is belongs to the nudge",
    edit=("    if normalise:\n", "    gradient = gradient / gradient.norm()\n    if normalise:\n"),
)
misconception(
    "9.7",
    "the caller's x_t is made to ask for gradients: that is for a copy of it (detach)",
    edit=("x_t = x_t.detach().requires_grad_(True)", "x_t = x_t.requires_grad_(True)"),
)
misconception(
    "9.7",
    "the factor √(1 − alpha_bar) is missing",
    edit=(
        "clip_scale * (1 - per_image(schedule.alpha_bars, t)).sqrt() * gradient",
        "clip_scale * gradient",
    ),
)
misconception(
    "9.7",
    "1 − alpha_bar without its root",
    edit=(
        "(1 - per_image(schedule.alpha_bars, t)).sqrt() * gradient",
        "(1 - per_image(schedule.alpha_bars, t)) * gradient",
    ),
)
misconception(
    "9.7",
    "√alpha_bar where √(1 − alpha_bar) belongs",
    edit=(
        "(1 - per_image(schedule.alpha_bars, t)).sqrt() * gradient",
        "per_image(schedule.alpha_bars, t).sqrt() * gradient",
    ),
)
misconception(
    "9.7",
    "the mean over the batch where the sum belongs: the more pictures, the weaker the nudge",
    edit=("* texts).sum() / k", "* texts).sum(1).mean()"),
)
misconception(
    "9.7",
    "the gradient is with respect to the predicted x_0, not to x_t",
    edit=("torch.autograd.grad(similarity, x_t)", "torch.autograd.grad(similarity, x_0)"),
)
misconception(
    "9.7",
    "CLIP looks at the noisy x_t, not at the x_0 that it implies",
    edit=("views = x_0 if augment", "views = x_t if augment"),
)
misconception(
    "9.7",
    "x_0 is clipped before CLIP sees it: where it is, no gradient comes back",
    edit=("views = x_0 if augment", "x_0 = x_0.clamp(-1, 1)\n        views = x_0 if augment"),
)
misconception(
    "9.7",
    "the gradient does not go through the model although it was asked to",
    edit=("with torch.set_grad_enabled(through_model):", "with torch.set_grad_enabled(False):"),
)
misconception(
    "9.7",
    "through_model is ignored: the gradient always goes through the model",
    edit=("with torch.set_grad_enabled(through_model):", "with torch.set_grad_enabled(True):"),
)
misconception(
    "9.7",
    "with through_model=False x_0 is differentiated by hand, by 1/√alpha_bar: for v that is √alpha_bar",
    edit=(
        "        (gradient,) = torch.autograd.grad(similarity, x_t)\n",
        "        (gradient,) = torch.autograd.grad(similarity, x_t if through_model else x_0)\n"
        "        if not through_model:\n"
        "            gradient = gradient / per_image(schedule.alpha_bars, t).sqrt()\n",
    ),
)
misconception(
    "9.7",
    "with through_model=False classifier-free guidance is left out",
    edit=(
        "prediction = guided_prediction(model, x_t, t, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, t, y, guidance_scale if through_model else 1.0)",
    ),
)
misconception(
    "9.7",
    "a prediction of v is nudged as if it were noise",
    edit=(
        "noise = predict_noise(schedule, x_t.detach(), t, x_0.detach())",
        "noise = prediction.detach()",
    ),
)
misconception(
    "9.7",
    "`target` is ignored: v is taken for noise",
    edit=(
        "x_0 = predict_x0(schedule, x_t, t, prediction, target)\n        views",
        "x_0 = predict_x0(schedule, x_t, t, prediction)\n        views",
    ),
)
misconception(
    "9.7",
    "classifier-free guidance is left out: guidance_scale is ignored",
    edit=(
        "prediction = guided_prediction(model, x_t, t, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, t, y)",
    ),
)
misconception(
    "9.7",
    "the labels are not given to the model",
    edit=(
        "prediction = guided_prediction(model, x_t, t, y, guidance_scale)",
        "prediction = guided_prediction(model, x_t, t, None, guidance_scale)",
    ),
)
misconception(
    "9.7",
    "each picture is pulled towards all texts, not towards its own",
    edit=(
        "(encode_images(clip, views) * texts).sum() / k",
        "(encode_images(clip, views) @ texts.T).sum() / k",
    ),
)
misconception(
    "9.7",
    "gradients stay switched off when the caller has switched them off",
    edit=("with torch.enable_grad():", "with torch.set_grad_enabled(torch.is_grad_enabled()):"),
)
misconception(
    "9.7",
    "gradients stay switched on for the caller, who had switched them off",
    edit=("    with torch.enable_grad():\n", "    torch.set_grad_enabled(True)\n    if True:\n"),
)
misconception(
    "9.7",
    "the result carries the graph of the whole network",
    edit=(
        "predict_noise(schedule, x_t.detach(), t, x_0.detach())",
        "predict_noise(schedule, x_t, t, x_0)",
    ),
)
misconception(
    "9.7",
    "backward() fills the gradients of every weight: torch.autograd.grad does not",
    edit=(
        "(gradient,) = torch.autograd.grad(similarity, x_t)",
        "similarity.backward()\n        gradient = x_t.grad",
    ),
)
misconception(
    "9.8",
    "the interval is ignored: the text always has a say",
    edit=("self.lowest <= int(t[0]) <= self.highest", "True"),
)
misconception(
    "9.8",
    "an interval that begins at 0 is taken for none",
    edit=(
        "self.lowest, self.highest = interval or (",
        "self.lowest, self.highest = (interval if interval and interval[0] else None) or (",
    ),
)
misconception(
    "9.8",
    "the interval is compared with the number of the step: it counts timesteps t",
    edit=(
        (
            "self.lowest, self.highest = interval or (",
            "self.step = -1\n        self.lowest, self.highest = interval or (",
        ),
        (
            '        if self.nudge["clip_scale"] and self.lowest <= int(t[0]) <= self.highest:\n',
            "        self.step += 1\n"
            '        if self.nudge["clip_scale"] and self.lowest <= self.step <= self.highest:\n',
        ),
    ),
)
misconception(
    "9.8",
    "the upper end of the interval is not part of it",
    edit=("self.lowest <= int(t[0]) <= self.highest", "self.lowest <= int(t[0]) < self.highest"),
)
misconception(
    "9.8",
    "the lower end of the interval is not part of it",
    edit=("self.lowest <= int(t[0]) <= self.highest", "self.lowest < int(t[0]) <= self.highest"),
)
misconception(
    "9.8",
    "both ends of the interval are left out: they belong to it",
    edit=("self.lowest <= int(t[0]) <= self.highest", "self.lowest < int(t[0]) < self.highest"),
)
misconception(
    "9.8",
    "the model walks in the mode in which it is found: training mode, perhaps",
    edit=(
        "self.model, self.schedule, self.target = model, schedule, target",
        'self.__dict__["model"], self.schedule, self.target = model, schedule, target',
    ),
)
misconception(
    "9.8",
    "after the walk the model is in training mode, whatever its mode was",
    edit=("    guided = ClipGuided(", "    model.train()\n    guided = ClipGuided("),
)
misconception(
    "9.8",
    "the text has a say outside the interval and none inside",
    edit=(
        "self.lowest <= int(t[0]) <= self.highest",
        "not self.lowest <= int(t[0]) <= self.highest",
    ),
)
misconception(
    "9.8",
    "an interval that is none is accepted",
    edit=(
        "if interval is not None and not 0 <= interval[0] <= interval[1] < schedule.timesteps:",
        "if False:",
    ),
)
misconception(
    "9.8",
    "outside the interval a prediction of v is taken for noise",
    edit=(
        "x_0 = predict_x0(self.schedule, x_t, t, prediction, self.target)",
        "x_0 = predict_x0(self.schedule, x_t, t, prediction)",
    ),
)
misconception(
    "9.8",
    "outside the interval classifier-free guidance is left out, too",
    edit=(
        "prediction = guided_prediction(self.model, x_t, t, y, self.guidance_scale)",
        "prediction = guided_prediction(self.model, x_t, t, y)",
    ),
)
misconception(
    "9.8",
    "through_model is not handed on: the gradient always goes through the model",
    edit=("        through_model=through_model,\n", ""),
)
misconception(
    "9.8",
    "the nudged noise is taken for the model's own target (v): tell ddim_step that it is noise",
    edit=('target="noise",\n        clip=clip_x0,', "target=target,\n        clip=clip_x0,"),
)
misconception(
    "9.8",
    "the predicted x_0 is not clipped after the nudge: the walk leaves the range of pictures",
    edit=("clip=clip_x0,", "clip=False,"),
)
misconception(
    "9.8",
    "eta is ignored",
    edit=("*(guided, schedule, shape, y, steps, eta),", "*(guided, schedule, shape, y, steps),"),
)
misconception(
    "9.8",
    "eta is not handed on where there is an interval",
    edit=(
        "*(guided, schedule, shape, y, steps, eta),",
        "*(guided, schedule, shape, y, steps, eta if interval is None else 0.0),",
    ),
)
misconception(
    "9.8",
    "the start that was given is ignored",
    edit=(
        "noise=noise,\n        generator=generator,",
        "noise=None,\n        generator=generator,",
    ),
)
misconception(
    "9.8",
    "the start that was given is ignored where there is a generator",
    edit=(
        "noise=noise,\n        generator=generator,",
        "noise=None if generator else noise,\n        generator=generator,",
    ),
)
misconception(
    "9.8",
    "all pictures start from the same noise",
    edit=(
        "noise=noise,\n        generator=generator,",
        "noise=torch.randn(1, *shape[1:], generator=generator).repeat(shape[0], 1, 1, 1)\n"
        "        if noise is None\n"
        "        else noise,\n"
        "        generator=generator,",
    ),
)
misconception(
    "9.8",
    "the start stays on the CPU, wherever the model is",
    edit=("device=device,", 'device="cpu",'),
)
misconception(
    "9.8",
    "the loop sets a seed: the same pictures each time",
    edit=("    guided = ClipGuided(", "    torch.manual_seed(0)\n    guided = ClipGuided("),
)
misconception(
    "9.8",
    "without a generator the noise on the way is seeded: the same noise each time",
    edit=(
        "noise=noise,\n        generator=generator,",
        "noise=torch.randn(tuple(shape), generator=generator) if noise is None else noise,\n"
        "        generator=generator or Generator().manual_seed(0),",
    ),
)
misconception(
    "9.8",
    "clip_scale is not handed on",
    edit=(
        "*(model, schedule, clip, texts, clip_scale, interval, guidance_scale, target),",
        "*(model, schedule, clip, texts, 20.0, interval, guidance_scale, target),",
    ),
)
misconception(
    "9.8",
    "the generator is not handed on: the same seed draws other pictures",
    edit=("generator=generator,\n        device=device,", "device=device,"),
)
misconception(
    "9.2",
    "gradients stay switched off for the caller: torch.no_grad() switches them on again",
    edit=(
        ("@torch.no_grad()\ndef encode_prompts(", "def encode_prompts("),
        (
            "    tokens = tokenizer(list(prompts))",
            "    torch.set_grad_enabled(False)\n    tokens = tokenizer(list(prompts))",
        ),
    ),
)
misconception(
    "9.3",
    "a picture that is as high as CLIP wants it is not brought to its width",
    edit=(
        "        pixels = F.interpolate(pixels, size,",
        "        if pixels.shape[-2] != size[0]:\n            pixels = F.interpolate(pixels, size,",
    ),
)
misconception(
    "9.3",
    "CLIP is put into training mode for the pictures: it stays in eval mode",
    edit=(
        "    for batch in x.split(batch_size):\n        pixels",
        "    clip.train()\n    for batch in x.split(batch_size):\n        pixels",
    ),
)
misconception(
    "9.3",
    "the clamp is hidden from the gradient, which also comes through where pictures are cut off",
    edit=(
        "pixels = ((batch + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)",
        "pixels = (batch + 1) / 2\n        pixels = pixels + (pixels.clamp(0, 1) - pixels).detach()",
    ),
)
misconception(
    "9.7",
    "with clip_scale=0 the prediction itself comes back, which may be v",
    edit=(
        "    return noise - clip_scale *",
        "    if not clip_scale:\n        return prediction.detach()\n    return noise - clip_scale *",
    ),
)
