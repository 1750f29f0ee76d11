#!/bin/sh
# Does pre-training on text help to tell labels apart?  Trains a small encoder on masked tokens: of novels, Wikipedia and the
# unlabelled texts of the tasks' training parts, then of the latter alone, and for BANKING77, whose texts are few, on with its own
# (Gururangan et al. 2020).  Then, for each task, puts a head on it and on the same model from scratch (same configuration,
# vocabulary, examples and steps).  Each of the two gets the learning rate that is best for it on every tenth training example,
# held out; with that rate it learns under three seeds, and only those six runs see the dev or test part.  BANKING77 is learned from
# 10 and 30 examples an intent, as its authors do, and from all.  Prints one CSV row a run, and the means.
#   sh tools/transfer.sh LITHE DATA OUT [STEPS]     DATA: the folder with lm/ and cls/; OUT: made anew
set -eu
lithe=$1 data=$2 out=$3 steps=${4:-8000}
mkdir "$out"
cd "$out"
masked='--ctx 64 --batch 64 --lr 2e-3 --dtype bf16 --threads 2 --save-every 0'
labelled='--batch 32 --dtype bf16 --threads 2 --eval-every 0 --save-every 0'

# The tables, one example a line (the few of BANKING77 with line ends inside are left out), and what is held out of each.
gzip -dc "$data/cls/sst2/train.tsv.gz" > sst2.tsv
awk 'gsub(/"/, "\"") % 2 == 0 && /,[a-zA-Z_?]+\r?$/' "$data/cls/banking77/train.csv" > banking77.csv
cp "$data/cls/cola/in_domain_train.tsv" cola.tsv
cp "$data/cls/stsb/sts-train.filtered.tsv" stsb.tsv
# FILE HEADER-LINES
split() {
    awk -v head="$2" -v held="held-$1" -v rest="rest-$1" 'NR <= head { print > held; print > rest; next } { print > (NR % 10 ? rest : held) }' "$1"
}
split sst2.tsv 1
split banking77.csv 1
split cola.tsv 0
split stsb.tsv 0

{ awk -F'\t' 'NR > 1 { print $1 }' sst2.tsv
  awk 'NR > 1' banking77.csv | sed 's/,[a-zA-Z_?]*\r*$//; s/^"//; s/"$//'
  cut -f 4 cola.tsv
  cut -f 6-7 stsb.tsv | tr '\t' '\n'; } > domain.txt
gzip -dc "$data/lm/novels/train.txt.gz" > novels.txt
"$lithe" train novels.txt "$data/lm/wikitext-2/valid.txt" domain.txt --arch modernbert --params 1200k --vocab 4096 --steps "$steps" $masked --out general 2> general.log

# The mean of a sequence's rows stands for it.
mkdir start
cp -L general/config.json general/model.safetensors general/tokenizer.json start/
sed -i 's/"classifier_pooling": "cls"/"classifier_pooling": "mean"/' start/config.json
"$lithe" train domain.txt --from start --lr 8e-4 --steps $((steps * 3 / 10)) $masked --out encoder 2> encoder.log

awk 'NR > 1' banking77.csv | sed 's/,[a-zA-Z_?]*\r*$//; s/^"//; s/"$//' > queries.txt
"$lithe" train queries.txt --from encoder --lr 8e-4 --steps $((steps * 3 / 10)) $masked --out encoder-banking77 2> encoder-banking77.log
# The first N examples of each class that are not held out.
few() { awk -v n="$1" 'NR == 1 { print; next } { label = $0; sub(/.*,/, "", label); if (seen[label]++ < n) print }' rest-banking77.csv > "banking77-$1.csv"; }
few 10
few 30

# RUN TRAIN TEST ENCODER RATE SEED, then options of train: the figures of TEST, as eval gives them.  ENCODER none: from scratch
learn() {
    run=$1 train=$2 test=$3 rate=$5 seed=$6
    if [ "$4" = none ]; then from="--config start/config.json --tokenizer start/tokenizer.json"; else from="--from $4"; fi
    shift 6
    "$lithe" train "$train" --valid "$test" $from --lr "$rate" --seed "$seed" "$@" $labelled --out "$run" 2> "$run.log" > "$run.out"
    "$lithe" eval "$run" --task "$test" --json 2> "$run.err"
}

# FIGURE < figures
figure() { sed "s/.*\"$1\"[: ]*//; s/[,}].*//"; }

# NAME ENCODER TABLE HELD WHOLE TEST FIGURE, then options of train: rates by TABLE and HELD, then WHOLE and TEST
compare() {
    name=$1 encoder=$2 table=$3 held=$4 whole=$5 test=$6 figure=$7
    shift 7
    for begin in "$encoder" none; do
        best=-1 chosen=none
        for rate in 3e-4 1e-3 3e-3; do
            value=$(learn "$name-$begin-$rate" "$table" "$held" "$begin" "$rate" 1 "$@" | figure "$figure")
            echo "$name,$begin,$rate,1,held out,$figure,$value"
            if awk "BEGIN { exit !($value > $best) }"; then best=$value chosen=$rate; fi
        done
        for seed in 1 2 3; do
            value=$(learn "$name-$begin-seed$seed" "$whole" "$test" "$begin" "$chosen" "$seed" "$@" | figure "$figure")
            echo "$name,$begin,$chosen,$seed,test,$figure,$value"
        done
    done
}

cls=$data/cls
{ echo task,encoder,rate,seed,part,figure,value
  compare sst2 encoder rest-sst2.tsv held-sst2.tsv sst2.tsv "$cls/sst2/dev.tsv" accuracy --task classify --epochs 2
  compare banking77-10 encoder-banking77 banking77-10.csv held-banking77.csv banking77-10.csv "$cls/banking77/test.csv" accuracy --task classify --epochs 40
  compare banking77-30 encoder-banking77 banking77-30.csv held-banking77.csv banking77-30.csv "$cls/banking77/test.csv" accuracy --task classify --epochs 20
  compare banking77 encoder-banking77 rest-banking77.csv held-banking77.csv banking77.csv "$cls/banking77/test.csv" accuracy --task classify --epochs 10
  compare cola encoder rest-cola.tsv held-cola.tsv cola.tsv "$cls/cola/in_domain_dev.tsv" matthews --task classify --epochs 6
  compare stsb encoder rest-stsb.tsv held-stsb.tsv stsb.tsv "$cls/stsb/sts-dev.filtered.tsv" spearman --task regress --epochs 6
} | tee rows.csv
awk -F, '$5 == "test" { key = $1 "," $2 "," $6; n[key]++; sum[key] += $7; if (n[key] == 1 || $7 < low[key]) low[key] = $7; if ($7 > high[key]) high[key] = $7 }
         END { for (key in n) printf "%s: mean %.4f, %.4f to %.4f\n", key, sum[key] / n[key], low[key], high[key] }' rows.csv | sort
