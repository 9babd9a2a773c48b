"""Six games that no recipe plays yet, each for something that the core has to be able to do."""

import torch
from torch import nn
from torch.nn import functional as F

from frenemy.experiment import Stage
from frenemy.game import Game, HalfLife, Player, Prior, Turn, alternating, between
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d, pairing_g
from frenemy.penalties import r1, r2

B = 4


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.0, 0.9), fused=True)


def player(net, **options):
    return Player(net, adam(net), **options)


class Convolutional(nn.Module):
    """G or D of one resolution, told a class or not."""

    def __init__(self, sizes, shape, classes=0):
        super().__init__()
        self.embedding = nn.Embedding(classes, sizes[0]) if classes else None
        self.net = nn.Sequential(nn.Linear(*sizes), nn.LeakyReLU(0.2), nn.Linear(sizes[1], shape))

    def told(self, x, c):
        return self.net(x) if self.embedding is None else self.net(x + self.embedding(c[0]))


class G(Convolutional):
    def __init__(self, z, shape, classes=0):
        super().__init__((z, 8), shape.numel(), classes)
        self.shape = shape

    def forward(self, z, *c):
        return self.told(z, c).tanh().unflatten(1, self.shape)


class D(Convolutional):
    def __init__(self, shape, classes=0):
        super().__init__((shape.numel(), 8), 1, classes)

    def forward(self, x, *c):
        return self.told(x.flatten(1), c).squeeze(1)


def conditional(facts):
    """Classes as conditions, an average by its half-life, R1 and R2."""
    shape, count = torch.Size(facts.shape), len(facts.classes)
    players = {
        "G": player(G(3, shape, count), averaging=HalfLife(lambda t: 10.0 * t)),
        "D": player(D(shape, count)),
    }
    turns = alternating({r1: 0.1, r2: 0.1, pairing_d: 1.0}, {pairing_g: 1.0})
    return [Stage(Game(players, turns, Prior("gaussian", 3), B, conditions=lambda x, y: (y,)), 1)]


class Growing(nn.Module):
    """G at twice the size of a smaller one, which fades out over some rounds."""

    def __init__(self, small, shape):
        super().__init__()
        self.small, self.large = small, G(3, shape)
        self.register_buffer("share", torch.zeros(()))

    def forward(self, z):
        old = F.interpolate(self.small(z), scale_factor=2.0)
        return torch.lerp(old, self.large(z), self.share)


def growing(facts):
    """Two stages of sizes of their own, and a fade between them."""
    channels, height, width = facts.shape
    half = torch.Size((channels, height // 2, width // 2))
    small = G(3, half)
    large = Growing(small, torch.Size(facts.shape))

    def fade(r):
        large.share.copy_(torch.tensor(min(1.0, (r.step + 1) / 4)))
        return {"fade": large.share.clone()}

    stages = []
    for g, shape, prepare, after in (
        (small, half, nn.AvgPool2d(2), None),
        (large, torch.Size(facts.shape), None, fade),
    ):
        turns = [
            Turn({"D": {minimax_d: 1.0}}, joint=True),
            Turn({"G": {nonsaturating_g: 1.0}}, after=after),
        ]
        game = Game(
            {"G": player(g), "D": player(D(shape))}, turns, Prior("uniform", 3), B, prepare=prepare
        )
        stages.append(Stage(game, 1))
    return stages


class Augmented(nn.Module):
    """D of images that are mirrored with a probability that adapts."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("p", torch.tensor(0.5))

    def forward(self, x):
        turned = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return self.net(torch.where(turned, x.flip(3), x))


def augmented(facts):
    """An adaptive augmentation, whose p lies in a buffer, and in-network noise of D."""
    shape = torch.Size(facts.shape)
    d = Augmented(D(shape))

    def adapt(r):
        d.p.add_(0.1 * (r.Dx.sign().mean() - 0.6)).clamp_(0, 1)
        return {"p": d.p.clone()}

    turns = [Turn({"D": {minimax_d: 1.0}}, after=adapt), Turn({"G": {nonsaturating_g: 1.0}})]
    return [
        Stage(Game({"G": player(G(3, shape)), "D": player(d)}, turns, Prior("gaussian", 3), B), 1)
    ]


class Denoiser(nn.Module):
    """An autoencoder of noisy images around a mean that is fitted to the data."""

    def __init__(self, shape):
        super().__init__()
        n = shape.numel()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n, 8), nn.Tanh(), nn.Linear(8, n))
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape))

    def forward(self, x):
        return self.mean + self.net(x - self.mean).unflatten(1, self.shape)


def chain(facts):
    """One player, something fitted to the data, and samples that a Markov chain draws."""
    net = Denoiser(torch.Size(facts.shape))

    def denoising(r):
        x = r.x.detach()
        return (r.net("net")(x + 0.5 * torch.randn_like(x)) - x).square().flatten(1).mean(1)

    def walk(nets, z, c):
        x = nets["net"].mean.expand(len(z), -1, -1, -1)
        for _ in range(3):
            x = nets["net"](x + 0.5 * torch.randn_like(x))
        return x

    def begin(source):
        net.mean.copy_(torch.from_numpy(2 * source.mean() - 1))

    turn = Turn({"net": {denoising: 1.0}})
    game = Game({"net": player(net)}, [turn], Prior("gaussian", 1), B, sampler=walk)
    return [Stage(game, 1, begin)]


def two_directions(facts):
    """Two G's and two D's: from light to dark pictures and back."""
    shape = torch.Size(facts.shape)
    n = shape.numel()

    def other(x, y):
        return (-x,)

    class Translate(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(n, n), nn.Tanh(), nn.Unflatten(1, shape)
            )

        def forward(self, z, x):
            return self.net(x)

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = D(shape)

        def forward(self, x, _):
            return self.net(x)

    def back(r):
        return r.c[0], (r.x,)

    players = {k: player(Translate()) for k in ("G", "back")} | {
        k: player(Alone()) for k in ("D", "light")
    }
    home = {"G": "back", "D": "light", "view": back}
    turns = [
        Turn({"D": {minimax_d: 1.0}, "light": {between(minimax_d, **home): 1.0}}),
        Turn({"G": {nonsaturating_g: 1.0}, "back": {between(nonsaturating_g, **home): 1.0}}),
    ]
    return [Stage(Game(players, turns, Prior("gaussian", 1), B, conditions=other), 1)]


class Noisy(G):
    """A G that draws noise within itself, also when it samples, and normalises over minibatches."""

    def __init__(self, z, shape):
        super().__init__(z, shape)
        self.norm = nn.BatchNorm1d(z)
        self.strength = nn.Parameter(torch.tensor(0.1))

    def forward(self, z, *c):
        x = super().forward(self.norm(z), *c)
        return x + self.strength * torch.randn_like(x)


def noisy(facts):
    """Noise within G, batch statistics in both, lengths of whose mean a buffer keeps."""
    shape = torch.Size(facts.shape)
    g = Noisy(3, shape)
    g.register_buffer("length", torch.zeros(()))
    d = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(shape.numel()), nn.Linear(shape.numel(), 1), nn.Flatten(0)
    )

    def near_the_mean(r):
        lengths = r.Gz.flatten(1).norm(dim=1)
        r.notes["length"] = lengths
        return (lengths - g.length).square()

    def remember(r):
        g.length.lerp_(r.notes["length"].mean(), 0.5)
        return {"length": g.length.clone()}

    turns = [
        Turn({"D": {minimax_d: 1.0}}, joint=True),
        Turn({"G": {nonsaturating_g: 1.0}}),
        Turn({"G": {near_the_mean: lambda t: 0.1 / (1 + t)}}, every=2, after=remember),
    ]
    players = {
        "G": player(
            g, averaging=0.9, schedule=lambda t: {"betas": (0.0, min(0.99, 0.9 + 0.01 * t))}
        ),
        "D": player(d),
    }
    return [Stage(Game(players, turns, Prior("gaussian", 3), B), 1)]


GAMES = {
    game.__name__: game for game in (conditional, growing, augmented, chain, two_directions, noisy)
}
