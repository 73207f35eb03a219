"""Lazy layers: their parameters come into being on the first call. The skip is learnt as a matrix."""

from torch import nn
from torch.nn.functional import silu


class ZeroConv(nn.LazyConv2d):
    """A lazy convolution that starts at zero."""

    def reset_parameters(self):
        super().reset_parameters()
        if self.bias is not None and not self.has_uninitialized_params():
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)


class ResidualBlock(nn.Module):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        cond_dim: int,
        dropout: float = 0.0,
        conditioning: str = "scale_shift",
        residual: bool = True,
    ):
        super().__init__()
        if conditioning not in ("scale_shift", "add"):
            raise ValueError("unknown conditioning")
        self.in_norm = nn.GroupNorm(8, in_channels)
        self.out_norm = nn.GroupNorm(8, out_channels)
        self.in_layer = nn.LazyConv2d(out_channels, 3, padding=1)
        self.out_layer = (ZeroConv if residual else nn.LazyConv2d)(out_channels, 3, padding=1)
        self.emb = nn.ModuleList(
            nn.LazyLinear(out_channels) for _ in range(2 if conditioning == "scale_shift" else 1)
        )
        self.drop = nn.Dropout(dropout)
        self.residual = residual
        if residual and in_channels != out_channels:
            self.skip = nn.LazyConv2d(out_channels, (1, 1))

    def forward(self, x, cond):
        emb = [layer(silu(cond)).view(len(x), -1, 1, 1) for layer in self.emb]
        h = self.in_layer(silu(self.in_norm(x)))
        if len(emb) == 1:
            h = self.out_norm(h + emb[0])
        else:
            shift, scale = emb
            h = shift + self.out_norm(h) * (1.0 + scale)
        h = self.out_layer(self.drop(silu(h)))
        if not self.residual:
            return h
        return h + (self.skip(x) if hasattr(self, "skip") else x)
