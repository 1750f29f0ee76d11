#!/bin/sh
# The main job, on real text: a TokenFormer is trained, grown to twice its parameters
# with its outputs preserved, and trained further; a GPT-2 and an RWKV-7 of the grown size
# get the same compute; all of them are measured and write text.
#
#     run.sh [LITHE]            the program, build/lithe
#
# Each step leaves its result under runs/demo-N by rename, so what is there is
# complete: a run that was interrupted continues, a finished one is left alone and the
# next is N+1.  The lengths below are seconds on this machine; those of GPT-2 and
# RWKV-7 are compute: as many tokens as make the operations of both TokenFormers.
set -eu
cd "$(dirname "$0")/.."
lithe=${1:-build/lithe}
small_time=20s large_time=24s
vocab=2048 ctx=256 batch=4
least_steps=200     # a model that took fewer has not learned enough to be compared
prompt='And the king said unto'
text=runs/kjv/text.txt held_out=runs/kjv/held-out.txt tokenizer=runs/kjv/tokenizer.json
began=$(date +%s) child='' stopped=''

bold='' plain=''
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi

say() { printf '%s\n' "$*" >&2; }
title() { printf '\n%s[%s/6] %s%s\n' "$bold" "$1" "$2" "$plain" >&2; }
leave() { say "$1"; exit "${2:-1}"; }

# A background job ignores SIGINT until it asks for it, so it gets SIGTERM as well.
trap 'stopped=130; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' INT
trap 'stopped=143; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM HUP
trap '[ -z "$stopped" ] || leave "stopped; make run continues from here" "$stopped"' EXIT
check() { [ -z "$stopped" ] || exit; }

# Waits for a background job through signals that are trapped; its exit code in $code.
await() {
    while :; do
        code=0; wait "$1" || code=$?
        kill -0 "$1" 2>/dev/null || return 0
    done
}

# What training prints off a terminal, without its line for each twentieth of the run.
fewer_lines() {
    trap '' INT TERM HUP
    while IFS= read -r line; do
        case $line in *' tok/s  '* | 'try: '*) ;; *) printf '%s\n' "$line" ;; esac
    done
}

follow() {
    if [ -t 2 ]; then
        "$@" >/dev/null & child=$!
        await "$child"
    else
        rm -f "$demo/lines"; mkfifo "$demo/lines"
        fewer_lines <"$demo/lines" >&2 & reader=$!
        "$@" >/dev/null 2>"$demo/lines" & child=$!
        await "$child"; result=$code
        await "$reader"; code=$result
        rm -f "$demo/lines"
    fi
    child=''
    check
    [ "$code" = 0 ] || leave "make run continues from here" "$code"
}

# RUN, and the arguments of a new one.
train() {
    run=$1; shift
    if [ -e "$run/model.safetensors" ]; then say "$run is finished"
    elif [ -d "$run" ]; then follow "$lithe" train --resume "$run"
    else follow "$lithe" train "$text" --valid "$held_out" --ctx $ctx --batch $batch --dtype bf16 --no-sample --out "$run" "$@"
    fi
}

# Whether a model took enough steps to be compared; else it says so.  NAME RUN
few=''
enough() {
    steps=$(grep -c '"flops"' "$2/log.jsonl") || :
    [ "$steps" -lt $least_steps ] || return 0
    few="$few${few:+, }$1 $steps"
    say "only $steps steps: this machine is too slow or too busy for what the $1 learns in this time to mean anything"
}

# ---- figures ---------------------------------------------------------------------

# Sums over the steps of runs: parameters tokens operations seconds bits-per-byte.
sums() {
    for run in "$@"; do cat "$run/log.jsonl"; done | awk '
        function number(key) { return match($0, "\"" key "\": [-+.e0-9]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) + 0 : 0 }
        /"flops"/ { tokens += number("tokens"); operations += number("flops"); seconds += number("seconds") }
        /"bits_per_byte"/ { bits = number("bits_per_byte"); params = number("params") }
        END { printf "%.0f %.0f %.0f %.3f %.4f\n", params, tokens, operations, seconds, bits }'
}

row() {
    name=$1; shift
    sums "$@" | awk -v name="$name" '
        function size(x) { return x < 1e6 ? sprintf("%.0fk", x / 1e3) : sprintf("%.2fM", x / 1e6) }
        { printf "%-24s %10s %8s %8.2f %8.1f %9s %14.4f\n", name, size($1), size($2), $3 / 1e12, $4, size($2 / ($4 > 0 ? $4 : 1)), $5 }'
}

write() {
    printf '\n%s%s writes:%s\n' "$bold" "$1" "$plain"
    "$lithe" generate "$2" "$prompt" --max-tokens 130 --temperature 0.7 --seed 1 --quiet | fold -s -w 76 | sed 's/^/    /; s/ *$//'
}

# ---- the job -----------------------------------------------------------------------

[ -x "$lithe" ] || leave "$lithe is not built; type make"
n=1
while [ -e "runs/demo-$n/done" ]; do n=$((n + 1)); done
demo=runs/demo-$n
took='all of it took'
[ ! -d "$demo/small" ] || { took='this part of it took'; say "$demo continues"; }
mkdir -p "$demo"

title 1 "text: the King James Bible, one verse a line; every twentieth chapter is held out"
if [ ! -d runs/kjv ]; then
    command -v bible >/dev/null || leave "the text is missing; as root: apt-get install bible-kjv bible-kjv-text"
    rm -rf runs/kjv.part; mkdir runs/kjv.part
    bible -f gen1:1-rev22:21 </dev/null | awk -v text=runs/kjv.part/text.txt -v held_out=runs/kjv.part/held-out.txt '
        { chapter = $1; sub(/:.*/, "", chapter); sub(/^[^ ]* /, "") }
        chapter != last { last = chapter; out = ++chapters % 20 ? text : held_out; if (seen[out]++) print "" >out }
        { print >out; verses++ }
        END { exit verses != 31102 }' || { check; leave "bible (of the package bible-kjv) did not print the 31102 verses"; }
    "$lithe" train-tokenizer runs/kjv.part/text.txt --vocab $vocab --out runs/kjv.part/tokenizer.json --quiet
    mv runs/kjv.part runs/kjv
fi
check
say "$(wc -c <$text) bytes to train on, $(wc -c <$held_out) held out; a vocabulary of $vocab tokens, learned from the text"

# Weights start wider than the published 0.02, which is meant for a width of 768: a few runs
# chose these for each model (GPT-2 of 0.02, 0.04, 0.06; TokenFormer of 0.02, 0.05, 0.06).  The learning rate is one.
cat >"$demo/tokenformer.json" <<EOF
{ "model_type": "tokenformer", "vocab_size": $vocab, "max_position_embeddings": $ctx, "num_layers": 3, "hidden_size": 128,
  "num_attention_heads": 4, "qkv_slot_num": 96, "proj_slot_num": 96, "ffn_slot_num": 384, "init_method_std": 0.06 }
EOF
cat >"$demo/rwkv7.json" <<EOF
{ "model_type": "rwkv7", "vocab_size": $vocab, "max_position_embeddings": $ctx, "num_hidden_layers": 5, "hidden_size": 128, "head_dim": 64,
  "decay_low_rank_dim": 32, "a_low_rank_dim": 32, "v_low_rank_dim": 32, "gate_low_rank_dim": 32 }
EOF
cat >"$demo/gpt2.json" <<EOF
{ "model_type": "gpt2", "vocab_size": $vocab, "n_positions": $ctx, "n_layer": 3, "n_embd": 192, "n_head": 6, "n_inner": 704, "initializer_range": 0.04,
  "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0 }
EOF

title 2 "a TokenFormer is trained"
train "$demo/small" --config "$demo/tokenformer.json" --tokenizer $tokenizer --time $small_time --lr 3e-3 --min-lr 1e-3
enough 'small TokenFormer' "$demo/small"

title 3 "it is grown to twice its parameters and trained further"
if [ ! -d "$demo/grown" ] || [ ! -s "$demo/growth.txt" ]; then
    rm -rf "$demo/grown"
    "$lithe" grow "$demo/small" --params 2x --out "$demo/grown" >"$demo/growth.txt"
fi
check
cat "$demo/growth.txt" >&2
say ''
train "$demo/large" --from "$demo/grown" --time $large_time --lr 3e-3 --seed 1
enough 'grown TokenFormer' "$demo/large"

operations=$(sums "$demo/small" "$demo/large" | cut -d' ' -f3)

# How many tokens of a configuration make as many operations.
tokens_of() {
    a_step=$("$lithe" plan "$1" --batch $batch --ctx $ctx --no-ops --json | awk '/"flops"/ { sub(/.*: */, ""); print $0 + 0; exit }')
    awk -v all="$operations" -v step="$a_step" -v size=$((batch * ctx)) 'BEGIN { printf "%.0f", int(all / step + 0.5) * size }'
}

title 4 "a GPT-2 of that size, with the compute of both together"
train "$demo/gpt2" --config "$demo/gpt2.json" --tokenizer $tokenizer --tokens "$(tokens_of "$demo/gpt2.json")" --lr 3e-3
enough GPT-2 "$demo/gpt2"

title 5 "an RWKV-7 of that size, with the same compute"
train "$demo/rwkv7" --config "$demo/rwkv7.json" --tokenizer $tokenizer --tokens "$(tokens_of "$demo/rwkv7.json")" --lr 3e-3
enough RWKV-7 "$demo/rwkv7"

title 6 "side by side"
sh tools/curves.sh "$demo" >"$demo/curves.svg"
{
    [ -z "$few" ] || printf 'This is no comparison: of at least %s steps it needs some models took fewer (%s).\nThe machine is too slow or too busy; make run begins anew when it is idle.\n\n' $least_steps "$few"
    printf '%-24s %10s %8s %8s %8s %9s %14s\n' model parameters tokens TFLOP seconds tokens/s 'bits per byte'
    row 'TokenFormer' "$demo/small"
    row 'TokenFormer, grown' "$demo/small" "$demo/large"
    row 'GPT-2' "$demo/gpt2"
    row 'RWKV-7' "$demo/rwkv7"
} | tee "$demo/table.txt"
{
    write 'TokenFormer, grown,' "$demo/large"
    write 'GPT-2' "$demo/gpt2"
    write 'RWKV-7' "$demo/rwkv7"
} | tee "$demo/texts.txt"
check
rm -f "$demo/report.html" "$demo/cost.jsonl"
for model in large:0,64,128,192 gpt2:0,64,128,192 rwkv7:0,64,128,192,1000,4000; do
    "$lithe" bench "$demo/${model%:*}" --prefill 0 --decode 8 --depth "${model#*:}" --runs 3 --threads 1 --json --quiet >>"$demo/cost.jsonl"
done
check
"$lithe" report "$demo/small" "$demo/large" "$demo/gpt2" "$demo/rwkv7" --cost "$demo/cost.jsonl" --out "$demo/report.html" --title 'A TokenFormer that grows, a GPT-2 and an RWKV-7' --quiet >/dev/null
: >"$demo/done"
cat <<EOF

report in $demo/report.html, curves in $demo/curves.svg; $took $(($(date +%s) - began)) s. Try next:

    $lithe generate $demo/large "In the beginning"
    $lithe train $text --valid $held_out --from $demo/large --lr 1e-3 --time 5m
    $lithe train my.txt
EOF
