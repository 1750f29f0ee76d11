#!/bin/sh
# Does pre-training on text help to tell labels apart?  Trains a small encoder on masked tokens: of novels, Wikipedia and the
# unlabelled texts of the tasks' training parts, then of the latter alone.  Then, for each task, puts a head on it and on the
# same model from scratch (same configuration, vocabulary, examples and steps).  Each of the two gets the learning rate that is
# best for it on every tenth training example, held out; with that rate it learns all training examples under three seeds,
# and only those six runs see the dev or test part.  Prints one CSV row a run, and the means.
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
"$lithe" train domain.txt --from start --steps $((steps * 3 / 10)) $masked --out encoder 2> encoder.log

# RUN TRAIN TEST START RATE SEED, then options of train: the figures of TEST, as eval gives them
learn() {
    run=$1 train=$2 test=$3 rate=$5 seed=$6
    if [ "$4" = pretrained ]; then from="--from encoder"; else from="--config start/config.json --tokenizer start/tokenizer.json"; fi
    shift 6
    "$lithe" train "$train" --valid "$test" $from --lr "$rate" --seed "$seed" "$@" $labelled --out "$run" 2> "$run.log" > "$run.out"
    "$lithe" eval "$run" --task "$test" --json 2> "$run.err"
}

# FIGURE < figures
figure() { sed "s/.*\"$1\"[: ]*//; s/[,}].*//"; }

# NAME TABLE TEST FIGURE, then options of train
compare() {
    name=$1 table=$2 test=$3 figure=$4
    shift 4
    for begin in pretrained scratch; do
        best=-1 chosen=none
        for rate in 3e-4 1e-3 3e-3; do
            value=$(learn "$name-$begin-$rate" "rest-$table" "held-$table" "$begin" "$rate" 1 "$@" | figure "$figure")
            echo "$name,$begin,$rate,1,held out,$figure,$value"
            if awk "BEGIN { exit !($value > $best) }"; then best=$value chosen=$rate; fi
        done
        for seed in 1 2 3; do
            value=$(learn "$name-$begin-seed$seed" "$table" "$test" "$begin" "$chosen" "$seed" "$@" | figure "$figure")
            echo "$name,$begin,$chosen,$seed,test,$figure,$value"
        done
    done
}

{ echo task,start,rate,seed,part,figure,value
  compare sst2 sst2.tsv "$data/cls/sst2/dev.tsv" accuracy --task classify --epochs 2
  compare banking77 banking77.csv "$data/cls/banking77/test.csv" accuracy --task classify --epochs 10
  compare cola cola.tsv "$data/cls/cola/in_domain_dev.tsv" matthews --task classify --epochs 6
  compare stsb stsb.tsv "$data/cls/stsb/sts-dev.filtered.tsv" spearman --task regress --epochs 6
} | tee rows.csv
awk -F, '$5 == "test" { key = $1 "," $2 "," $6; n[key]++; sum[key] += $7; if (n[key] == 1 || $7 < low[key]) low[key] = $7; if ($7 > high[key]) high[key] = $7 }
         END { for (key in n) printf "%s: mean %.4f, %.4f to %.4f\n", key, sum[key] / n[key], low[key], high[key] }' rows.csv | sort
