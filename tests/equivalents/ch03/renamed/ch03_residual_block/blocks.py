"""Other names, defined in another order; one fused layer for scale and shift; one line a step."""

from torch import nn


class ResidualBlock(nn.Module):
    def __init__(
        self,
        in_channels,
        out_channels,
        cond_dim,
        dropout=0.0,
        conditioning="scale_shift",
        residual=True,
    ):
        super().__init__()
        if conditioning not in ("add", "scale_shift"):
            raise ValueError(f"what is conditioning={conditioning}?")
        self.film = conditioning == "scale_shift"
        self.shortcut = None
        if residual:
            self.shortcut = nn.Identity()
            if in_channels != out_channels:
                self.shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.second = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding="same")
        if residual:
            for p in self.second.parameters():
                nn.init.constant_(p, 0.0)
        self.first = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding="same")
        self.after = nn.GroupNorm(num_groups=8, num_channels=out_channels)
        self.before = nn.GroupNorm(num_groups=8, num_channels=in_channels)
        self.drop = nn.Dropout(dropout)
        self.act = nn.SiLU()
        self.to_film = nn.Linear(cond_dim, (1 + self.film) * out_channels)

    def forward(self, x, cond):
        emb = self.to_film(self.act(cond))
        emb = emb.reshape(len(emb), -1, 1, 1)
        h = self.before(x)
        h = self.act(h)
        h = self.first(h)
        if self.film:
            half = emb.shape[1] // 2
            gamma, beta = emb[:, :half], emb[:, half:]
            h = self.after(h)
            h = h + gamma * h + beta
        else:
            h = self.after(emb + h)
        h = self.act(h)
        h = self.drop(h)
        h = self.second(h)
        if self.shortcut is None:
            return h
        return self.shortcut(x) + h
