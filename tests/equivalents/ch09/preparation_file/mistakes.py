"""The chapter's mistakes, made beside a right file of preparation."""

MISTAKES = {
    "an article at the very beginning of the template is missed": [
        (
            '(" " + template).replace(" a {class}", " an {class}")[1:]',
            'template.replace(" a {class}", " an {class}")',
        )
    ],
    "a capital letter is not taken for a vowel": [(', "A", "E", "I", "O", "U")', ")")],
    "the texts carry a graph: each step of a sampler would keep it alive": [
        ("@torch.no_grad\n", "")
    ],
    "the pictures' vectors are not brought to length 1": [
        (
            "to_unit_length(clip.encode_image(prepare(clip.visual, batch)))",
            "clip.encode_image(prepare(clip.visual, batch))",
        )
    ],
    "scaled by 100, as for CLIP's own loss: a raw cosine is asked for": [
        ("linear(images, texts)", "linear(images, texts) * 100")
    ],
    "the intended similarity is the mean over all texts, whatever was asked for": [
        ("intended_similarity=asked.mean()", "intended_similarity=similarity.mean()")
    ],
    "the top-1 similarity is taken at the label: that is the intended one": [
        ("top1_similarity=order.values[:, 0].mean()", "top1_similarity=asked.mean()")
    ],
    "`keep` is ignored: all candidates are returned": [("[:keep].copy()", ".copy()")],
    "a text that does not exist is not refused": [
        ('    _demand(0 <= label < similarity.shape[1], "label")\n', "")
    ],
    "√alpha_bar where √(1 − alpha_bar) belongs": [
        ("return noise - rest *", "return noise - share.sqrt() *")
    ],
    "a prediction of v is nudged as if it were noise": [('if target == "noise":', "if True:")],
    "classifier-free guidance is left out: guidance_scale is ignored": [
        (
            "guided_prediction(model, source, t, y, guidance_scale)",
            "guided_prediction(model, source, t, y)",
        )
    ],
    "x_0 is clipped before CLIP sees it: where it is, no gradient comes back": [
        ("encode_images(clip, picture)", "encode_images(clip, picture.clamp(-1, 1))")
    ],
    "clip_scale is not handed on": [
        ("clip_scale=clip_scale * (t in allowed)", "clip_scale=30.0 * (t in allowed)")
    ],
    "the nudged noise is taken for the model's own target (v): tell ddim_step that it is noise": [
        ("eps, eta, generator=generator)", "eps, eta, target, generator=generator)")
    ],
    "an interval that is none is accepted": [
        (
            "_demand(low in allowed and high in allowed and low <= high, ",
            "_demand(True, ",
        )
    ],
}
