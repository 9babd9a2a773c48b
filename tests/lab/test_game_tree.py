"""Search of game trees, against dumb recursion, on trees that hypothesis makes."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frenemy.errors import FrenemyError
from frenemy.lab import search
from frenemy.lab.game_tree import game_tree
from frenemy.lab.search import DEPTH, minimax, read_tree, tree_of, uniform_tree

from .small import small

NUMBERS = st.integers(-9, 9) | st.floats(-1e300, 1e300, allow_subnormal=False)
TREES = st.recursive(
    NUMBERS,
    lambda below: (
        st.lists(below, min_size=1, max_size=4)
        | st.dictionaries(st.text(max_size=3), below, min_size=1, max_size=3)
    ),
    max_leaves=40,
)


def worth(data, maximises=True):
    """The value of a tree, as its definition has it."""
    if isinstance(data, int | float):
        return data
    below = data.values() if isinstance(data, dict) else data
    return (max if maximises else min)(worth(child, not maximises) for child in below)


def leaves_of(data):
    """How many there are."""
    if isinstance(data, int | float):
        return 1
    return sum(leaves_of(child) for child in (data.values() if isinstance(data, dict) else data))


@settings(deadline=None, max_examples=50)
@given(TREES, st.booleans())
def test_every_search_finds_the_value_by_definition(data, maximiser_first):
    tree = tree_of(data)
    full = minimax(tree, maximiser_first=maximiser_first)
    for found in (
        full,
        minimax(tree, prune=True, maximiser_first=maximiser_first),
        minimax(tree, prune=True, guess=full.values, maximiser_first=maximiser_first),
        # a wrong guess costs leaves, and no value
        minimax(
            tree,
            prune=True,
            guess={n: -v for n, v in full.values.items()},
            maximiser_first=maximiser_first,
        ),
    ):
        assert found.value == worth(data, maximiser_first)
        assert found.line[-1].value == found.value  # the best play ends at a leaf of that worth
        assert not found.line[-1].children
        assert found.leaves <= full.leaves == leaves_of(data)


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_the_principal_line_is_one_path_down(data):
    line = minimax(tree_of(data), prune=True).line
    assert all(child in node.children for node, child in itertools.pairwise(line))


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_every_position_is_backed_up(data):
    tree = tree_of(data)
    values = minimax(tree).values

    def check(node, maximises):
        below = [values[child] for child in node.children]
        assert values[node] == ((max if maximises else min)(below) if below else node.value)
        for child in node.children:
            check(child, not maximises)

    check(tree, True)


def test_alpha_beta_cuts_deep():
    # the maximiser has 5; three moves down, 4 refutes the whole line: 100 and 99 are not looked at
    data = [5, [[[4, 100], 3], 99]]
    assert worth(data) == 5
    assert minimax(tree_of(data), prune=True).leaves == 3


@pytest.mark.parametrize(("branching", "depth"), [(1, 5), (2, 1), (2, 8), (3, 5), (4, 4), (5, 3)])
def test_the_best_order_visits_as_few_leaves_as_any_proof_needs(branching, depth):
    fewest = branching ** math.ceil(depth / 2) + branching ** (depth // 2) - 1
    for seed in range(5):
        tree = uniform_tree(branching, depth, np.random.default_rng(seed))
        full = minimax(tree)
        assert full.leaves == branching**depth
        assert minimax(tree, prune=True, guess=full.values).leaves == fewest
        assert fewest <= minimax(tree, prune=True).leaves <= full.leaves


def test_uniform_trees_have_each_value_once_and_differ_by_seed():
    one, two = (uniform_tree(3, 3, np.random.default_rng(seed)) for seed in (0, 1))

    def values(node):
        return [v for c in node.children for v in values(c)] if node.children else [node.value]

    assert sorted(values(one)) == sorted(values(two)) == list(range(27))
    assert values(one) != values(two)


# From JSON


def written(tmp_path, text):
    path = tmp_path / "tree.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_tree_is_read_with_the_names_of_its_moves(tmp_path):
    tree = read_tree(written(tmp_path, '{"left": [2, {"castle": 9}], "right": -3.5}'))
    left, right = tree.children
    assert (left.move, right.move, right.value) == ("left", "right", -3.5)
    assert [child.move for child in left.children] == ["1", "2"]
    assert left.children[1].children[0].move == "castle"
    assert tree.depth == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "Expecting ',' delimiter"),
        ("", "Expecting value"),
        (b"\xff\xfe[", "decode"),
        ("[]", "the root has no moves"),
        ('[1, {"a": []}]', "position '2 / a' has no moves"),
        ("{}", "the root has no moves"),
        ("[1, null]", "position '2' is None"),
        ("[true]", "position '1' is True"),
        ('["win"]', "position '1' is 'win'"),
        ("[NaN]", "position '1' is too large or not a number"),
        ("[-Infinity]", "position '1' is too large"),
        ("[1e999]", "position '1' is too large"),
        ("[1" + "0" * 400 + "]", "position '1' is too large"),
        ("[1" + "0" * 9000 + "]", "Exceeds the limit"),
        ('{"a": 1, "a": 2}', "two moves of a position have one name"),
        ("[" * 101 + "1" + "]" * 101, "too deep: give at most 100 moves"),
        ("[" * 100_000 + "1" + "]" * 100_000, "too deep: give at most 100 moves"),
        ("[" * 100_000, "too deep: give at most 100 moves"),
        (" " * 4_000_001, "larger than 4,000,000 bytes"),
        ('{"' + "x\\n" * 50 + '": []}', "has no moves"),
    ],
)
def test_what_is_no_tree_is_told_in_a_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(FrenemyError) as error:
        read_tree(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 160


def test_a_tree_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "NODES", 1000)
    tree_of([1] * 999)
    with pytest.raises(FrenemyError, match="too large: give at most 1,000 positions"):
        read_tree(written(tmp_path, json.dumps([1] * 1000)))


def test_files_that_cannot_be_read_are_told_in_a_line(tmp_path):
    with pytest.raises(FrenemyError, match="No such file"):
        read_tree(tmp_path / "none.json")
    with pytest.raises(FrenemyError, match="Is a directory"):
        read_tree(tmp_path)


def test_the_deepest_tree_is_searched():
    data = 1
    for _ in range(DEPTH):
        data = [data, 0]
    tree = tree_of(data)
    assert tree.depth == DEPTH
    assert minimax(tree, prune=True).value == worth(data)
    with pytest.raises(FrenemyError, match="too deep"):
        tree_of([data])


# The lesson


@pytest.fixture(scope="module")
def result():
    return small("game-tree").result


def test_every_check_holds(result):
    assert [check.what for check in result.checks if not check.holds] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_and_sizes_hold(seed):
    assert game_tree(seed=seed, branching=4, depth=4, trees=5).holds


def test_the_slides_tree_is_worth_three(result):
    measured = {check.what: check.measured for check in result.checks}
    assert measured["slides' tree: value"] == 3
    assert measured["slides' tree: right guarantees"] == 3
    assert measured["slides' tree: left guarantees"] == 2
    assert measured["slides' tree: leaves, best moves first"] == 3  # of 4 leaves


def test_its_drawing_marks_what_was_pruned(result):
    svg = result.figures[0].html()
    assert all(f">{word}<" in svg for word in ("maximiser", "minimiser", "9"))
    assert "#12926b" in svg  # the principal line
    assert "#808080" in svg  # what alpha-beta did not visit


def test_a_coin_shows_the_papers_game(result):
    """min over p_g of max over D, by a double loop over a finer grid of D."""
    grid = np.linspace(0.001, 0.999, 999)
    best = {}
    for q in np.arange(11) / 10:
        heads = (0.4 * np.log(grid) + q * np.log(1 - grid)).max()
        tails = (0.6 * np.log(grid) + (1 - q) * np.log(1 - grid)).max()
        best[q] = heads + tails
    assert min(best, key=best.__getitem__) == 0.4
    measured = {check.what: check.measured for check in result.checks}
    assert measured["a coin: min over G of max over D"] == pytest.approx(
        min(best.values()), abs=1e-12
    )


@pytest.mark.parametrize(
    "data",
    [
        5,
        [[[[[[[1, 2], 3], 4], 5], 6], 7], 8],
        list(range(1000)),
        {"a $bad_{ \\label <&>": {"\u0001": 1, "\ud800": -1e-7}, "": [1e300, -1e6]},
    ],
)
def test_any_tree_is_drawn(tmp_path, data):
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(data))
    result = game_tree(tree=path, depth=2, trees=1)
    assert result.holds
    for figure in result.figures:
        figure.html().encode()
        assert figure.frames


@pytest.mark.parametrize(
    ("branching", "depth", "leaves"), [(10, 5, "10^5"), (3, 10**9, "3^1000000000")]
)
def test_too_many_leaves_are_refused_in_one_line(branching, depth, leaves):
    with pytest.raises(FrenemyError) as error:
        game_tree(branching=branching, depth=depth)
    assert str(error.value) == f"{leaves} leaves are too many: give at most 20,000"
