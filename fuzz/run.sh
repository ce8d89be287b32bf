#!/usr/bin/env bash
# Fuzz each target for SECONDS (or the targets named behind it); a line of figures each.
# RUNS=n ends a target after n executions, FOUND=folder keeps what is interesting between runs.
set -uo pipefail
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="${PYTHONPATH:-$here/..}"
python=${PYTHON:-python}
artifacts=${ARTIFACTS:-$here/artifacts}
mkdir -p "$artifacts"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <("$python" "$here/drive.py")

figure() { # the last number behind a name in the log
  grep -o "$1:\? *[0-9]\+" "$log" | tail -1 | grep -o '[0-9]\+$' || echo -
}

failed=0
printf '%-16s %9s %7s %6s %6s %8s %8s  %s\n' target runs exec/s cov ft peak-MB slowest-s result
for target in "${targets[@]}"; do
  options=(-max_total_time="$seconds" -artifact_prefix="$artifacts/$target-" -verbosity=1)
  [ -z "${RUNS:-}" ] || options+=(-runs="$RUNS")
  if [ -n "${FOUND:-}" ]; then
    mkdir -p "$FOUND/$target"
    options+=("$FOUND/$target")
  fi
  # a target that stops itself leaves its status here; what it prints is looked at below
  "$python" "$here/drive.py" "$target" "${options[@]}" >"$log" 2>&1
  status=$?
  if skipped=$(grep -m1 '^skipped: ' "$log"); then
    printf '%-16s %s\n' "$target" "$skipped"
    continue
  fi
  result=ok
  if [ $status -ne 0 ]; then
    failed=1
    result="FAILED ($status): $(grep -m1 -E '^(SUMMARY|[A-Za-z]*(Error|Broken|Exception):)' "$log" | cut -c1-120)"
    cp "$log" "$artifacts/$target.log"
  fi
  printf '%-16s %9s %7s %6s %6s %8s %8s  %s\n' "$target" \
    "$(figure number_of_executed_units)" "$(figure average_exec_per_sec)" "$(figure cov)" \
    "$(figure ft)" "$(figure peak_rss_mb)" "$(figure slowest_unit_time_sec)" "$result"
done
exit $failed
