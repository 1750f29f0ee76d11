#!/bin/bash
# Several ranks against one process, and on lines of several speeds (docs/scaling.md).
#
#     bench/ranks.sh machine [ROUNDS [STEPS [BATCH [CTX [DTYPE]]]]]     2 ranks of one thread and one process of 2 threads in turn
#     bench/ranks.sh lines [HOSTS [PARAMS [STEPS [BATCH [CTX]]]]]       hosts as network namespaces; needs root
#
# Rows: model, who, seconds per step (median without the first), seconds of it that rank 0 waited.  LITHE names the program.
set -euo pipefail
cd "$(dirname "$0")/.."
export LITHE_HOSTS=b$$
lithe=$(realpath "${LITHE:-build/lithe}") hosts=$PWD/tests/mpi/hosts.sh
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
trap '[ "${mode:-}" != lines ] || "$hosts" down; rm -rf "$work"' EXIT
cat README.md docs/*.md > "$work/text.txt"
cd "$work"
cat > gpt2.json <<'END'
{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "tie_word_embeddings": true}
END

# NAME: the median of that number in the steps of run's log, without the first step.
median() { sed -n 's/.*"loss".*"'"$1"'": \([0-9.e+-]*\).*/\1/p' run/log.jsonl | tail -n +2 | sort -g | awk '{ x[NR] = $1 } END { printf "%.4f", x[int((NR + 1) / 2)] }'; }
row() { echo "$1,$2,$(median seconds),$(grep -q waited run/log.jsonl && median waited || echo 0)"; rm -rf run; }
train() { "$@" -q --no-sample --eval-every 0 --save-every 0 --out run > out 2> err || { cat err >&2; exit 1; }; }

machine() {
    local rounds=${1:-3} steps=${2:-4} size="--batch ${3:-8} --ctx ${4:-512} --dtype ${5:-f32}" model
    for round in $(seq "$rounds"); do
        for model in "gpt2 --config gpt2.json" "rwkv7 --params 124M"; do
            what="$lithe train text.txt --tokenizer bytes --arch $model --steps $steps $size"
            train $what --threads 2; row "${model%% *}" "2 threads"
            train mpirun -n 2 --bind-to none $what --threads 1; row "${model%% *}" "2 ranks"
        done
    done
}

lines() {
    local count=${1:-2} params=${2:-10M} steps=${3:-12} batch=${4:-8} ctx=${5:-256} line wire
    "$hosts" up "$count"
    for line in 0 10gbit 1gbit "1gbit 0.1"; do
        "$hosts" line $line
        for wire in f32 bf16; do
            train "$hosts" run "$count" "$lithe" train text.txt --tokenizer bytes --arch gpt2 --params "$params" --batch "$batch" --ctx "$ctx" --steps "$steps" --threads 1 --wire $wire
            row "gpt2 $params" "$count hosts; $line; $wire"
        done
    done
}

mode=${1:-machine}
echo "model,who,seconds,waited"
"$mode" "${@:2}"
