#!/usr/bin/env bash
# Makes the corpora and pairs of this folder anew, below the working folder. Takes some minutes.
set -euo pipefail

export OMP_NUM_THREADS=1 # sums are added in one order
threads="--threads 1"
search="--eps 24 --goal severe"
make() { # name, options of the pair before, options of the pair that ships
  local before=made/pairs/$1-before pair=made/pairs/$1 corpus=made/$1
  compd compress --model resnet18 $2 --out "$before" $threads
  compd compress --model resnet18 $3 --out "$pair" $threads
  compd fuzz --pair "$before" $search --seeds 16 --corpus "$corpus" $threads
  compd hunt --pair "$pair" $search --strategy boundary --rounds 1 --seeds 30 --corpus "$corpus" \
    $threads
  python3 - "$corpus" "$pair" <<'PYTHON'
import sys

from compd import Corpus, Pair, Splits, load_data
from compd.gating import Accepted, Baseline, Policy, Status, baseline_of, gate, record_search

corpus, pair = Corpus(sys.argv[1]), Pair.load(sys.argv[2])
result = gate(pair, corpus, Baseline(), Policy(only_replay=True))
reason = "in the strip along the boundary that every compressed network has (docs/repair.md)"
accepted = [Accepted.of(one.record, reason) for one in result.of(Status.NEW)]
path = baseline_of(corpus.directory)
Baseline(accepted).save(path)
record_search(pair, corpus, path, Splits(load_data(pair.spec.data)))
PYTHON
  compd gate --corpus "$corpus" --pair "$pair"
}
make digits-int8 "--compress ptq" "--compress qat"
make digits-pruned "--compress prune --amount 0.9" "--compress prune --amount 0.75"
