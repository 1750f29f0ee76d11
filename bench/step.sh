#!/bin/sh
# A sitting: our training step and the peers' in turn, ROUNDS times.
#
#     [PEER_TORCH='COMMAND'] [PEER_LLMC='COMMAND'] sh bench/step.sh [ROUNDS] > rows.csv
#
# A peer's command prints one line with its median (tools/peer_gpt2_torch.py), or
# llm.c's "step N: train loss X (took Y ms)" lines, of which the median without the
# first is taken.  Rows: round,who,seconds per step.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-3}
echo "round,who,seconds"
ours() { build/bench-step gpt2 "$1" 4 256 3 2 | awk -F, 'NR == 2 { print $10 }'; }
for round in $(seq "$rounds"); do
    echo "$round,lithe f32,$(ours f32)"
    [ -z "${PEER_TORCH:-}" ] || echo "$round,torch,$(sh -c "$PEER_TORCH" 2>/dev/null | sed -n 's/.*median \([0-9.]*\) s.*/\1/p')"
    [ -z "${PEER_LLMC:-}" ] || echo "$round,llm.c,$(sh -c "$PEER_LLMC" 2>/dev/null | sed -n 's/.*took \([0-9.]*\) ms.*/\1/p' | tail -n +2 | sort -n | awk '{ t[NR] = $1 } END { printf "%.3f\n", t[int((NR + 1) / 2)] / 1000 }')"
    echo "$round,lithe bf16,$(ours bf16)"
done
