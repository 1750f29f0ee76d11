#!/bin/bash
# Compares the methods of growing: five seeds, three architectures, two texts, at equal compute.
#   studies/growth.sh OUT TEXT TEXT [SEEDS]
# For each text, architecture and seed a small model is trained, then grown by each method in each of its sizes, and all
# continue until they have used the same compute: a model of N parameters takes steps in proportion to 1/N.  "none" is
# the small model trained on, "fresh" the large one from scratch with the compute of both stages.  A line of OUT/record.csv
# is text,architecture,seed,size,method,parameters,steps,bits_per_byte; what is there already is not made again.
# One run is about a minute on one core; the whole protocol is about 500 of them.
set -eu
out=$1 texts="$2 $3" seeds=${4:-5} lithe=${LITHE:-build/lithe}
steps=${STEPS:-1500} batch=8 ctx=64 lr=3e-3
mkdir -p "$out"
record=$out/record.csv
[ -e "$record" ] || echo "text,architecture,seed,size,method,parameters,steps,bits_per_byte" > "$record"

params() { "$lithe" inspect "$1" --json | grep -o '"parameters": *[0-9]*' | head -1 | tr -dc 0-9; }
train() { "$lithe" train "$text" --tokenizer bytes --ctx $ctx --batch $batch --lr $lr --threads 1 -q "$@" >/dev/null; }
bits() { grep -o '"bits_per_byte": *[0-9.]*' "$1/log.jsonl" | tail -1 | tr -dc 0-9.; }
known() { grep -q "^$name,$arch,$seed,$1,$2," "$record"; }

# add SIZE METHOD RUN PARAMETERS STEPS
add() { echo "$name,$arch,$seed,$1,$2,$4,$5,$(bits "$3")" >> "$record"; rm -rf "$3"; }

# continued SIZE METHOD MODEL: the second stage of a grown model, with the compute of the small one's
continued() {
    local n; n=$(params "$3")
    local s=$((steps * small_params / n))
    train --from "$3" --steps $s --seed "$seed" --out "$work/run"
    add "$1" "$2" "$work/run" "$n" $s
}

# grown SIZE METHOD KEYS: grows the small model and trains it on
grown() {
    known "$1" "$2" && return
    rm -rf "$work/grown" "$work/run"
    "$lithe" grow "$work/small" --set "$3" --method "$2" --seed "$seed" --out "$work/grown" -q >/dev/null
    continued "$1" "$2" "$work/grown"
}

# fresh SIZE KEYS: the large model from scratch, with the compute of both stages
fresh() {
    known "$1" fresh && return
    rm -rf "$work/grown" "$work/run"
    "$lithe" grow "$work/small" --set "$2" --out "$work/grown" -q >/dev/null
    local n; n=$(params "$work/grown")
    local s=$((2 * steps * small_params / n))
    train --config "$work/grown/config.json" --steps $s --seed "$seed" --out "$work/run"
    add "$1" fresh "$work/run" "$n" $s
}

study() {
    work=$out/work-$name-$arch-$seed
    mkdir -p "$work"
    [ -e "$work/small" ] || train --arch "$arch" --params 120k --steps $steps --schedule constant --seed "$seed" --out "$work/small"
    small_params=$(params "$work/small")
    if ! known none none; then
        train --from "$work/small" --steps $steps --seed "$seed" --out "$work/run"
        add none none "$work/run" "$small_params" $steps
    fi
    local width inner layers size keys method
    value() { grep -o "\"$1\": *[0-9]*" "$work/small/config.json" | tr -dc 0-9; }
    case $arch in
    tokenformer)
        keys="qkv_slot_num=$((2 * $(value qkv_slot_num))),proj_slot_num=$((2 * $(value proj_slot_num))),ffn_slot_num=$((2 * $(value ffn_slot_num)))"
        for method in A B C D F; do grown slots $method "$keys"; done
        fresh slots "$keys";;
    llama)   width=hidden_size inner=intermediate_size layers=num_hidden_layers;;
    rwkv7)   width=hidden_size inner=intermediate_size layers=num_hidden_layers;;
    esac
    [ "$arch" = tokenformer ] && return
    for size in inner width depth; do
        case $size in
        inner) keys="$inner=$((2 * $(value $inner)))";;
        width) keys="$width=$((2 * $(value $width))),$inner=$((2 * $(value $inner)))";;
        depth) keys="$layers=$((2 * $(value $layers)))";;
        esac
        case $size in depth) set -- duplicate stack interpolate;; *) set -- duplicate clone aki corner;; esac
        for method; do grown $size "$method" "$keys"; done
        fresh $size "$keys"
    done
}

for text in $texts; do
    name=$(basename "$text")
    for seed in $(seq 1 "$seeds"); do
        for arch in tokenformer llama rwkv7; do study; done
    done
done
