#!/usr/bin/env bash
# The wheel and the source archive, each installed into an empty environment of every Python named
# (python3, unless any is), and the README tried with what was installed there.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d) table=()
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/build"
"$work/build/bin/pip" --disable-pip-version-check install --quiet build
"$work/build/bin/python" -m build --outdir "$work/dist" . >"$work/build.txt" || { cat "$work/build.txt"; exit 1; }

[ $# -gt 0 ] || set -- python3
for python in "$@"; do
  for package in "$work"/dist/*; do
    rm -rf "$work/env" "$work/tried"
    "$python" -m venv "$work/env"
    "$work/env/bin/pip" --disable-pip-version-check install --quiet "$package[features,film]" pytest
    mkdir "$work/tried"
    cp -r README.md CHANGELOG.md CONTRIBUTING.md LICENSE NOTICE docs tests "$work/tried"
    (cd "$work/tried" && "$work/env/bin/pytest" -q --import-mode=importlib tests/test_readme.py)
    table+=("$("$work/env/bin/python" -V) $("$work/env/bin/python" -c 'import torch; print("torch", torch.__version__)') $(basename "$package")")
  done
done
printf '%s\n' '' 'The README was tried with:' "${table[@]}"
