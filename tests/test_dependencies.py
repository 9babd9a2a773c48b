"""What the package imports is what it asks for when it is installed."""

import ast
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def imported(nodes):
    """Names of packages that are not Python's own, nor frenemy."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return {name.partition(".")[0] for name in found} - {"frenemy", *sys.stdlib_module_names}


def asked_for(requirements):
    return {re.split("[^A-Za-z0-9._-]", line)[0].lower() for line in requirements}


def modules():
    return [ast.parse(path.read_text("utf-8")) for path in (ROOT / "src").rglob("*.py")]


def test_what_is_imported_with_the_package_is_installed_with_it():
    needed = set().union(*(imported(module.body) for module in modules()))
    owners = packages_distributions()
    core = asked_for(PROJECT["dependencies"])
    missing = {name for name in needed if not core & {owner.lower() for owner in owners[name]}}
    assert "torch" in needed and not missing


def test_what_is_imported_where_it_is_used_comes_with_an_extra():
    needed = set().union(*(imported(ast.walk(module)) for module in modules()))
    extras = (lines for name, lines in PROJECT["optional-dependencies"].items() if name != "test")
    known = asked_for([*PROJECT["dependencies"], *(line for lines in extras for line in lines)])
    owners = {**packages_distributions(), "umap": ["umap-learn"]}  # which the tests do without
    missing = {name for name in needed if not known & {owner.lower() for owner in owners[name]}}
    assert not missing


def test_the_lowest_versions_allowed_are_those_that_the_suite_is_run_with():
    pinned = dict(
        re.fullmatch(r"([\w.-]+)==([\d.]+)", line).groups()
        for line in (ROOT / "tests/lowest.txt").read_text("utf-8").splitlines()[1:]
    )
    asked = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {
        name.lower(): version
        for line in itertools.chain(*asked)
        for name, version in re.findall(r"^([\w.-]+)(?:\[.*\])?[=>]=([\d.]+)", line)
    }
    for linter in ("import-linter", "pyright", "ruff"):  # whose newest is run, and by us alone
        del wanted[linter]
    assert pinned.keys() == wanted.keys()
    for name, version in pinned.items():
        assert f"{version}.".startswith(f"{wanted[name]}."), name


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
