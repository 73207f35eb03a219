"""The chapter's mistakes, made in this implementation: {says: [(old, new), …]}."""

MISTAKES = {
    "the skips are taken in the wrong order: pop(0) gives the first, not the last": [
        ("skips.popleft()", "skips.pop()")
    ],
    "the class is ignored": [("self.condition(t, y)", "self.condition(t)")],
    "y=None is taken for class 0: the null class is label num_classes": [
        ("self.condition(t, y)", "self.condition(t, torch.zeros_like(t) if y is None else y)")
    ],
    "the whole batch gets one timestep": [
        ("self.condition(t, y)", "self.condition(t.max().expand(len(t)), y)")
    ],
    "the whole batch gets the timestep of its first image": [
        ("self.condition(t, y)", "self.condition(t[:1].expand(len(t)), y)")
    ],
    "cond is detached: the embeddings never learn": [
        ("self.condition(t, y)", "self.condition(t, y).detach()")
    ],
    "the norm before the last convolution is missing": [
        ("nn.functional.silu(self.norm(h))", "nn.functional.silu(h)")
    ],
    "the activation before the last convolution is missing": [
        ("self.conv(nn.functional.silu(self.norm(h)))", "self.conv(self.norm(h))")
    ],
}
