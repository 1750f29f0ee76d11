#!/bin/sh
# Can a small RWKV-7 write a number backwards?  Trains 45.9k parameters (2 layers of 32 channels, heads of 16; the task and the
# size are those of RWKV-LM's demonstration) on lines "12345,54321" of up to 20 random digits, then asks for the reverse of 100
# numbers of 20 digits that it has not seen, greedily, and prints how many digits and numbers are right.
#   sh tools/reversal.sh LITHE OUT [STEPS]     OUT: made anew
set -eu
lithe=$1 out=$2 steps=${3:-6000}
mkdir "$out"
cd "$out"
awk 'BEGIN { srand(7)
    for (i = 0; i < 600000; i++) {
        n = 1 + int(rand() * 20); s = ""; r = ""
        for (k = 0; k < n; k++) { d = int(rand() * 10); s = s d; r = d r }
        print s "," r
    } }' > numbers.txt
awk 'BEGIN { srand(11); for (i = 0; i < 100; i++) { s = ""; for (k = 0; k < 20; k++) s = s int(rand() * 10); print s } }' > questions.txt
cat > config.json <<'C'
{ "model_type": "rwkv7", "vocab_size": 256, "hidden_size": 32, "num_hidden_layers": 2, "head_dim": 16, "intermediate_size": 128, "context_length": 128,
  "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 8 }
C
"$lithe" train numbers.txt --config config.json --tokenizer bytes --ctx 128 --batch 32 --steps "$steps" --lr 4e-3 --min-lr 1e-6 --save-every 0 --threads 2 --out run 2> run.log
tail -n 2 run.log
while read -r number; do
    answer=$(printf '\n%s,' "$number" | "$lithe" generate run - --temperature 0 --max-tokens 20 --no-echo --quiet | tr '\n' '.')
    echo "$number $answer"
done < questions.txt | awk '{
    right = 0
    for (k = 1; k <= 20; k++) right += substr($2, k, 1) == substr($1, 21 - k, 1)
    digits += right; whole += right == 20
} END { printf "%d of %d digits, %d of %d numbers\n", digits, 20 * NR, whole, NR }'
