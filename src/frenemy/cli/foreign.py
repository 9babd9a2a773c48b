"""Options as other programs call them, and what they are called here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from frenemy.cli.functions import filling, first_word, options_of, value

CALLED: Mapping[str, str] = {
    "--batch": "--minibatch",
    "--batch-size": "--minibatch",
    "--ckpt": "--step",
    "--cuda": "--device cuda",
    "--data-dir": "--data",
    "--dataroot": "--data",
    "--dataset": "--data",
    "--fp16": "--precision bfloat16",
    "--gpu": "--device cuda:N",
    "--gpus": "--device cuda:N",
    "--image-size": "--size",
    "--img-size": "--size",
    "--iterations": "--steps",
    "--iters": "--steps",
    "--learning-rate": "--rate",
    "--lr": "--rate",
    "--max-steps": "--steps",
    "--num-epochs": "--epochs",
    "--outdir": "--out",
    "--output-dir": "--out",
    "--resolution": "--size",
}


def hints(arguments: Sequence[str], verb: Callable[..., Any]) -> list[str]:
    """What is said of the options among the arguments that the verb has by another name.

    Args:
        arguments: that were refused.
        verb: that they begin with.
    """
    options = set(options_of(verb))
    if arguments[0] == "train" and value("--recipe", arguments) is None:
        from frenemy.recipes import RECIPES

        word = first_word(arguments, options_of(verb)) or "pictures"
        options |= options_of(filling(RECIPES[word])).keys() if word in RECIPES else set()
    given = dict.fromkeys(word.partition("=")[0].replace("_", "-") for word in arguments)
    return [
        f"{name}: the option is called {CALLED[name]}"
        for name in given
        if name in CALLED and name not in options and CALLED[name].split()[0] in options
    ]
