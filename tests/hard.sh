#!/usr/bin/env bash
# The suite under all that must not matter: few cores, many threads, the kernels of older processors,
# other work, the plainest locale, a user without rights. Arguments are pytest's: which tests.
set -uo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d)
trap 'rm -rf "$home"; kill $(jobs -p) 2>/dev/null' EXIT
tests=("$@") table=() failures=0

under() { # what is told of the setting, then the command under which the suite runs
  local name=$1 said
  shift
  echo "== $name"
  SECONDS=0
  said=$("$@" .venv/bin/pytest -p no:cacheprovider -n auto --maxprocesses 4 --dist loadfile "${tests[@]}" | tee >(cat >&2) | tail -n 1)
  [ $? -eq 0 ] || failures=1
  table+=("$(printf '%5d s  %-60s %s' $SECONDS "$name" "$said")")
}
skip() {
  table+=("$(printf '      -  %-60s skipped: %s' "$1" "$2")")
}

name='taskset -c 0, OMP_NUM_THREADS=1, LC_ALL=C'
if command -v taskset >/dev/null; then
  under "$name" env OMP_NUM_THREADS=1 LC_ALL=C taskset -c 0
else
  skip "$name" 'this system has no taskset'
fi

under 'OMP_NUM_THREADS=4, ONEDNN_MAX_CPU_ISA=AVX2' \
  env OMP_NUM_THREADS=4 OMP_WAIT_POLICY=passive ONEDNN_MAX_CPU_ISA=AVX2

for _ in 1 2; do (while :; do :; done) & done
under 'two busy loops, ATEN_CPU_CAPABILITY=avx2' env ATEN_CPU_CAPABILITY=avx2
kill $(jobs -p)

name='not root, ATEN_CPU_CAPABILITY=default'
other=(env ATEN_CPU_CAPABILITY=default HOME="$home")
if [ "$(id -u)" -eq 0 ]; then # as nobody, who may read Python wherever it is, but not write
  chown nobody "$home"
  other=(setpriv --reuid nobody --clear-groups --inh-caps +dac_read_search
    --ambient-caps +dac_read_search "${other[@]}")
fi
if "${other[@]}" .venv/bin/python -c 'import frenemy' 2>/dev/null; then
  under "$name" "${other[@]}"
else
  skip "$name" 'this root cannot become another user who can run .venv'
fi

printf '%s\n' '' "${table[@]}"
exit $failures
