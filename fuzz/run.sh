#!/usr/bin/env bash
# Fuzz each target for SECONDS (or the targets named behind it); a line of figures each.
# RUNS=n ends a target after n executions, JOBS=n runs n at once, FOUND=folder keeps what is
# interesting between runs, TIMEOUT=s allows an input so long (2). What breaks a target is left in
# fuzz/artifacts (ARTIFACTS=folder).
set -uo pipefail
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
artifacts=${ARTIFACTS:-$here/artifacts}
mkdir -p "$artifacts"
logs=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # in memory: inputs are files, too
trap 'rm -rf "$logs"' EXIT
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <("$python" "$here/drive.py")

figure() { # LOG NAME: the last number behind a name
  grep -o "$2:\? *[0-9]\+" "$1" | tail -1 | grep -o '[0-9]\+$' || echo -
}

fuzz() { # TARGET
  local target=$1 log=$logs/$1 status skipped result=ok
  local options=(-max_total_time="$seconds" -timeout="${TIMEOUT:-2}"
    -artifact_prefix="$artifacts/$target-")
  [ -z "${RUNS:-}" ] || options+=(-runs="$RUNS")
  if [ -n "${FOUND:-}" ]; then
    mkdir -p "$FOUND/$target"
    options+=("$FOUND/$target")
  fi
  TMPDIR="$logs" "$python" "$here/drive.py" "$target" "${options[@]}" >"$log" 2>&1
  status=$?
  if skipped=$(grep -m1 '^skipped: ' "$log"); then
    printf '%-16s %s\n' "$target" "$skipped"
    return
  fi
  if [ $status -ne 0 ]; then
    touch "$logs/failed"
    result="FAILED ($status): $(grep -m1 -E '^(SUMMARY|[A-Za-z]*(Error|Broken|Exception):)' "$log" | cut -c1-120)"
    cp "$log" "$artifacts/$target.log"
  fi
  printf '%-16s %9s %7s %6s %6s %8s %8s  %s\n' "$target" \
    "$(figure "$log" number_of_executed_units)" "$(figure "$log" average_exec_per_sec)" \
    "$(figure "$log" cov)" "$(figure "$log" ft)" "$(figure "$log" peak_rss_mb)" \
    "$(figure "$log" slowest_unit_time_sec)" "$result"
}

printf '%-16s %9s %7s %6s %6s %8s %8s  %s\n' target runs exec/s cov ft peak-MB slowest-s result
for target in "${targets[@]}"; do
  while (($(jobs -rp | wc -l) >= ${JOBS:-1})); do wait -n || true; done
  fuzz "$target" &
done
wait
[ ! -e "$logs/failed" ]
