"""Features of an ONNX file of the user's, as the usual tools export one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frenemy.errors import FrenemyError
from frenemy.judge.classifier import Outputs
from frenemy.judge.features import Features
from frenemy.judge.resize import fitted

# as protobuf writes a tensor's pair ("location", path), field 13, whose length is a byte or more
WEIGHTS_ELSEWHERE = re.compile(rb"\x6a[\x80-\xff]*[\x00-\x7f]\x0a\x08location\x12")
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
AT_ONCE = 50  # images, or some more if the file asks for so many


def of_onnx(
    path: Path,
    *,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    output: str = "",
) -> Features:
    """Features of an ONNX file whose one input is images, (B, C, H, W) or (B, H, W, C).

    Images are brought to the channels, height and width that the file states, as `fitted` does,
    and are as they are on axes that it leaves open; they enter as (x - mean) / std, of pixels x in
    [0, 1]. Three numbers of one of these say that it wants three channels. Weights may lie in other
    files beside it, as `torch.onnx.export` writes them; then nothing is cached, since this file
    does not tell them.

    Args:
        path: the file.
        mean, std: one number, or one for each of three channels; by default pixels enter in
            [-1, 1].
        output: the name of the output that is taken, (B, d) or (B, d, 1, 1); the first, if none is
            given. Of tokens (B, T, d) "NAME:0" takes the first one, which usually is the class
            token.

    Raises:
        FrenemyError: onnxruntime is missing, the file is not such a network, its weights lie
            outside its folder, or it has no such output.
    """
    try:
        import onnxruntime
    except ImportError:
        raise FrenemyError("ONNX features need onnxruntime: pip install 'frenemy[onnx]'") from None
    try:
        content = path.read_bytes()
        elsewhere = WEIGHTS_ELSEWHERE.search(content) is not None
        model = str(path) if elsewhere else content  # in memory it has no folder to find them in
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of errors
        raise FrenemyError(f"{path} cannot be read as an ONNX network: {_line(error)}") from None
    source = _Input(path, session.get_inputs(), mean, std)
    chosen = _Output(path, session.get_outputs(), output)

    def network(x: Tensor) -> Outputs:
        parts = []
        for images in source.batches(x):
            try:
                (found,) = session.run([chosen.name], {source.name: images})
            except Exception as error:  # as above
                shape = tuple(x.shape[1:])
                raise FrenemyError(f"{path} fails on images {shape}: {_line(error)}") from None
            parts.append(chosen.features(np.asarray(found)))
        return Outputs(torch.from_numpy(np.concatenate(parts)[: len(x)]))

    how = f"{source.note}; output {chosen.said}"
    digest = "" if elsewhere else hashlib.sha256(content + how.encode()).hexdigest()
    return Features(f"onnx-{path.stem}", network, digest, how, batch=source.images_at_once)


class _Input:
    """What a network reads: of images (B, C, H, W) in [-1, 1] it makes arrays as it wants them."""

    def __init__(
        self, path: Path, inputs: Sequence[Any], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise FrenemyError(
                f"{path} has {len(inputs)} inputs ({names}): needs one, of images; of a model of "
                "images and texts export the image encoder"
            )
        (one,) = inputs
        self.name = one.name
        shape = [axis if isinstance(axis, int) and axis > 0 else None for axis in one.shape]
        if len(shape) != 4 or one.type not in TYPES:
            raise FrenemyError(
                f"{path}: the input {one.name} is {one.type} {_shape(one)}: "
                "needs floats (B, C, H, W) or (B, H, W, C)"
            )
        self.type = TYPES[one.type]
        batch, *axes = shape
        self.batch = batch
        self.channels_last = axes[0] not in (1, 3) and axes[2] in (1, 3)
        self.channels, *self.sides = [axes[2], axes[0], axes[1]] if self.channels_last else axes
        if self.channels not in (1, 3, None):
            raise FrenemyError(
                f"{path}: the input {one.name} is {_shape(one)}: needs 1 or 3 channels"
            )
        for name, numbers in (("mean", mean), ("std", std)):
            wanted = (1, 3) if self.channels != 1 else (1,)
            if len(numbers) not in wanted:
                raise FrenemyError(
                    f"--{name} has {len(numbers)} numbers: give {' or '.join(map(str, wanted))}"
                )
        if not all(number > 0 for number in std):
            raise FrenemyError(f"--std {' '.join(map(str, std))}: give numbers above 0")
        self.mean, self.std = (torch.tensor(v)[:, None, None] for v in (mean, std))
        if len(self.mean) == 3 or len(self.std) == 3:
            self.channels = 3
        self.images_at_once = -(-AT_ONCE // (batch or 1)) * (batch or 1)
        resized = "x".join(str(side or "?") for side in self.sides)
        given = [",".join(f"{number:g}" for number in v) for v in (mean, std)]
        self.note = (
            "as large as they are"
            if resized == "?x?"
            else f"brought to {resized} (antialiased bicubic)"
        ) + f"; pixels in [0, 1] enter as (x - {given[0]}) / {given[1]}"

    def batches(self, x: Tensor) -> Iterator[NDArray[Any]]:
        """Arrays of the file's own batch, the last filled up with its last image; or one."""
        size = tuple(mine or side for mine, side in zip(self.sides, x.shape[2:], strict=True))
        x = fitted(x.cpu(), self.channels or x.shape[1], (size[0], size[1]))
        x = x.add(1).div_(2).sub_(self.mean).div_(self.std)
        x = x.movedim(1, 3) if self.channels_last else x
        for part in x.split(self.batch or len(x)):
            missing = (self.batch or 0) - len(part)
            if missing > 0:
                part = torch.cat([part, part[-1:].expand(missing, -1, -1, -1)])
            yield np.ascontiguousarray(part.numpy(), self.type)


class _Output:
    """Which of a network's outputs is taken, and which token of it."""

    def __init__(self, path: Path, outputs: Sequence[Any], wanted: str) -> None:
        self.path = path
        self.all = ", ".join(f"{each.name} {_shape(each)}" for each in outputs)
        names = [each.name for each in outputs]
        self.name, self.token = wanted or names[0], None
        if self.name not in names:
            name, _, token = self.name.rpartition(":")
            if name not in names or not token.isdecimal():
                raise FrenemyError(f"{path} has no output {wanted!r}: there are {self.all}")
            self.name, self.token = name, int(token)
        self.said = self.name + ("" if self.token is None else f", token {self.token}")
        shape = outputs[names.index(self.name)].shape
        if shape and self.token is None and any(isinstance(n, int) and n > 1 for n in shape[2:]):
            raise self._refused(_shape(outputs[names.index(self.name)]))

    def features(self, found: NDArray[Any]) -> NDArray[np.float32]:
        """(B, d) of what came out."""
        if self.token is not None:
            if found.ndim != 3 or self.token >= found.shape[1]:
                raise FrenemyError(
                    f"{self.path}: the output {self.name} came as {found.shape}: it has no token "
                    f"{self.token}"
                )
            found = found[:, self.token]
        if found.ndim < 2 or any(side > 1 for side in found.shape[2:]):
            raise self._refused(str(found.shape))
        return found.reshape(len(found), -1).astype(np.float32)

    def _refused(self, shape: str) -> FrenemyError:
        return FrenemyError(
            f"{self.path}: the output {self.name} is {shape}: needs (B, d) or (B, d, 1, 1). Choose "
            f"by --output NAME, or of tokens (B, T, d) by NAME:0 the first; there are {self.all}"
        )


def _shape(tensor: Any) -> str:
    """The axes of an input or output: "(B, 3, 224, 224)", those without a name as ?."""
    return f"({', '.join(str(axis or '?') for axis in tensor.shape)})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
