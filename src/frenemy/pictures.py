"""Grids, strips and films of images, for files and for the terminal; scatter plots of points.

Images here are uint8, (N, C, H, W), and show a checker behind what is transparent; points in the
plane float32, (N, 2, 1, 1).
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from rich.style import Style
from rich.text import Text

from frenemy.choices import Format
from frenemy.errors import FrenemyError, at_least
from frenemy.files import filling, open_regular, reason_of, require_empty, write_atomically
from frenemy.opacity import on_checker

Images = NDArray[np.uint8]

GAP = 2  # pixels between the images of a grid
SMALLEST = 64  # pixels: smaller images are enlarged by whole factors up to about this size
FILMS = (".gif", ".webp", ".mp4")
PICTURES = (".png", ".jpg", ".webp")  # that messages name: Pillow knows more
ICONS = ("ICO", "ICNS")  # that Pillow would write in sizes of their own
ROWS = 5  # of the picture of nearest neighbours
FREE_ROWS = 4  # of the terminal, beside a picture
SCATTER = 256  # pixels, a side


def grid(images: Images, columns: int | None = None) -> Images:
    """Images side by side on black, (3 or 1, height, width); as square as can be by default."""
    images = on_checker(images)
    count, channels, height, width = images.shape
    if not count:
        raise FrenemyError("no images to show")
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.zeros(
        (channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), np.uint8
    )
    for i, image in enumerate(images):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def enlarge(images: Images) -> Images:
    """Small images repeated pixel by pixel up to about 64 pixels, (N, C, H', W')."""
    factor = max(1, SMALLEST // max(images.shape[2:]))
    return images.repeat(factor, axis=2).repeat(factor, axis=3)


def upscaled(images: Images, times: int) -> Images:
    """Images of so many times the sides, by Pillow's Lanczos filter, (N, C, times H, times W).

    It adds no detail, but shows no steps either; `enlarge` repeats pixels as they are.
    """
    height, width = (times * side for side in images.shape[2:])
    filter = Image.Resampling.LANCZOS
    return np.stack([from_pillow(to_pillow(x).resize((width, height), filter)) for x in images])


def shown(images: NDArray[Any], columns: int | None = None) -> Images:
    """One picture of images or of points, (C, H, W): their grid, enlarged, or a scatter plot."""
    points = images.dtype == np.float32
    return scatter(images) if points else grid(enlarge(images), columns)


def scatter(points: NDArray[np.float32]) -> Images:
    """Points of [-1, 1]^2 on black, (1, 256, 256), the more in one place the brighter.

    The second coordinate points up; points that lie outside are drawn on the edge.
    """
    places = points[np.isfinite(points).all((1, 2, 3)), :, 0, 0]
    column, row = ((places * (1, -1)).clip(-1, 1) + 1).T / 2 * (SCATTER - 3)  # each is 3 x 3
    counts = np.zeros((SCATTER, SCATTER))
    for down, right in np.ndindex(3, 3):
        np.add.at(counts, (row.round().astype(int) + down, column.round().astype(int) + right), 1)
    return (255 * (1 - 0.5 ** (1.5 * counts))).round().astype(np.uint8)[None]


def nearest_grid(*, fake: Images, train: Images, index: NDArray[np.int64]) -> Images:
    """Rows of five images and, right of a bar, the training image nearest to the fifth.

    As in Figure 2 of Goodfellow et al. (2014).

    Args:
        fake: (M, C, H, W): the first 25 are shown, or as many rows of five as there are.
        train: (N, C, H, W).
        index: of the training image nearest to each of `fake`, (M,).

    Raises:
        FrenemyError: there are fewer than five, or not as many indices, or sizes differ.
    """
    rows = min(len(fake) // 5, ROWS)
    if not rows or len(index) != len(fake):
        raise FrenemyError(
            f"nearest neighbours: {len(fake)} samples and {len(index)} indices: needs five or "
            "more, and equally many"
        )
    if fake.shape[1:] != train.shape[1:]:
        raise FrenemyError(
            f"nearest neighbours: samples of {fake.shape[1:]} and training images of "
            f"{train.shape[1:]}: both must be of one size"
        )
    left = grid(enlarge(fake[: 5 * rows]), columns=5)
    near = np.stack([train[i] for i in index[4 : 5 * rows : 5].tolist()])  # train may be on disk
    bar = np.full((*left.shape[:2], left.shape[2] // 40), 128, np.uint8)
    return np.concatenate([left, bar, grid(enlarge(near), columns=1)], axis=2)


def channels_last(images: Images) -> Images:
    """(..., C, H, W) -> (..., H, W) for grey images, (..., H, W, C) for others."""
    return images[..., 0, :, :] if images.shape[-3] == 1 else np.moveaxis(images, -3, -1)


def to_pillow(image: Images) -> Image.Image:
    """(C, H, W) as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(channels_last(image)))


def from_pillow(image: Image.Image) -> Images:
    """A Pillow image of mode L, LA, RGB or RGBA as (C, H, W)."""
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def save_picture(image: Images, path: Path, *, mark: str = "") -> Path:
    """Writes one image (C, H, W) to `path`, whose ending names the format.

    Args:
        image: what is written.
        path: where to.
        mark: text that a PNG is to hold, near its beginning.

    Raises:
        FrenemyError: the format is unknown or cannot hold the image, or the file cannot be written.
    """
    text = PngInfo()
    if mark:
        text.add_text("frenemy", mark)
    encoded = _encode_picture(image, require_picture(path), path, text)
    return write_atomically(path, lambda part: part.write_bytes(encoded))


def require_picture(path: Path, others: str = "") -> str:
    """What Pillow calls the format that the ending names.

    Raises:
        FrenemyError: it names none that Pillow writes; the message tells these, and the others.
    """
    format = _format(path)
    if format is None:
        raise FrenemyError(f"{path}: unknown picture format: use {', '.join(PICTURES)}{others}")
    return format


def _encode_picture(image: Images, format: str, path: Path, text: PngInfo | None = None) -> bytes:
    with _held_by(f"{path}: {format}", image):
        buffer = io.BytesIO()
        # without loss, and with the colours of what is transparent
        exact = {"lossless": True, "exact": True} if format == "WEBP" else {}
        to_pillow(image).save(buffer, format=format, pnginfo=text, **exact)
    return buffer.getvalue()


@contextlib.contextmanager
def _held_by(format: str, image: Images) -> Iterator[None]:
    """Tells in one line that a format cannot hold such an image, whose encoder has refused it."""
    try:
        yield
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        height, width = image.shape[1:]
        raise FrenemyError(
            f"{format} cannot hold a picture of {width}x{height} ({' '.join(str(error).split())}): "
            "use another format, or fewer images"
        ) from error


def _format(path: Path) -> str | None:
    """What Pillow calls the format that the ending names, if it writes it."""
    format = Image.registered_extensions().get(path.suffix.lower())
    return format if format in Image.SAVE and format not in ICONS else None


def is_film(path: Path) -> bool:
    """Whether the ending of `path` names a film, and not a picture.

    Raises:
        FrenemyError: it names neither.
    """
    if path.suffix.lower() in FILMS:
        return True
    if _format(path) is None:
        known = ", ".join(dict.fromkeys(PICTURES + FILMS))
        raise FrenemyError(f"{path}: unknown format of pictures and films: use {known}")
    return False


def load_picture(path: Path) -> Images:
    """A PNG of ours as one image, (C, H, W).

    Raises:
        FrenemyError: it cannot be read, or is no PNG.
    """
    try:
        with open_regular(path) as file, opened(file, ("PNG",)) as picture:
            return from_pillow(picture.convert("L" if picture.mode == "L" else "RGB"))
    except UnidentifiedImageError:
        raise FrenemyError(f"{path} cannot be read as a picture: it is not a PNG") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FrenemyError(f"{path} cannot be read as a picture: {reason_of(error)}") from None


def opened(file: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """A picture of one of these formats, whatever its name says: for others Pillow starts programs.

    Raises:
        Exception: whatever Pillow raises on damaged data.
    """
    return Image.open(file, formats=formats)


def kind_of_place(path: Path | str) -> Literal["arrays", "picture", "folder"]:
    """What `save_images` would write there.

    Raises:
        FrenemyError: nothing: the ending is unknown, or the folder holds files.
    """
    is_folder = str(path).endswith(("/", os.sep))  # of which a Path keeps nothing
    path = Path(path)
    if is_folder or not path.suffix or path.is_dir():
        require_empty(path)
        return "folder"
    if path.suffix.lower() == ".npz":
        return "arrays"
    require_picture(path, others="; or .npz, or a folder/")
    return "picture"


def save_images(
    images: NDArray[Any],
    path: Path | str,
    *,
    columns: int | None = None,
    upscale: int = 1,
    format: Format = "png",
) -> Path:
    """Writes images (N, C, H, W) as one grid, as `images` in an .npz, or one by one into a folder.

    Args:
        images: any number; or points, which are shown in one plot, or `points` (N, 2) in an .npz.
        path: a picture file, an .npz, or a folder: anything without an ending, or a string that
            ends in a slash.
        columns: of a grid; as many as rows by default.
        upscale: makes them so many times as large first: see `upscaled`; a grid shows them so.
        format: in a folder: of each picture, "webp" without loss, or one samples.npz.

    Raises:
        FrenemyError: the ending is unknown, the folder holds files, the format cannot hold the
            grid, or writing failed; or points, and a folder of pictures or an upscale.
    """
    kind, path, points = kind_of_place(path), Path(path), images.dtype == np.float32
    at_least(1, upscale=upscale)
    if points and (upscale > 1 or (kind == "folder" and format != "npz")):
        raise FrenemyError(f"{path}: these are points, not pictures: write an .npz")
    if upscale > 1:
        images = upscaled(images, upscale)
    if kind == "arrays":
        return write_atomically(path, lambda part: _write_arrays(images, part))
    if kind == "picture":
        sheet = grid(images, columns) if upscale > 1 else shown(images, columns)
        return save_picture(sheet, path)
    with filling(path) as folder:
        if format == "npz":
            _write_arrays(images, folder / "samples.npz")
        for i, image in enumerate(images if format != "npz" else ()):
            encoded = _encode_picture(image, format.upper(), path)
            (folder / f"{i:06d}.{format}").write_bytes(encoded)
    return path


def _write_arrays(images: NDArray[Any], path: Path) -> None:
    with open(path, "wb") as file:
        if images.dtype == np.float32:
            np.savez_compressed(file, points=images[..., 0, 0])
        else:
            np.savez_compressed(file, images=channels_last(images))


def of_one_size(frames: Sequence[Images]) -> list[Images]:
    """Frames (C, H, W) brought to the largest of their sizes, as those of a game that grew."""
    height, width = (max(sides) for sides in zip(*(f.shape[1:] for f in frames), strict=True))

    def enlarged(frame: Images) -> Images:
        rows, columns = (
            np.arange(n) * m // n for n, m in zip((height, width), frame.shape[1:], strict=True)
        )
        return frame[:, rows[:, None], columns]

    return [frame if frame.shape[1:] == (height, width) else enlarged(frame) for frame in frames]


def require_film(path: Path) -> str:
    """The ending of a film's name, in small letters.

    Raises:
        FrenemyError: it names no format of films.
    """
    suffix = path.suffix.lower()
    if suffix not in FILMS:
        raise FrenemyError(f"{path}: unknown film format: use {', '.join(FILMS)}")
    return suffix


def save_film(frames: Sequence[Images], path: Path, *, fps: float = 12, hold: float = 1.0) -> Path:
    """Writes frames (C, H, W) as a film: .gif and .webp by Pillow, .mp4 by PyAV.

    Args:
        frames: of one size.
        path: whose ending names the format.
        fps: frames a second.
        hold: seconds that the last frame stays.

    Raises:
        FrenemyError: the format is unknown, or the file cannot be written; or as `encode_film`.
    """
    film = encode_film(frames, require_film(path), fps=fps, hold=hold)
    return write_atomically(path, lambda part: part.write_bytes(film))


def encode_film(
    frames: Sequence[Images], suffix: str, *, fps: float = 12, hold: float = 1.0
) -> bytes:
    """The same film in memory, as `suffix` names it; a .gif or .webp repeats for ever.

    Raises:
        FrenemyError: there are no frames, or of several sizes; the format cannot hold them, or
            PyAV is missing.
    """
    sizes = sorted({frame.shape[1:] for frame in frames})
    if len(sizes) != 1:
        found = " and ".join(f"{width}x{height}" for height, width in sizes)
        raise FrenemyError(f"a film needs frames of one size, not {found or 'none'}")
    with _held_by(f"a film as {suffix}", frames[0]):
        if suffix == ".mp4":
            return _encode_mp4([*frames, *[frames[-1]] * round(hold * fps)], fps)
        return _encode_by_pillow(frames, suffix, fps, hold)


def _encode_by_pillow(frames: Sequence[Images], suffix: str, fps: float, hold: float) -> bytes:
    first, *rest = [to_pillow(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer,
        format=suffix[1:],
        save_all=True,
        append_images=rest,
        duration=[round(1000 / fps)] * len(rest) + [round(1000 * hold)],
        loop=0,
        **({"lossless": True} if suffix == ".webp" else {}),
    )
    return buffer.getvalue()


def _encode_mp4(frames: Sequence[Images], fps: float) -> bytes:
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise FrenemyError("films as .mp4 need PyAV: pip install 'frenemy[film]'") from None
    height, width = frames[0].shape[1:]
    even = ((0, 0), (0, height % 2), (0, width % 2))  # H.264 halves the colour planes
    rate = Fraction(fps).limit_denominator(1000)
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream("h264", rate=rate, options={"crf": "18"})
            stream.width, stream.height = width + width % 2, height + height % 2
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                colour = np.broadcast_to(frame, (3, height, width))
                pixels = np.ascontiguousarray(np.pad(colour, even).transpose(1, 2, 0))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    except FFmpegError as error:
        raise ValueError(error) from error
    return buffer.getvalue()


def terminal(image: Images, width: int) -> Text:
    """One image (C, H, W) in at most `width` columns of the terminal, two pixels a character.

    It leaves some rows of the terminal free, so that all of it is seen at once.
    """
    picture = to_pillow(image).convert("RGB")
    rows = max(1, shutil.get_terminal_size().lines - FREE_ROWS)
    scale = min(1.0, width / picture.width, 2 * rows / picture.height)
    size = (max(1, int(picture.width * scale)), max(2, int(picture.height * scale) // 2 * 2))
    pixels = np.asarray(picture.resize(size, Image.Resampling.BOX))
    text = Text(no_wrap=True)
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            colours = Style(
                color="rgb({},{},{})".format(*above), bgcolor="rgb({},{},{})".format(*below)
            )
            text.append("▀", colours)
        text.append("\n")
    return text
