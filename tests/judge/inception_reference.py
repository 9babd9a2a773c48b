"""Inception of 2015-12-05 once more: a list of shapes, a table of paths and matrix products.

Nothing here comes from the package. A convolution is patches times a matrix, with its batch
normalisation folded in; a pool is a reduction of the same patches; a fork is two whole paths.
"""

import torch
from torch.nn import functional as F

CONVOLUTIONS = """
Conv2d_1a_3x3 32 3 3 3
Conv2d_2a_3x3 32 32 3 3
Conv2d_2b_3x3 64 32 3 3
Conv2d_3b_1x1 80 64 1 1
Conv2d_4a_3x3 192 80 3 3
Mixed_5b.branch1x1 64 192 1 1
Mixed_5b.branch5x5_1 48 192 1 1
Mixed_5b.branch5x5_2 64 48 5 5
Mixed_5b.branch3x3dbl_1 64 192 1 1
Mixed_5b.branch3x3dbl_2 96 64 3 3
Mixed_5b.branch3x3dbl_3 96 96 3 3
Mixed_5b.branch_pool 32 192 1 1
Mixed_5c.branch1x1 64 256 1 1
Mixed_5c.branch5x5_1 48 256 1 1
Mixed_5c.branch5x5_2 64 48 5 5
Mixed_5c.branch3x3dbl_1 64 256 1 1
Mixed_5c.branch3x3dbl_2 96 64 3 3
Mixed_5c.branch3x3dbl_3 96 96 3 3
Mixed_5c.branch_pool 64 256 1 1
Mixed_5d.branch1x1 64 288 1 1
Mixed_5d.branch5x5_1 48 288 1 1
Mixed_5d.branch5x5_2 64 48 5 5
Mixed_5d.branch3x3dbl_1 64 288 1 1
Mixed_5d.branch3x3dbl_2 96 64 3 3
Mixed_5d.branch3x3dbl_3 96 96 3 3
Mixed_5d.branch_pool 64 288 1 1
Mixed_6a.branch3x3 384 288 3 3
Mixed_6a.branch3x3dbl_1 64 288 1 1
Mixed_6a.branch3x3dbl_2 96 64 3 3
Mixed_6a.branch3x3dbl_3 96 96 3 3
Mixed_6b.branch1x1 192 768 1 1
Mixed_6b.branch7x7_1 128 768 1 1
Mixed_6b.branch7x7_2 128 128 1 7
Mixed_6b.branch7x7_3 192 128 7 1
Mixed_6b.branch7x7dbl_1 128 768 1 1
Mixed_6b.branch7x7dbl_2 128 128 7 1
Mixed_6b.branch7x7dbl_3 128 128 1 7
Mixed_6b.branch7x7dbl_4 128 128 7 1
Mixed_6b.branch7x7dbl_5 192 128 1 7
Mixed_6b.branch_pool 192 768 1 1
Mixed_6c.branch1x1 192 768 1 1
Mixed_6c.branch7x7_1 160 768 1 1
Mixed_6c.branch7x7_2 160 160 1 7
Mixed_6c.branch7x7_3 192 160 7 1
Mixed_6c.branch7x7dbl_1 160 768 1 1
Mixed_6c.branch7x7dbl_2 160 160 7 1
Mixed_6c.branch7x7dbl_3 160 160 1 7
Mixed_6c.branch7x7dbl_4 160 160 7 1
Mixed_6c.branch7x7dbl_5 192 160 1 7
Mixed_6c.branch_pool 192 768 1 1
Mixed_6d.branch1x1 192 768 1 1
Mixed_6d.branch7x7_1 160 768 1 1
Mixed_6d.branch7x7_2 160 160 1 7
Mixed_6d.branch7x7_3 192 160 7 1
Mixed_6d.branch7x7dbl_1 160 768 1 1
Mixed_6d.branch7x7dbl_2 160 160 7 1
Mixed_6d.branch7x7dbl_3 160 160 1 7
Mixed_6d.branch7x7dbl_4 160 160 7 1
Mixed_6d.branch7x7dbl_5 192 160 1 7
Mixed_6d.branch_pool 192 768 1 1
Mixed_6e.branch1x1 192 768 1 1
Mixed_6e.branch7x7_1 192 768 1 1
Mixed_6e.branch7x7_2 192 192 1 7
Mixed_6e.branch7x7_3 192 192 7 1
Mixed_6e.branch7x7dbl_1 192 768 1 1
Mixed_6e.branch7x7dbl_2 192 192 7 1
Mixed_6e.branch7x7dbl_3 192 192 1 7
Mixed_6e.branch7x7dbl_4 192 192 7 1
Mixed_6e.branch7x7dbl_5 192 192 1 7
Mixed_6e.branch_pool 192 768 1 1
Mixed_7a.branch3x3_1 192 768 1 1
Mixed_7a.branch3x3_2 320 192 3 3
Mixed_7a.branch7x7x3_1 192 768 1 1
Mixed_7a.branch7x7x3_2 192 192 1 7
Mixed_7a.branch7x7x3_3 192 192 7 1
Mixed_7a.branch7x7x3_4 192 192 3 3
Mixed_7b.branch1x1 320 1280 1 1
Mixed_7b.branch3x3_1 384 1280 1 1
Mixed_7b.branch3x3_2a 384 384 1 3
Mixed_7b.branch3x3_2b 384 384 3 1
Mixed_7b.branch3x3dbl_1 448 1280 1 1
Mixed_7b.branch3x3dbl_2 384 448 3 3
Mixed_7b.branch3x3dbl_3a 384 384 1 3
Mixed_7b.branch3x3dbl_3b 384 384 3 1
Mixed_7b.branch_pool 192 1280 1 1
Mixed_7c.branch1x1 320 2048 1 1
Mixed_7c.branch3x3_1 384 2048 1 1
Mixed_7c.branch3x3_2a 384 384 1 3
Mixed_7c.branch3x3_2b 384 384 3 1
Mixed_7c.branch3x3dbl_1 448 2048 1 1
Mixed_7c.branch3x3dbl_2 384 448 3 3
Mixed_7c.branch3x3dbl_3a 384 384 1 3
Mixed_7c.branch3x3dbl_3b 384 384 3 1
Mixed_7c.branch_pool 192 2048 1 1
"""
"""Name, outputs, inputs, height and width of each kernel."""

FIVE = (
    "branch1x1",
    "branch5x5_1 branch5x5_2",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3",
    "mean branch_pool",
)
SIX = (
    "branch1x1",
    "branch7x7_1 branch7x7_2 branch7x7_3",
    "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5",
    "mean branch_pool",
)
SEVEN = (
    "branch1x1",
    "branch3x3_1 branch3x3_2a",
    "branch3x3_1 branch3x3_2b",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3b",
)
PATHS = {
    "Mixed_5b": FIVE,
    "Mixed_5c": FIVE,
    "Mixed_5d": FIVE,
    "Mixed_6a": ("branch3x3/2", "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3/2", "max/2"),
    "Mixed_6b": SIX,
    "Mixed_6c": SIX,
    "Mixed_6d": SIX,
    "Mixed_6e": SIX,
    "Mixed_7a": (
        "branch3x3_1 branch3x3_2/2",
        "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4/2",
        "max/2",
    ),
    "Mixed_7b": (*SEVEN, "mean branch_pool"),
    "Mixed_7c": (*SEVEN, "max branch_pool"),
}
"""The ways through each block, in the order of their outputs; /2: stride 2 and no padding."""


def shapes():
    """The key of every array in the weights' file, and its shape; counts of batches are apart."""
    result = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for line in CONVOLUTIONS.split("\n")[1:-1]:
        name, *shape = line.split()
        outputs, inputs, height, width = map(int, shape)
        result[f"{name}.conv.weight"] = (outputs, inputs, height, width)
        for part in ("weight", "bias", "running_mean", "running_var"):
            result[f"{name}.bn.{part}"] = (outputs,)
    return result


def random_weights(seed=0):
    """float32 weights of these shapes under which signals neither die nor grow."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for key, shape in shapes().items():
        if key.endswith(("bn.weight", "running_var")):
            weights[key] = 0.5 + torch.rand(shape, generator=generator)
        elif key.endswith(("bias", "running_mean")):
            weights[key] = torch.randn(shape, generator=generator) * 0.2
        else:
            fan = torch.Size(shape[1:]).numel()
            weights[key] = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
    return weights


def patches(x, height, width, stride, pad, fill=0.0):
    """(B, C, H, W) -> (B, C, height * width, H', W'): what each place of a kernel sees."""
    x = F.pad(x, (pad[1], pad[1], pad[0], pad[0]), value=fill)
    x = x.unfold(2, height, stride).unfold(3, width, stride)  # (B, C, H', W', height, width)
    return x.flatten(4).permute(0, 1, 4, 2, 3)


def convolution(weights, name, x, stride=1, padded=True):
    """relu(gamma (W * x - mean) / sqrt(var + .001) + beta)."""
    kernel = weights[f"{name}.conv.weight"]
    outputs, _, height, width = kernel.shape
    gamma, beta, mean, var = (
        weights[f"{name}.bn.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / (var + 0.001) ** 0.5
    seen = patches(x, height, width, stride, (height // 2, width // 2) if padded else (0, 0))
    matrix = (kernel * scale[:, None, None, None]).reshape(outputs, -1)
    product = matrix @ seen.reshape(len(x), matrix.shape[1], -1)
    result = product + (beta - mean * scale)[:, None]
    return result.clamp(min=0).reshape(len(x), outputs, *seen.shape[3:])


def pool(x, kind, stride):
    pad = (0, 0) if stride == 2 else (1, 1)
    if kind == "max":
        return patches(x, 3, 3, stride, pad, fill=-torch.inf).amax(2)
    inside = patches(torch.ones_like(x[:1, :1]), 3, 3, stride, pad).sum(2)  # 9, 6 or 4 true pixels
    return patches(x, 3, 3, stride, pad).sum(2) / inside


def activations(weights, x):
    """The output of every part by its name, and `features` and `logits`.

    Args:
        weights: as `shapes` says, of the type of the work.
        x: (B, 3, 299, 299), pixels as (x - 128) / 128.
    """
    found = {}

    def stem(name, x, **how):
        found[name] = convolution(weights, name, x, **how)
        return found[name]

    x = stem("Conv2d_1a_3x3", x, stride=2, padded=False)
    x = stem("Conv2d_2a_3x3", x, padded=False)
    x = pool(stem("Conv2d_2b_3x3", x), "max", 2)
    x = stem("Conv2d_3b_1x1", x)
    x = pool(stem("Conv2d_4a_3x3", x, padded=False), "max", 2)
    for block, paths in PATHS.items():
        outputs = []
        for path in paths:
            y = x
            for step in path.split():
                name, _, halved = step.partition("/")
                if name in ("mean", "max"):
                    y = pool(y, name, 2 if halved else 1)
                else:
                    stride = 2 if halved else 1
                    y = convolution(weights, f"{block}.{name}", y, stride, padded=not halved)
            outputs.append(y)
        x = found[block] = torch.cat(outputs, 1)
    found["features"] = x.sum((2, 3)) / 64
    found["logits"] = torch.einsum("nf,cf->nc", found["features"], weights["fc.weight"])
    return found
