"""The labels beside pictures that StyleGAN's dataset_tool prepared (Karras et al., 2020).

Its pictures lie in folders of a thousand each, 00000/img00000000.png, and what they show stands in
`dataset.json`: {"labels": [["00000/img00000000.png", 3], ...]}, or null for labels.
"""

from __future__ import annotations

import json
from typing import Any

from frenemy.data.places import LABELS, Place
from frenemy.data.streams import lasting_reason, shown
from frenemy.errors import FrenemyError

_LARGEST = 1 << 28  # bytes: of some millions of labels


def labels_of(place: Place, where: str) -> dict[str, str] | None:
    """The class of each picture that the files of labels tell, by its name; None without such.

    Args:
        place: where the pictures lie.
        where: its name, for messages.

    Raises:
        FrenemyError: a file of labels is damaged, or its labels are no classes.
    """
    found: dict[str, str] | None = None
    for file in place.labels:
        said = _read(place, file, f"{where}/{shown(file)}")
        if said is None:
            continue
        found = found or {}
        prefix = file.removesuffix(LABELS)
        for name, label in said.items():
            found[prefix + name] = label
    return found


def _read(place: Place, file: str, where: str) -> dict[str, str] | None:
    try:
        with place.open(file) as opened:
            text = opened.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError(f"holds more than {_LARGEST:,} bytes")
        said = json.loads(text)
    except Exception as error:  # whatever a damaged archive makes of zipfile and zlib
        raise FrenemyError(
            f"{where}: damaged labels ({lasting_reason(error, where)}): repair or remove it"
        ) from error
    if not isinstance(said, dict) or "labels" not in said:
        return None  # some other program's
    pairs = said["labels"] or []
    if not isinstance(pairs, list) or not all(isinstance(x, list) and len(x) == 2 for x in pairs):
        raise FrenemyError(f'{where}: its "labels" are no pairs of a name and a label')
    labels = {str(name).replace("\\", "/"): _class(label) for name, label in pairs}
    if None in labels.values():
        raise FrenemyError(
            f"{where}: its labels are neither whole numbers nor one-hot: for pictures without "
            "labels remove it"
        )
    return {name: label for name, label in labels.items() if label is not None}


def _class(label: Any) -> str | None:
    """The name of a class, of its number or of numbers of which one is 1 and the others 0."""
    if isinstance(label, list) and label.count(1) == 1 and label.count(0) == len(label) - 1:
        return str(label.index(1))
    return str(label) if isinstance(label, int) else None
