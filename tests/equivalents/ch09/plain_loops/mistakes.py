"""The chapter's mistakes, made in loops over pictures."""

MISTAKES = {
    "a capital letter is not taken for a vowel": [('set("aeiouAEIOU")', 'set("aeiou")')],
    "a template without {class} is accepted: all classes get the same caption": [
        ('if template.count("{class}") == 0:', "if False:")
    ],
    "the texts are not brought to length 1": [
        ("found.append(unit(vector))", "found.append(vector)")
    ],
    "pictures are not clamped: what lies outside [−1, 1] is seen brighter than white": [
        ("white = torch.minimum(torch.maximum(white, torch.zeros(())), torch.ones(()))", "pass")
    ],
    "bilinear interpolation where bicubic is asked for": [('mode="bicubic"', 'mode="bilinear"')],
    "mean and std have changed places": [
        (
            "(small[:, c] - clip.visual.image_mean[c]) / clip.visual.image_std[c]",
            "(small[:, c] - clip.visual.image_std[c]) / clip.visual.image_mean[c]",
        )
    ],
    "batch_size is ignored: all pictures go through CLIP at once": [
        ("range(0, x.shape[0], batch_size)", "[0]"),
        ("x[first : first + batch_size]", "x"),
    ],
    "a softmax over the texts: what comes out depends on which other texts there are": [
        ("torch.mv(texts, image) for", "torch.mv(texts, image).softmax(0) for")
    ],
    "argmin where argmax belongs: the least similar text counts as the match": [
        ("row.index(max(row))", "row.index(min(row))")
    ],
    "of equally similar texts the highest class counts": [
        ("row.index(max(row))", "len(row) - 1 - row[::-1].index(max(row))")
    ],
    "the label −1 is accepted: to an index it is the last class": [
        ("if label not in range(len(table[0])):", "if label >= len(table[0]):")
    ],
    "the worst come first": [("key=lambda k: -column[k]", "key=lambda k: column[k]")],
    "the wrong sign: away from the text": [("eps - clip_scale", "eps + clip_scale")],
    "1 − alpha_bar without its root": [
        ("clip_scale * math.sqrt(1 - share)", "clip_scale * (1 - share)")
    ],
    "through_model is ignored: the gradient always goes through the model": [
        ("if not through_model:", "if False:")
    ],
    "the predicted x_0 is not clipped after the nudge: the walk leaves the range of pictures": [
        (".clamp(-1, 1)", "")
    ],
    "the interval is ignored: the text always has a say": [
        ("clip_scale if interval[0] <= here <= interval[1] else 0", "clip_scale")
    ],
}
