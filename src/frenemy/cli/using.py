"""The verbs that use a run: they draw, and film."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import Format, OptionalInt, OptionalPath, optional
from frenemy.cli.options import Drawing, Draws, Number, OfClass, Out, PixelRange, RunPath
from frenemy.errors import FrenemyError, at_least, at_most
from frenemy.escapes import printable

OfClasses = Annotated[
    tuple[str, ...], arg(name="class", metavar="NAME [NAME ...]", help_behavior_hint="")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawingOf(Drawing):
    """Which run draws, and what.

    Attributes:
        picture: the picture's file.
    """

    picture: Annotated[Positional[Path], arg(metavar="PICTURE")]


def sample(
    drawing: Draws,
    n: Number = 64,
    of_class: OfClass = None,
    seed: int = 0,
    realism: Annotated[float | None, optional("SHARE")] = None,
    data: OptionalPath = None,
    truncation: Annotated[float | None, optional("T")] = None,
    upscale: int = 1,
    format: Annotated[Format | None, optional("{png,webp,npz}")] = None,
    out: Annotated[str | None, optional("PATH", "-o")] = None,
) -> None:
    """Draw samples and save them as a picture, an .npz or a folder.

    Args:
        drawing: which run to sample from.
        n: how many.
        of_class: of this class; by default, if the run is class-conditional, each class in turn.
        seed: of the noise.
        realism: draw N / SHARE samples and keep those that look most real, by their realism scores
            beside the training images: better and less diverse.
        data: the training data, if they have moved, for --realism.
        truncation: redraw every component of a Gaussian z until it lies between -T and T, where G
            has no batch normalisation: less diverse.
        upscale: enlarge them by this factor, by Pillow's Lanczos filter, which adds no detail.
        format: of the pictures in a folder (webp is lossless), or npz for one samples.npz; png by
            default. Without --out, the format of RUN/sample.
        out: FILE.png, FILE.npz (`images`: uint8, (N, H, W[, C]); of points in the plane `points`,
            (N, 2)) or DIR/; RUN/sample.png.
    """
    from frenemy.data.source import require_images
    from frenemy.pictures import kind_of_place, save_images
    from frenemy.places import expanded
    from frenemy.rejection import candidates, most_real
    from frenemy.sampling import columns
    from frenemy.terminal import working

    at_least(1, n=n, upscale=upscale)
    at_least(0, seed=seed)
    if realism is not None and truncation is not None:
        raise FrenemyError("--realism and --truncation: leave out one of the two")
    if realism is None and data is not None:
        raise FrenemyError("--data is for --realism: leave it out")
    place = expanded(out) if out else drawing.run / f"sample.{format or 'png'}"
    kind = kind_of_place(place)  # refused, if it is, before anything is drawn
    if kind != "folder":
        drawing.require(Path(place))
    if format is not None and kind != "folder" and not str(place).lower().endswith(f".{format}"):
        raise FrenemyError(f"--format {format}: {place} is to be another: leave out one of the two")
    model = drawing.model()
    if upscale > 1:
        require_images(model.facts.shape, str(drawing.run))
    if truncation is not None:
        model.require_tails(truncation)
        print(
            f"truncated: each component of z redrawn until it lies in [-{truncation:g}, "
            f"{truncation:g}] (Brock et al. 2019)"
        )
    labels = None if of_class is None else model.labels(of_class, n)
    if realism is None:
        images = model.sample(n, seed=seed, labels=labels, truncation=truncation)
    else:
        with working() as say:
            say("comparing samples with training images")
            images = most_real(model, model.data(data), n, realism, seed=seed, labels=labels)
        print(
            f"kept: the {n:,} of {candidates(n, realism):,} samples that look most real, by their "
            "realism scores (Kynkäänniemi et al. 2019)"
        )
    wide = None if labels is not None else columns(len(model.classes), n)
    print(save_images(images, place, columns=wide, upscale=upscale, format=format or "png"))


def walk(
    drawing: Draws,
    points: OptionalInt = None,
    steps: int = 12,
    seed: int = 0,
    of_class: OfClasses = (),
    one_z: bool = False,
    out: Annotated[list[Path] | None, optional("PATH [PATH ...]", "-o")] = None,
) -> None:
    """Interpolate linearly between points of z, as in the paper's Figure 3.

    If the run is class-conditional, each line shows one class, each in turn, or goes from one named
    class to the next.

    Args:
        drawing: which run to sample from.
        points: how many; as many as classes are named, if several are, or 8. The walk returns to
            the first.
        steps: images from one point to the next.
        seed: of the points.
        of_class: the points' classes, over and over.
        one_z: keep to the first point of z: only the class changes.
        out: pictures (strips, one line a row) and films (.gif, .webp, .mp4); RUN/walk.png and .gif.
    """
    from frenemy import walks
    from frenemy.pictures import is_film, save_film, save_picture, shown

    if points is None:
        points = len(of_class) if len(of_class) > 1 else 8
    at_least(1, points=points, steps=steps)
    at_least(0, seed=seed)
    if one_z and len(set(of_class)) < 2:
        raise FrenemyError("--one-z keeps z, so only the class can change: name two by --class")
    places = {
        path: is_film(path) for path in out or [drawing.run / "walk.png", drawing.run / "walk.gif"]
    }
    drawing.require(*places)
    lines = walks.walk(drawing.model(), points, steps, seed=seed, classes=of_class, one_z=one_z)
    images = lines.reshape(-1, *lines.shape[2:])
    for path, moves in places.items():
        if moves:
            save_film([shown(image[None]) for image in images], path)
        else:
            save_picture(shown(images, columns=steps), path)
    print(*places, sep="\n")


def mix(
    drawing: Draws,
    seeds: tuple[int, int],
    of_class: OfClass = None,
    to_class: Annotated[str | None, optional("NAME")] = None,
    steps: int = 8,
    out: Out = None,
) -> None:
    """Interpolate between two samples: images on the straight line in z from one to the other.

    Args:
        drawing: which run to sample from.
        seeds: of the two, as `sample` takes them: the first sample of each.
        of_class: of which class, if the run is class-conditional; by default the first.
        to_class: the class of the second: the condition is interpolated linearly, too.
        steps: images, both ends included.
        out: the picture; RUN/mix.png.
    """
    from frenemy import walks
    from frenemy.pictures import require_picture, save_picture, shown

    at_least(2, steps=steps)
    place = out or drawing.run / "mix.png"
    require_picture(place)
    drawing.require(place)
    if to_class is not None and of_class is None:
        raise FrenemyError(f"--to-class {to_class} needs --class, for the first")
    classes = None if of_class is None else (of_class, to_class or of_class)
    images = walks.mix(drawing.model(), seeds, steps, classes=classes)
    print(save_picture(shown(images, columns=steps), place))


def directions(drawing: Draws, n: Number = 8, seed: int = 0, out: Out = None) -> None:
    """Show the directions of z in which the outputs of G's first layer vary most.

    Each row is one direction, the strongest first; its columns go from -3 to +3 standard
    deviations about one sample.

    Args:
        drawing: which run to sample from.
        n: how many directions: at most as many as z has numbers.
        seed: of the sample.
        out: the picture; RUN/directions.png.
    """
    from frenemy.directions import principal_directions, sheet
    from frenemy.pictures import require_picture, save_picture, shown

    at_least(1, n=n)
    at_least(0, seed=seed)
    place = out or drawing.run / "directions.png"
    require_picture(place)
    drawing.require(place)
    model = drawing.model()
    rows = sheet(model, principal_directions(model, n), seed=seed)
    images = rows.reshape(-1, *rows.shape[2:])
    print(save_picture(shown(images, columns=rows.shape[1]), place))


def invert(
    drawing: Annotated[OmitArgPrefixes[DrawingOf], arg(name="run")],
    of_class: OfClass = None,
    range: PixelRange = None,
    seed: int = 0,
    out: Annotated[list[Path] | None, optional("PATH [PATH ...]", "-o")] = None,
) -> None:
    """Find the z whose image G(z) is most like a picture, and report the remaining error.

    The picture is read and resized as the run's data were.

    Args:
        drawing: which run to search, and for what.
        of_class: the picture's class, if the run is class-conditional; up to 20 are all tried.
        range: what black and white are in the picture, where that is not 0..255.
        seed: of the samples that the search starts from.
        out: pictures (the target beside what was found) and .npz (`z`, `image`, and `label`
            where there are classes); RUN/invert.png.
    """
    from frenemy.inversion import invert, save_inversion
    from frenemy.pictures import require_picture
    from frenemy.terminal import working

    at_least(0, seed=seed)
    places = out or [drawing.run / "invert.png"]
    for place in places:
        if place.suffix.lower() != ".npz":
            require_picture(place, others="; or .npz")
    drawing.require(*places)
    model = drawing.model()
    picture = model.picture(drawing.picture, range)
    with working() as say:
        say(f"searching for {drawing.picture}")
        found = invert(model, picture, of_class=of_class, seed=seed)
    if found.label is not None:
        print(f"class {printable(model.classes[found.label])}")
    print(
        f"root mean square error {found.error:.1f} of 255 grey levels; of the nearest of 1,000 "
        f"samples {found.nearest:.1f}"
    )
    for place in places:
        print(save_inversion(found, place))


def neighbours(
    drawing: Draws,
    data: OptionalPath = None,
    of_class: OfClass = None,
    n: Number = 1000,
    seed: int = 0,
    out: Out = None,
) -> None:
    """Show samples beside their nearest training images, as in the paper's Figure 2.

    Each row is five samples and, right of a bar, the training image nearest to the fifth. The
    table compares the distances of samples to the training images with those of held-out test
    images.

    Args:
        drawing: which run to sample from.
        data: the training data, if they have moved.
        of_class: samples and real images of this class only, if the run is class-conditional.
        n: samples, and test images, whose distances are compared; 5 or more.
        seed: of the noise.
        out: the picture; RUN/neighbours.png.
    """
    from frenemy.judge.neighbours import compare_with_training, distance_table
    from frenemy.opacity import over_white
    from frenemy.pictures import nearest_grid, require_picture, save_picture
    from frenemy.terminal import console

    at_least(5, n=n)  # a row
    at_least(0, seed=seed)
    place = out or drawing.run / "neighbours.png"
    require_picture(place)
    drawing.require(place)
    model = drawing.model()
    parts, labels = model.data(data), None
    if of_class is not None:
        labels, parts = model.labels(of_class, n), parts.of_class(of_class)
    fake = model.sample(n, seed=seed, labels=labels)
    train, test = model.as_seen(parts.train.images), model.as_seen(parts.test.images[:n])
    fake, train, test = map(over_white, (fake, train, test))
    found = compare_with_training(fake=fake, train=train, test=test)
    picture = nearest_grid(fake=fake, train=train, index=found.index)
    save_picture(picture, place)
    console.print(distance_table(found))
    print(place)


def film(
    run: RunPath,
    rounds: Annotated[tuple[int, ...], optional("ROUND [ROUND ...]")] = (),
    out: Out = None,
    fps: float = 8.0,
) -> None:
    """Show how samples of the same z changed during training: a film, or a strip of frames.

    Args:
        run: the run's directory.
        rounds: which frames: those drawn nearest to these rounds; all in a film, six in a strip.
        out: the film: .gif, .webp (a film) or .mp4; the strip: .png, .svg; RUN/film.gif.
        fps: of a film, frames a second: at most 50, in an .mp4 240.
    """
    from frenemy.figures import require_drawing
    from frenemy.growth import nearest, spread, strip_of
    from frenemy.pictures import FILMS, PICTURES, load_picture, of_one_size, save_film
    from frenemy.places import require_place
    from frenemy.run import Run

    at_least(0.1, fps=fps)
    at_least(0, rounds=min(rounds, default=0))
    out = out or run / "film.gif"
    moves = out.suffix.lower() in FILMS
    if not moves:
        require_drawing(out, others=[name for name in FILMS if name not in PICTURES])
    # GIF and WebP players want 20 ms a frame
    at_most(240 if out.suffix.lower() == ".mp4" else 50, fps=fps)
    opened = Run.open(run)
    require_place(out)
    drawn = opened.samples()
    if not drawn:
        raise FrenemyError(f"{run} has no samples yet")
    if rounds:
        drawn = nearest(drawn, rounds)
    if not moves:
        print(strip_of(opened, drawn if rounds else spread(drawn)).save(out))
        return
    frames = [load_picture(path) for path in drawn]
    print(save_film(of_one_size(frames), out, fps=fps, hold=2.0))
