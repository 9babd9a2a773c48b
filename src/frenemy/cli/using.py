"""The verbs that use a run: they draw, and film."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import Format, OptionalInt, OptionalPath, optional
from frenemy.cli.options import Drawing, Draws, Number, OfClass, Out, RunPath
from frenemy.errors import FrenemyError, at_least, at_most

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
    truncation: Annotated[float | None, optional("T")] = None,
    upscale: int = 1,
    format: Annotated[Format | None, optional("{png,webp,npz}")] = None,
    out: Annotated[str | None, optional("PATH", "-o")] = None,
) -> None:
    """Draw samples into a picture, an .npz or a folder.

    Args:
        drawing: which run draws.
        n: how many.
        of_class: of which class; where the players are told classes, each class in turn.
        seed: of the noise.
        truncation: draw every number of a Gaussian z anew until it lies between -T and T: the
            smaller T is, say .7, the better the samples and the less various.
        upscale: make them so many times as large, by Pillow's Lanczos filter, which adds no detail.
        format: of the pictures in a folder, webp without loss, or one samples.npz; png. Without a
            place, of RUN/sample.
        out: FILE.png, FILE.npz (`images`: uint8, (N, H, W[, C]); of points in the plane `points`,
            (N, 2)) or DIR/; RUN/sample.png.
    """
    from frenemy.data.source import require_images
    from frenemy.pictures import kind_of_place, save_images
    from frenemy.places import expanded, require_place
    from frenemy.sampling import columns

    at_least(1, n=n, upscale=upscale)
    at_least(0, seed=seed)
    place = expanded(out) if out else drawing.run / f"sample.{format or 'png'}"
    kind = kind_of_place(place)  # refused, if it is, before anything is drawn
    if kind != "folder":
        require_place(Path(place))
    if format is not None and kind != "folder" and not str(place).lower().endswith(f".{format}"):
        raise FrenemyError(f"--format {format}: {place} is to be another: leave out one of the two")
    model = drawing.model()
    if upscale > 1:
        require_images(model.facts.shape, str(drawing.run))
    if truncation is not None:
        model.require_tails(truncation)
        print(
            f"truncated: each number of z drawn anew until it lies in [-{truncation:g}, "
            f"{truncation:g}] (Brock et al. 2019)"
        )
    labels = None if of_class is None else model.labels(of_class, n)
    images = model.sample(n, seed=seed, labels=labels, truncation=truncation)
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
    """Walk along straight lines between points of z, as in the paper's Figure 3.

    Where the players are told classes, each line is of one class, each in turn, or goes from one of
    those that are named to the next.

    Args:
        drawing: which run draws.
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
    from frenemy.places import require_place

    if points is None:
        points = len(of_class) if len(of_class) > 1 else 8
    at_least(1, points=points, steps=steps)
    at_least(0, seed=seed)
    if one_z and len(set(of_class)) < 2:
        raise FrenemyError("--one-z keeps z, so only the class can change: name two by --class")
    places = {
        path: is_film(path) for path in out or [drawing.run / "walk.png", drawing.run / "walk.gif"]
    }
    require_place(*places)
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
    """Mix two samples: images on the straight line in z from one to the other.

    Args:
        drawing: which run draws.
        seeds: of the two, as `sample` takes them: the first sample of each.
        of_class: of which class, where the players are told classes; the first class.
        to_class: the class of the second: what G is told goes straight from the one to the other.
        steps: images, with both ends.
        out: the picture; RUN/mix.png.
    """
    from frenemy import walks
    from frenemy.pictures import require_picture, save_picture, shown
    from frenemy.places import require_place

    at_least(2, steps=steps)
    place = out or drawing.run / "mix.png"
    require_picture(place)
    require_place(place)
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
        drawing: which run draws.
        n: how many directions: at most as many as z has numbers.
        seed: of the sample.
        out: the picture; RUN/directions.png.
    """
    from frenemy.directions import principal_directions, sheet
    from frenemy.pictures import require_picture, save_picture, shown
    from frenemy.places import require_place

    at_least(1, n=n)
    at_least(0, seed=seed)
    place = out or drawing.run / "directions.png"
    require_picture(place)
    require_place(place)
    model = drawing.model()
    rows = sheet(model, principal_directions(model, n), seed=seed)
    images = rows.reshape(-1, *rows.shape[2:])
    print(save_picture(shown(images, columns=rows.shape[1]), place))


def invert(
    drawing: Annotated[OmitArgPrefixes[DrawingOf], arg(name="run")],
    of_class: OfClass = None,
    seed: int = 0,
    out: Annotated[list[Path] | None, optional("PATH [PATH ...]", "-o")] = None,
) -> None:
    """Find the z of which G makes what is most like a picture, and say how far off it stays.

    The picture is read and brought to one size as the run's data were.

    Args:
        drawing: which run draws, and what.
        of_class: that it shows, where the players are told classes; up to 20 are all tried.
        seed: of the samples that the search begins from.
        out: pictures (what was sought beside what was found) and .npz (`z`, `image`, and `label`
            where there are classes); RUN/invert.png.
    """
    from frenemy.inversion import invert, save_inversion
    from frenemy.pictures import require_picture
    from frenemy.places import require_place
    from frenemy.terminal import working

    at_least(0, seed=seed)
    places = out or [drawing.run / "invert.png"]
    for place in places:
        if place.suffix.lower() != ".npz":
            require_picture(place, others="; or .npz")
    require_place(*places)
    model = drawing.model()
    picture = model.picture(drawing.picture)
    with working() as say:
        say(f"searching for {drawing.picture}")
        found = invert(model, picture, of_class=of_class, seed=seed)
    if found.label is not None:
        print(f"class {model.classes[found.label]}")
    print(
        f"{found.error:.1f} of 255 grey levels off (root mean square); the nearest of 1,000 "
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
        drawing: which run draws.
        data: the training data, if not where the run found them.
        of_class: samples and real images of one class alone, where the players are told classes.
        n: samples, and test images, whose distances are compared; 5 or more.
        seed: of the noise.
        out: the picture; RUN/neighbours.png.
    """
    from frenemy.judge.neighbours import compare_with_training, distance_table
    from frenemy.opacity import over_white
    from frenemy.pictures import nearest_grid, require_picture, save_picture
    from frenemy.places import require_place
    from frenemy.terminal import console

    at_least(5, n=n)  # a row
    at_least(0, seed=seed)
    place = out or drawing.run / "neighbours.png"
    require_picture(place)
    require_place(place)
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


def film(run: RunPath, out: Out = None, fps: float = 8.0) -> None:
    """Show how the fixed samples of a run grew.

    Args:
        run: the run's directory.
        out: the film: .gif, .webp or .mp4; RUN/film.gif.
        fps: frames a second: at most 50, in an .mp4 240.
    """
    from frenemy.pictures import load_picture, of_one_size, require_film, save_film
    from frenemy.places import require_place
    from frenemy.run import Run

    at_least(0.1, fps=fps)
    out = out or run / "film.gif"
    # GIF and WebP players want 20 ms a frame
    at_most(240 if out.suffix.lower() == ".mp4" else 50, fps=fps)
    require_film(out)
    samples = Run.open(run).samples()
    require_place(out)
    frames = [load_picture(path) for path in samples]
    if not frames:
        raise FrenemyError(f"{run} has no samples yet")
    print(save_film(of_one_size(frames), out, fps=fps, hold=2.0))
