"""Options that several verbs have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from frenemy.choices import DeviceName, Fit, OptionalInt, optional

if TYPE_CHECKING:
    from frenemy.data import Dataset
    from frenemy.data.dataset import Unopened
    from frenemy.model import Model


RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
Out = Annotated[Path | None, optional("PATH", "-o")]
PixelRange = Annotated[str | None, optional("LOW..HIGH")]
Number = Annotated[int, arg(aliases=["-n"])]
OfClass = Annotated[str | None, arg(name="class", metavar="NAME", help_behavior_hint="")]
Round = Annotated[int | Literal["best"] | None, optional("ROUND|best")]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are brought to one shape.

    Attributes:
        size: make every image size x size.
        fit: how: crop the centre, or stretch.
        grey: convert to greyscale.
        opaque: put transparent pictures on white; otherwise, if most pictures have transparency,
            an alpha channel is generated, too.
        range: what black and white are in the files, where that is not 0..255, or 0..1 in
            floats: 0..1 for bytes that are 0 and 1, or -1..1.
    """

    size: OptionalInt = None
    fit: Fit = "crop"
    grey: bool = False
    opaque: bool = False
    range: PixelRange = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `open_dataset` and its like."""
        return dataclasses.asdict(self)

    def of(self, path: Path | None) -> Dataset | Unopened:
        """The set at `path`, but for its size where none is given."""
        from frenemy.data.dataset import Unopened

        arguments = self.arguments
        size = arguments.pop("size")
        unopened = Unopened(path, **arguments)
        return unopened if size is None else unopened.open(size)


Prepared = OmitArgPrefixes[Preparation]
AS_THEY_ARE = Preparation()


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnRecipe:
    """A recipe of your own.

    Attributes:
        recipe: a recipe that is not in `frenemy recipes`: FILE.py:NAME or MODULE:NAME. A run
            never executes code by itself, so give it again to every command that loads one.
        recipe_changed: accept it although it has changed since the run was begun.
    """

    recipe: Annotated[str | None, optional("FILE.py:NAME")] = None
    recipe_changed: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `Model.load` and `resume`."""
        from frenemy.origin import find

        recipe = None if self.recipe is None else find(self.recipe)
        return {"recipe": recipe, "recipe_changed": self.recipe_changed}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing(OwnRecipe):
    """Which run to sample from.

    Attributes:
        run: the run's directory.
        step: sample from the checkpoint of this round, if it was kept, or the best; by default the
            last.
        device: where to compute.
    """

    run: RunPath
    step: Round = None
    device: DeviceName = "auto"

    def require(self, *places: Path) -> None:
        """Refuses what is no run, and places that take no file, before the model is loaded."""
        from frenemy.places import require_place
        from frenemy.run import Run

        Run.open(self.run)
        require_place(*places)

    def model(self) -> Model:
        """The run's model."""
        from frenemy.model import Model

        return Model.load(self.run, self.device, step=self.step, **self.arguments)


Own = Annotated[OmitArgPrefixes[OwnRecipe], arg(name="own-recipe")]
Draws = Annotated[OmitArgPrefixes[Drawing], arg(name="run")]
NOT_OWN = OwnRecipe()
