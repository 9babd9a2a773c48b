"""Training in this process: every kind of game, stopped after every round, ends bit for bit."""

import dataclasses
import itertools
import re
import signal
import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from frenemy import Model, recipes, resume, train
from frenemy.begin import plan
from frenemy.data import open_dataset
from frenemy.diagnosis import Finding, diagnose, measurements_of
from frenemy.errors import FrenemyError
from frenemy.experiment import Stage, vary
from frenemy.game import Game, Player, Prior, Turn, alternating, simultaneous
from frenemy.interrupts import Interrupted
from frenemy.model import set_up
from frenemy.nets.layers import Dropout
from frenemy.objectives import minimax_d, nonsaturating_g, pairing_d, pairing_g
from frenemy.penalties import r1, r2
from frenemy.player import HalfLife
from frenemy.run import Run, step_of
from frenemy.settings import Settings
from frenemy.terminal import PlainLines, TrainingDisplay
from frenemy.training import NotFinite, is_sample_step


class Stopped(Exception):
    """What the watcher of these tests raises."""


def players(shape, optimiser, averaging=None, schedule=None):
    """G and D of a few weights, with dropout and with batch statistics."""
    pixels = int(np.prod(shape))
    G = nn.Sequential(
        nn.Linear(3, 8),
        nn.BatchNorm1d(8),
        nn.Linear(8, pixels),
        nn.Tanh(),
        nn.Unflatten(1, shape),
    )
    D = nn.Sequential(
        nn.Flatten(), Dropout(0.8), nn.Linear(pixels, 8), nn.Softplus(), nn.Linear(8, 1)
    )
    D.append(nn.Flatten(0))
    return {
        "D": Player(D, optimiser(D), schedule=schedule),
        "G": Player(G, optimiser(G), schedule=schedule, averaging=averaging),
    }


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.0, 0.9), fused=True)


@dataclass(frozen=True)
class Plain:
    """Arguments that run.json has to keep."""

    rate: float = 0.1


PLAIN = Plain()


def plain(facts, arguments: Plain = PLAIN):
    return one_stage(players(facts.shape, sgd), [*ALTERNATING])


def lazy(facts):
    turns = [
        Turn({"D": {pairing_d: 1.0}}, steps=2, joint=True),
        Turn({"D": {r1: lambda t: 1 / (1 + t), r2: 0.5}}, every=4),
        Turn({"G": {pairing_g: 1.0}}),
    ]
    schedule = lambda t: {"lr": 0.01 / (1 + t)}  # noqa: E731
    return one_stage(players(facts.shape, adam, 0.99, schedule), turns)


def at_once(facts):
    turns = simultaneous({minimax_d: 0.5}, {nonsaturating_g: 1.0})
    return one_stage(players(facts.shape, adam, 0.9), turns)


def stages(facts, *players, rounds):
    games = [Game(p, ALTERNATING, Prior("gaussian", 3), 100) for p in players]
    epochs = rounds * 100 / facts.count
    return [Stage(game, epochs) for game in games]


def two_stages(facts):
    first = players(facts.shape, sgd)
    second = players(facts.shape, adam, 0.9)
    both = nn.Sequential(nn.Linear(3, 3), first["G"].net)  # the first stage prepares its G
    second["G"] = Player(both, adam(both), averaging=0.9)
    return stages(facts, first, second, rounds=4)


def a_stage_between(facts):
    first, between, last = (players(facts.shape, adam) for _ in range(3))
    both = nn.Sequential(nn.Linear(3, 3), first["G"].net)  # which the second stage leaves alone
    last["G"] = Player(both, adam(both))
    last["D"] = first["D"]
    return stages(facts, first, between, last, rounds=2)


def a_judge_of_before(facts):
    first, last = players(facts.shape, adam), players(facts.shape, adam)
    judge = first["D"].net

    def pleases_the_judge(r):
        return -judge(r.Gz)

    turns = alternating({minimax_d: 1.0}, {pleases_the_judge: 1.0})
    prior = Prior("gaussian", 3)
    games = [Game(first, ALTERNATING, prior, 100), Game(last, turns, prior, 100)]
    return [Stage(game, 300 / facts.count) for game in games]


def a_shared_trunk(facts):
    both = players(facts.shape, adam)
    *trunk, _, _ = both["D"].net
    guess = nn.Sequential(*trunk, nn.Linear(8, 3))
    both["Q"] = Player(guess, adam(guess))

    def recovers_z(r):
        return (r.nets["Q"](r.Gz) - r.z).square().sum(1)

    return one_stage(both, [*ALTERNATING, Turn({"G": {recovers_z: 1.0}, "Q": {recovers_z: 1.0}})])


ALTERNATING = alternating({minimax_d: 1.0}, {nonsaturating_g: 1.0})
RECIPES = [plain, lazy, at_once, two_stages, a_stage_between, a_judge_of_before, a_shared_trunk]
ROUNDS = 7


def one_stage(players, turns):
    game = Game(players, turns, Prior("uniform", 3), 20)
    return [Stage(game, 1)]


class Counts(torch.optim.SGD):
    """An optimiser that keeps a number beside its tensors."""

    def step(self, closure=None):
        self.state[self.param_groups[0]["params"][0]]["step"] = 1
        return super().step(closure)


@pytest.fixture(scope="module")
def digits():
    return open_dataset(None)


def outcome(path):
    run = Run.open(path)
    tensors = safetensors.torch.load_file(run.checkpoints()[0])
    return {
        "tensors": {key: value.numpy().tobytes() for key, value in tensors.items()},
        "log": run.rows(),
        "pictures": {p.name: p.read_bytes() for p in run.samples()},
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_stopped_after_every_round_ends_bit_identical(recipe, digits, tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 3)  # so that rows straddle the stops
    monkeypatch.setattr("frenemy.monitor.AT_FIRST", 1)  # and so do measurements,
    monkeypatch.setattr("frenemy.monitor.MEASURE_EVERY", 2)  # and what they remember
    settings = {"steps": ROUNDS, "seed": 5}
    train(recipe, digits, out=tmp_path / "whole", **settings)

    def stop(training):
        training.save()
        raise Stopped

    with pytest.raises(Stopped):
        train(recipe, digits, out=tmp_path / "parts", watcher=stop, **settings)
    for done in range(1, ROUNDS):
        assert int(Run.open(tmp_path / "parts").checkpoints()[0].name[:8]) == done
        torch.rand(1)  # nothing may depend on the generator outside
        with pytest.raises(Stopped):
            resume(tmp_path / "parts", recipe=recipe, watcher=stop)
    resume(tmp_path / "parts", recipe=recipe)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    stage_of = set_up(recipe, digits, 0).stage_of
    ends = {done for done in range(1, ROUNDS) if stage_of(done)[0] != stage_of(done - 1)[0]}
    assert {row["step"] for row in Run.open(tmp_path / "whole").rows()} == {3, 6} | ends


def doubled_at_the_beginning(facts):
    both = players(facts.shape, adam, 0.9)

    def begin(source):
        both["G"].net[0].weight.mul_(2)

    return [dataclasses.replace(one_stage(both, [*ALTERNATING])[0], begin=begin)]


@pytest.mark.parametrize("recipe", [*RECIPES, doubled_at_the_beginning])
def test_a_run_has_a_checkpoint_from_the_beginning_and_goes_on_from_there(recipe, digits, tmp_path):
    whole = train(recipe, digits, out=tmp_path / "whole", steps=3)

    def stop(training):
        raise Stopped

    parts = tmp_path / "parts"
    for play in (
        lambda: train(recipe, digits, out=parts, steps=3, watcher=stop),
        lambda: resume(parts, recipe=recipe, watcher=stop),
    ):
        with pytest.raises(Stopped):
            play()
        (kept,) = Run.open(parts).checkpoints()
        assert step_of(kept) == 0
    assert Model.load(parts, recipe=recipe).sample(3).any()
    resume(parts, recipe=recipe)
    assert outcome(parts) == outcome(whole.path)
    assert [step_of(path) for path in whole.checkpoints()] == [3]  # which stands for it now


@pytest.mark.parametrize("before", [0, 1])
def test_what_a_checkpoint_cannot_hold_is_refused_in_the_first_round(digits, tmp_path, before):
    def counted(facts):
        plain = [players(facts.shape, sgd)] * before
        counting = players(facts.shape, lambda net: Counts(net.parameters(), 0.1))
        return stages(facts, *plain, counting, rounds=4)

    rounds = []
    with pytest.raises(FrenemyError, match="Counts keeps step as int: a checkpoint holds only"):
        train(counted, digits, steps=100, out=tmp_path / "run", watcher=rounds.append)
    assert len(rounds) == 4 * before


def test_shared_weights_are_saved_once(digits, tmp_path):
    run = train(a_shared_trunk, digits, steps=1, out=tmp_path / "run")
    saved = safetensors.torch.load_file(run.checkpoints()[0]).keys()
    assert "0.D.net.2.weight" in saved and "0.Q.net.4.weight" in saved
    assert "0.Q.net.2.weight" not in saved  # of the trunk, which is D's


def test_views_of_weights_are_saved_too(digits, tmp_path):
    def with_a_view(facts):
        both = players(facts.shape, sgd)
        D = both["D"].net
        D.register_buffer("few", D[2].weight.data[0, :3])
        return one_stage(both, ALTERNATING)

    whole = train(with_a_view, digits, steps=4, out=tmp_path / "whole")
    train(with_a_view, digits, steps=2, out=tmp_path / "run")
    run = resume(tmp_path / "run", recipe=with_a_view, steps=4)
    assert outcome(run.path)["tensors"] == outcome(whole.path)["tensors"]


def test_of_two_that_begin_the_same_run_one_is_refused_and_writes_nothing(digits, tmp_path):
    settings = [Settings(out=tmp_path / "run", steps=3, seed=seed) for seed in (1, 2)]
    ours, theirs = (plan(plain, digits, one) for one in settings)

    def watch(training):
        with pytest.raises(FrenemyError, match="being trained by another process"):
            theirs.play()

    ours.play(watch)
    assert Run.open(tmp_path / "run").header["seed"] == 1
    with pytest.raises(FrenemyError, match="already holds a run"):
        theirs.play()


def test_a_run_that_goes_on_to_a_later_end_is_the_longer_run(digits, tmp_path):
    train(lazy, digits, steps=ROUNDS, out=tmp_path / "whole")
    train(lazy, digits, steps=3, out=tmp_path / "longer")
    resume(tmp_path / "longer", recipe=lazy, steps=5)
    run = resume(tmp_path / "longer", recipe=lazy, steps=ROUNDS)
    assert outcome(run.path)["tensors"] == outcome(tmp_path / "whole")["tensors"]
    assert Run.open(run.path).header["target"] == {"steps": ROUNDS}
    resume(run.path, recipe=lazy, steps=2)  # which is over already: nothing is taken back
    assert Run.open(run.path).header["target"] == {"steps": ROUNDS}
    assert outcome(run.path)["tensors"] == outcome(tmp_path / "whole")["tensors"]


def test_a_run_on_what_a_program_holds_goes_on_with_the_same_images_alone(digits, tmp_path):
    images = digits.train.images[:60]
    run = train(plain, images, steps=2, out=tmp_path / "run")
    kept = Run.open(run.path).header["data"]
    assert kept["path"] == "memory:" and kept["digest"] == open_dataset(images).train.digest
    with pytest.raises(FrenemyError, match=r"from memory: give .* frenemy\.resume\('.*run', data="):
        resume(run.path, recipe=plain, steps=3)
    with pytest.raises(FrenemyError, match=r"memory train is not what .* was begun on"):
        resume(run.path, recipe=plain, steps=3, data=images[::-1])
    tensor = torch.tensor(images).float() / 255  # the same images in another form
    run = resume(run.path, recipe=plain, steps=3, data=tensor)
    assert Model.load(run.path, recipe=plain).progress.step == 3


def test_what_a_program_holds_is_brought_to_the_size_of_the_run_again(digits, tmp_path):
    given = [Image.fromarray(image[0]) for image in np.asarray(digits.train.images[:60])]
    run = train(plain, open_dataset(given, size=16), steps=2, out=tmp_path / "run")
    resumed = resume(run.path, recipe=plain, steps=3, data=given)
    assert Run.open(resumed.path).header["data"]["shape"] == [1, 16, 16]


def test_images_from_memory_are_asked_for_again(digits, tmp_path):
    in_memory = dataclasses.replace(digits, arguments={})
    run = train(plain, in_memory, steps=2, out=tmp_path / "run")
    with pytest.raises(FrenemyError, match="from memory: give them as data="):
        resume(run.path, recipe=plain, steps=3)
    other = dataclasses.replace(
        in_memory, train=dataclasses.replace(digits.train, digest="of others")
    )
    with pytest.raises(FrenemyError, match=r"is not what .* was begun on"):
        resume(run.path, recipe=plain, steps=3, data=other)
    run = resume(run.path, recipe=plain, steps=3, data=in_memory)
    assert Model.load(run.path, recipe=plain).progress.step == 3


def test_arguments_that_no_description_can_keep_leave_no_folder(digits, tmp_path):
    recipe = vary(plain, rate=np.float32)
    with pytest.raises(FrenemyError, match="cannot keep the recipe's arguments"):
        train(recipe, digits, steps=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_arguments_that_nobody_could_go_on_with_leave_no_folder(digits, tmp_path):
    with pytest.raises(FrenemyError, match="gamma is wrong"):
        train(vary(recipes.digits, gamma=True), digits, steps=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_stacks_of_the_embedded_digits_are_found_again(tmp_path):
    run = train(plain, "stacked:embedded:digits", steps=1, out=tmp_path / "run")
    assert Model.load(resume(run.path, recipe=plain, steps=2).path, recipe=plain).progress.step == 2


def test_a_round_that_is_none_is_refused(digits, tmp_path):
    run = train(plain, digits, steps=1, out=tmp_path / "run")
    with pytest.raises(FrenemyError, match="step is 'worst': give a whole number"):
        Model.load(run.path, recipe=plain, step="worst")


def test_a_run_whose_images_are_described_by_nobody_is_used(digits, tmp_path):
    run = train(plain, digits, steps=1, out=tmp_path / "run")
    data = {k: v for k, v in run.header["data"].items() if k != "description"}
    run.update(data=data)
    assert len(Model.load(run.path, recipe=plain).sample(2)) == 2


def test_the_users_threads_are_left_alone(digits, tmp_path):
    run = train(plain, digits, steps=1, out=tmp_path / "run")
    before = torch.get_num_threads()
    run.update(threads=before + 1)
    resume(run.path, recipe=plain, steps=2)
    assert torch.get_num_threads() == before


def test_no_samples_and_negative_seeds_are_refused(digits, tmp_path):
    model = Model.load(train(plain, digits, steps=1, out=tmp_path / "run").path, recipe=plain)
    with pytest.raises(FrenemyError, match="count is 0"):
        model.sample(0)
    with pytest.raises(FrenemyError, match="seed is -1"):
        model.sample(1, seed=-1)


@pytest.mark.parametrize(
    "argument", [{"steady": 0}, {"gamma": -1.0}, {"rate": -1.0}, {"averaging": 1.5}], ids=str
)
def test_our_games_refuse_settings_without_sense(digits, argument):
    with pytest.raises(FrenemyError, match=next(iter(argument))):
        vary(recipes.digits, **argument)(digits.facts)


def test_where_there_is_no_terminal_progress_is_told_in_lines(
    digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(PlainLines, "INTERVAL", 0.0)
    monkeypatch.setattr(TrainingDisplay, "INTERVAL", 0.0)
    with TrainingDisplay() as display:
        train(plain, digits, steps=3, out=tmp_path / "run", watcher=display)
    told = capsys.readouterr().out
    assert re.search(r"round 1 \(33%\) .*/s D \d.* D\(x\) 0\.\d+ D\(G\(z\)\) 0\.\d+ G \d", told)
    assert "round 2 (67%)" in told


def test_the_users_random_numbers_are_left_alone(digits, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(plain, digits, out=tmp_path / "run", steps=2)
    assert torch.equal(torch.rand(2), expected)


def test_a_damaged_newest_checkpoint_is_replaced_and_the_end_is_the_same(digits, tmp_path):
    paths = [tmp_path / name for name in ("whole", "damaged")]
    for path in paths:
        train(lazy, digits, out=path, steps=6, watcher=lambda t: t.save())
    newest = Run.open(paths[1]).checkpoints()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="is damaged"):
        resume(paths[1], recipe=lazy)
    assert outcome(paths[1]) == outcome(paths[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resume(paths[1], recipe=lazy)  # the damaged one is gone


def test_checkpoints_that_are_all_damaged_are_told_with_a_remedy(digits, tmp_path):
    run = train(plain, digits, out=tmp_path / "run", steps=2, watcher=lambda t: t.save())
    for path in run.checkpoints():
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(FrenemyError, match=r"all 2 checkpoints .* bring back a copy"),
    ):
        resume(run.path, recipe=plain)


def test_a_run_without_its_checkpoints_says_that_it_starts_again(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 2)
    run = train(plain, digits, out=tmp_path / "run", steps=4)
    before = outcome(run.path)
    for path in run.checkpoints():
        path.unlink()
    with pytest.warns(UserWarning, match="no checkpoint: it starts again from round 0"):
        resume(run.path, recipe=plain)
    assert outcome(run.path) == before


@pytest.mark.parametrize(
    ("saved", "told"), [(True, "that of round 1 is kept"), (False, "that of round 0 is kept")]
)
def test_a_second_interrupt_says_what_was_kept(digits, tmp_path, saved, told, capfd):
    def interrupt_twice(training):
        if saved:
            training.save()
        signal.raise_signal(signal.SIGINT)
        assert "saving after this round" in capfd.readouterr().err
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=rf"^stopped at once .*{told}.*--resume") as stopped:
        train(plain, digits, out=tmp_path / "run", steps=5, watcher=interrupt_twice)
    assert stopped.value.signal == signal.SIGTERM
    assert [int(p.name[:8]) for p in Run.open(tmp_path / "run").checkpoints()] == [int(saved)]


def test_a_weight_that_is_not_finite_is_never_saved(digits, tmp_path):
    def spoil(training):
        if training.progress.step == 3:
            training.experiment.game.nets["D"][2].weight.data[0, 0] = torch.inf
        training.save()

    with pytest.raises(NotFinite, match=r"round 3: D's net\.2\.weight .*that of round 2 is kept"):
        train(plain, digits, out=tmp_path / "run", steps=5, watcher=spoil)
    assert [int(p.name[:8]) for p in Run.open(tmp_path / "run").checkpoints()] == [2, 1]


def failing(history, before, arguments):
    """Finds something at every measurement."""
    return [Finding("mode collapse", len(history), "", "")] if history else []


def test_a_game_that_blows_up_is_found_at_once(digits, tmp_path):
    def spoil(training):
        if training.progress.step == 5:
            training.experiment.game.nets["D"][2].weight.data[0, 0] = torch.inf

    with pytest.raises(NotFinite):
        train(plain, digits, out=tmp_path / "run", steps=7, watcher=spoil)
    run = Run.open(tmp_path / "run")
    (finding,) = run.header["findings"]
    assert (finding["failure"], finding["since"]) == ("non-convergence", 6)
    assert run.rows() == [{"step": 6, "health/finite": 0.0, "findings": ["non-convergence"]}]
    again = diagnose(measurements_of(run.rows()), arguments=run.header["arguments"])
    assert again == [Finding(**finding)]


def test_a_full_disk_does_not_hide_that_a_game_blew_up(digits, tmp_path, monkeypatch):
    def refuse(self, row):
        raise FrenemyError("no space left on the disk")

    def spoil(training):
        training.experiment.game.nets["D"][2].weight.data[0, 0] = torch.inf
        monkeypatch.setattr(Run, "log", refuse)

    with pytest.raises(NotFinite):
        train(plain, digits, out=tmp_path / "run", steps=1, watcher=spoil)


def test_findings_that_cannot_be_written_hide_no_failure(digits, tmp_path, monkeypatch):
    def refuse(self, **fields):
        raise FrenemyError("no space left on the disk")

    def stop(training):
        monkeypatch.setattr(Run, "update", refuse)
        raise Stopped

    with pytest.raises(Stopped):
        train(plain, digits, out=tmp_path / "run", steps=3, watcher=stop)


def test_each_stage_is_judged_by_its_own_measurements(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 2)
    monkeypatch.setattr("frenemy.monitor.AT_FIRST", 2)
    monkeypatch.setattr("frenemy.training.diagnose", failing)
    found = []

    def watch(training):
        found.append([finding.since for finding in training.findings])

    def stop(training):
        watch(training)
        training.save()
        raise Stopped

    run = train(two_stages, digits, out=tmp_path / "whole", steps=8, watcher=watch)
    whole = [[], [1], [1], [2], [], [1], [1], [2]]
    assert found == whole
    assert [row["stage"] for row in run.rows()] == [0, 0, 1, 1]
    found.clear()
    with pytest.raises(Stopped):
        train(two_stages, digits, out=tmp_path / "parts", steps=8, watcher=stop)
    for _ in range(7):
        with pytest.raises(Stopped):
            resume(tmp_path / "parts", recipe=two_stages, watcher=stop)
    assert found == whole


def test_no_row_of_the_log_is_of_two_stages(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 3)
    run = train(two_stages, digits, out=tmp_path / "whole", steps=8)  # the first one has 4 rounds
    assert [(row["step"], row["stage"]) for row in run.rows()] == [(3, 0), (4, 0), (6, 1)]
    with pytest.raises(Stopped):
        train(two_stages, digits, out=tmp_path / "parts", steps=8, watcher=saving_at(4))
    again = resume(tmp_path / "parts", recipe=two_stages)
    assert again.rows() == run.rows()


def saving_at(step):
    def watch(training):
        if training.progress.step == step:
            training.save()
            raise Stopped

    return watch


def test_an_average_of_a_later_stage_starts_from_what_was_learned(digits, tmp_path):
    def twice(facts):
        first = players(facts.shape, sgd)
        nets = {name: player.net for name, player in first.items()}
        second = {n: Player(net, sgd(net), averaging=HalfLife(1e9)) for n, net in nets.items()}
        return stages(facts, first, second, rounds=4)

    def compare(training):
        G = training.experiment.stages[1].game.players["G"]
        if training.progress.step == 4:
            learned.update({k: p.clone() for k, p in G.net.named_parameters()})
        if training.progress.step == 5:
            for name, p in G.average.named_parameters():  # hardly moved, by its half-life
                torch.testing.assert_close(p, learned[name], rtol=0, atol=1e-4)
            raise Stopped

    learned = {}
    with pytest.raises(Stopped):
        train(twice, digits, out=tmp_path / "run", steps=8, watcher=compare)


def test_a_signal_counts_although_what_was_to_be_saved_is_not_finite(digits, tmp_path):
    def spoil(training):
        if training.progress.step == 2:
            training.experiment.game.nets["D"][2].weight.data[0, 0] = torch.inf
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"round 2: D's net\.2\.weight .*--resume") as stopped:
        train(plain, digits, out=tmp_path / "run", steps=5, watcher=spoil)
    assert stopped.value.signal == signal.SIGTERM


def test_an_optimiser_state_that_is_not_finite_is_never_saved(digits, tmp_path):
    def spoil(training):
        player = training.experiment.game.players["G"]
        player.optimiser.state[player.theta[0]]["exp_avg_sq"][0, 0] = torch.inf
        training.save()

    with pytest.raises(NotFinite, match=r"round 1: G's optimiser\.0\.exp_avg_sq"):
        train(lazy, digits, out=tmp_path / "run", steps=5, watcher=spoil)


@pytest.mark.parametrize(
    ("limit", "rounds"),
    [({"steps": 3}, 3), ({"epochs": 0.5}, 36), ({}, 72)],  # 1,439 images by 20
)
def test_when_to_stop(digits, tmp_path, limit, rounds):
    run = train(plain, digits, out=tmp_path / "run", **limit)
    assert int(run.checkpoints()[0].name[:8]) == rounds


def test_minutes_count_over_all_parts_of_a_run(digits, tmp_path, monkeypatch):
    clock = itertools.count()
    sixteenths = SimpleNamespace(monotonic=lambda: next(clock) / 16)  # of a second; one a round
    monkeypatch.setattr("frenemy.training.time", sixteenths)
    seen = []

    def watch(training):
        seen.append(training.progress.seconds)
        if len(seen) == 5:
            training.save()
            raise Stopped

    path = tmp_path / "run"
    with pytest.raises(Stopped):
        train(plain, digits, out=path, minutes=0.01, watcher=watch)
    for _ in range(1000):  # a minute in which nothing is played
        sixteenths.monotonic()
    resume(path, recipe=plain, watcher=watch)
    assert seen == [i / 16 for i in range(1, 11)]  # .01 minutes are .6 seconds


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"epochs": -1},
        {"minutes": float("nan")},
        {"seed": -1},
        {"checkpoint_seconds": -5.0},
        {"checkpoint_seconds": float("nan")},
        # what run.json could not be read again with
        {"seed": 2**63},
        {"checkpoint_seconds": 1e16},
        {"precision": "fp16"},
        {"mirror": 1},
        {"tensorboard": 0},
    ],
    ids=str,
)
def test_numbers_without_sense_are_refused_before_anything_is_written(digits, tmp_path, settings):
    with pytest.raises(FrenemyError):
        train(plain, digits, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_missing_device_leaves_no_directory(digits, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(FrenemyError, match="cuda"):
        train(plain, digits, out=tmp_path / "run", steps=1, device="cuda")
    assert not (tmp_path / "run").exists()


def test_own_recipes_are_recorded_with_defaults_and_load_with_the_recipe(digits, tmp_path):
    run = train(plain, digits, out=tmp_path / "run", steps=1)
    assert (run.header["recipe"], run.header["arguments"]) == (f"{__name__}:plain", {"rate": 0.1})
    with pytest.raises(FrenemyError, match="not frenemy's own"):
        Model.load(run.path)
    assert Model.load(run.path, recipe=plain).sample(3).shape == (3, 1, 8, 8)


def test_arguments_are_the_runs_and_others_are_refused_until_they_are_meant(digits, tmp_path):
    path = tmp_path / "run"
    train(vary(plain, rate=0.5), digits, out=path, steps=1)
    resume(path, recipe=plain, steps=2)
    assert Run.open(path).header["arguments"] == {"rate": 0.5}
    other = vary(plain, rate=0.25)
    for use in (Model.load, resume):
        with pytest.raises(FrenemyError, match=r"arguments \{'rate': 0.5\}, not \{'rate': 0.25\}"):
            use(path, recipe=other)
    resume(path, recipe=other, recipe_changed=True, steps=3)
    assert Run.open(path).header["arguments"] == {"rate": 0.25}
    with pytest.raises(FrenemyError, match=r"begun with recipe .*:plain, not .*:lazy"):
        Model.load(path, recipe=lazy)


def test_an_own_recipe_is_never_taken_for_ours_of_the_same_name(digits, tmp_path):
    def digits2014(facts):
        return plain(facts)

    run = train(digits2014, digits, out=tmp_path / "run", steps=1)
    with pytest.raises(FrenemyError, match="not frenemy's own"):
        resume(run.path, steps=2)


def test_a_recipe_is_a_function(digits, tmp_path):
    class Recipe:
        def __call__(self, facts):
            return plain(facts)

    with pytest.raises(FrenemyError, match="is not a recipe: give a function"):
        train(Recipe(), digits, out=tmp_path / "run", steps=1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"recipe": lambda facts: None}, "a recipe returns a list of stages, but this one None"),
        ({"recipe": vary(recipes.digits, objective="hinges")}, "did you mean hinge"),
        ({"recipe": vary(recipes.digits2014, rate="x")}, r"TypeError: .* line \d+\)$"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"seed": 1.5}, "seed is 1.5: give a whole number"),
        ({"steps": 50.5}, "steps is 50.5: give a whole number"),
        ({"steps": None, "epochs": 1e308}, "--epochs 1e.308: give a number"),
    ],
)
def test_python_arguments_are_refused_in_one_line(digits, tmp_path, wrong, reason):
    arguments = {"recipe": plain, "steps": 1, **wrong}
    with pytest.raises(FrenemyError, match=reason) as error:
        train(data=digits, out=tmp_path / "run", **arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_numbers_may_be_numpys_and_data_a_path(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    np.save(tmp_path / "images.npy", images)
    run = train(
        plain,
        tmp_path / "images.npy",
        out=tmp_path / "run",
        steps=np.int64(2),
        seed=np.int64(3),
    )
    assert (run.header["seed"], run.header["target"]) == (3, {"steps": 2})


@pytest.mark.parametrize("what", ["torch", "numpy", "frenemy"])
def test_a_run_of_other_versions_goes_on_with_a_warning(digits, tmp_path, what):
    run = train(plain, digits, out=tmp_path / "run", steps=1)
    run.update(versions={**run.header["versions"], what: "0.0"})
    with pytest.warns(UserWarning, match=f"was begun on {what} 0.0: its last bits may differ"):
        resume(run.path, recipe=plain, steps=2)


def test_events_of_tensorboard_read_back(digits, tmp_path, monkeypatch):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr("frenemy.training.LOG_EVERY", 2)
    run = train(plain, digits, out=tmp_path / "run", steps=6, tensorboard=True)
    events = accumulator.EventAccumulator(str(run.path / "events")).Reload()
    scalars = {e.step: e.value for e in events.Scalars("D/minimax_d")}
    # events hold float32
    assert scalars == pytest.approx({r["step"]: r["D/minimax_d"] for r in run.rows()}, rel=1e-6)


def test_samples_are_drawn_ten_times_a_decade():
    steps = [step for step in range(2001) if is_sample_step(step)]
    assert steps[:10] == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
    assert steps[-4:] == [1000, 1259, 1585, 1995]
