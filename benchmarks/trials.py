"""What searches with optuna share: a journal that several processes write, and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback, StudyDirection
from optuna.trial import FrozenTrial, TrialState

ENDED = TrialState.COMPLETE, TrialState.PRUNED


def opened(
    journal: Path,
    name: str,
    seed: int = 0,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> optuna.Study:
    """A search whose trials are kept in a journal, new or not.

    They are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms for
    Hyper-Parameter Optimization), and pruned by the median of those before.

    Args:
        journal: several processes may write it at once.
        name: of the search; several may share a journal.
        seed: of what this process draws.
        direction: of what is better.
    """
    return optuna.create_study(
        study_name=name,
        direction=direction,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        sampler=optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True
        ),
        pruner=optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )


def play(
    study: optuna.Study,
    value: Callable[[optuna.Trial], float],
    trials: int,
    first: Iterable[Mapping[str, Any]],
    minutes: float = math.inf,
) -> None:
    """Plays trials until there are so many, of all processes together, or the time is over.

    Args:
        study: the search.
        value: of a trial.
        trials: how many are to end, pruned ones too.
        first: the arguments of the first trials.
        minutes: after these none begins.
    """
    if len(study.get_trials(states=ENDED)) >= trials:
        return
    for arguments in first:
        study.enqueue_trial(dict(arguments), skip_if_exists=True)
    seconds = 60 * minutes if minutes < math.inf else None
    study.optimize(value, timeout=seconds, callbacks=[MaxTrialsCallback(trials, states=ENDED)])


def best_of(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to their end, the best first."""
    done = [t for t in study.trials if t.state == TrialState.COMPLETE]
    largest = study.direction == StudyDirection.MAXIMIZE
    return sorted(done, key=lambda t: t.values[0], reverse=largest)


def all_of(study: optuna.Study) -> tuple[list[FrozenTrial], list[str]]:
    """All trials, the best first and those without an end last; and their arguments' names."""
    done = best_of(study)
    trials = [*done, *(t for t in study.trials if t not in done)]
    return trials, list(dict.fromkeys(name for t in trials for name in t.params))


def shown(x: object) -> str:
    """A cell: numbers to three digits."""
    return f"{x:.3g}" if isinstance(x, float) else str(x)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    lines += [f"| {' | '.join(map(shown, row))} |" for row in rows]
    return "\n".join(lines)


def explained(study: optuna.Study) -> str:
    """How much of the values' variance each argument explains, once there are enough trials."""
    done = len(best_of(study))
    count = f"{done} trials to their end, {len(study.trials) - done} pruned or stopped."
    if done <= 8:
        return count
    shares = optuna.importance.get_param_importances(study).items()
    return f"{count}\nExplained: " + ", ".join(f"{name} {share:.0%}" for name, share in shares)
