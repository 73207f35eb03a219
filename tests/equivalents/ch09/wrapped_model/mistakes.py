"""The chapter's mistakes, made where the sampler of chapter 7 walks with a wrapped model."""

MISTAKES = {
    'always "a": it is "an arrow"': [('n = "n" if name.lower()[0] in VOWELS else ""', 'n = ""')],
    "a template without {class} is accepted: all classes get the same caption": [
        ("if not place:", "if False:")
    ],
    "the texts are normalised along the wrong axis: over the captions, not over the dimensions": [
        (
            "return _directions(clip.encode_text(tokens)).detach()",
            "return _directions(clip.encode_text(tokens).T).T.detach()",
        )
    ],
    "the texts carry a graph: each step of a sampler would keep it alive": [
        (".detach()\n\n\nclass", "\n\n\nclass")
    ],
    "interpolated without antialiasing": [(', mode="bicubic", antialias=True', ', mode="bicubic"')],
    "multiplied by std, where it is divided by it": [
        ("1 / torch.as_tensor(visual", "torch.as_tensor(visual")
    ],
    "pictures are not clamped: what lies outside [−1, 1] is seen brighter than white": [
        ("torch.clip(x, min=-1, max=1).add(1)", "x.add(1)")
    ],
    "the pictures are detached: no gradient reaches them": [
        ("torch.split(x, batch_size, dim=0)", "torch.split(x.detach(), batch_size, dim=0)")
    ],
    "a row for each text: rows are pictures, columns are texts": [("nd,cd->nc", "nd,cd->cn")],
    "vectors of two models are not refused with a ValueError": [
        (
            'except RuntimeError as error:\n        raise ValueError("not of one model") from error',
            "except KeyError:\n        raise",
        )
    ],
    "the share of pictures that do not match": [("(first == labels)", "(first != labels)")],
    "a tie counts as a match: one text has to be the best, the lowest of equals": [
        ("(first == labels)", "(similarity[asked] == top.values)")
    ],
    "those most similar to any text, not to the one that was asked for": [
        ("-similarity[:, label]", "-similarity.amax(1)")
    ],
    "more candidates than there are, or none, may be asked for": [
        (" or keep not in range(1, similarity.shape[0] + 1)", ""),
        ("order.narrow(0, 0, keep)", "order[:keep]"),
    ],
    "the factor √(1 − alpha_bar) is missing": [
        ("clip_scale * spread * slope", "clip_scale * slope")
    ],
    "the mean over the batch where the sum belongs: the more pictures, the weaker the nudge": [
        ("return (seen * texts).sum()", "return (seen * texts).sum(1).mean()")
    ],
    "the upper end of the interval is not part of it": [
        ("first <= t[0].item() <= last", "first <= t[0].item() < last")
    ],
    "eta is ignored": [("eta=eta, ", "")],
}
