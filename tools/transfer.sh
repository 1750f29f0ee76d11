#!/bin/sh
# Does pre-training on text help to tell labels apart?  Trains a small encoder on masked tokens of novels and Wikipedia text,
# goes on with the unlabelled texts of the two tasks (their training parts), then puts heads on it for SST-2 (its first 3000
# examples) and BANKING77 (every twelfth) at each of two learning rates; and trains each from scratch with the same
# configuration, vocabulary, data and steps.  Prints one CSV row a run.
#   sh tools/transfer.sh LITHE DATA OUT [STEPS]     DATA: the folder with lm/ and cls/; OUT: made anew
set -eu
lithe=$1 data=$2 out=$3 steps=${4:-5000}
mkdir "$out"
cd "$out"
common='--ctx 64 --batch 64 --lr 2e-3 --dtype bf16 --threads 2 --save-every 0'

gzip -dc "$data/lm/novels/train.txt.gz" > novels.txt
"$lithe" train novels.txt "$data/lm/wikitext-2/valid.txt" --arch modernbert --params 1200k --vocab 4096 --steps "$steps" $common --out general 2> general.log

# The mean of a sequence's rows stands for it; model and vocabulary else as they are.
mkdir start
cp -L general/config.json general/model.safetensors general/tokenizer.json start/
sed -i 's/"classifier_pooling": "cls"/"classifier_pooling": "mean"/' start/config.json
{ gzip -dc "$data/cls/sst2/train.tsv.gz" | awk -F'\t' 'NR > 1 { print $1 }'
  awk 'NR > 1' "$data/cls/banking77/train.csv" | sed 's/,[a-zA-Z_?]*\r*$//; s/^"//; s/"$//'; } > domain.txt
"$lithe" train domain.txt --from start --steps $((steps * 22 / 100)) $common --out encoder 2> encoder.log

gzip -dc "$data/cls/sst2/train.tsv.gz" | head -n 3001 > sst2.tsv
{ head -n 1 "$data/cls/banking77/train.csv"; awk 'NR > 1 && NR % 12 == 2 && gsub(/\"/, "\"") % 2 == 0' "$data/cls/banking77/train.csv"; } > banking77.csv

# NAME TRAIN VALID EPOCHS LR
fine_tune() {
    for begin in pretrained scratch; do
        run=$1-$begin-$5
        if [ "$begin" = pretrained ]; then from="--from encoder"; else from="--config start/config.json --tokenizer start/tokenizer.json"; fi
        "$lithe" train "$2" --valid "$3" --task classify --epochs "$4" --lr "$5" $from --threads 2 --eval-every 0 --save-every 0 --out "$run" 2> "$run.log" > "$run.out"
        echo "$1,$begin,$5,$("$lithe" eval "$run" --task "$3" --json 2> "$run.err" | sed 's/^.*"loss"/"loss"/; s/}$//; s/"//g; s/,/;/g')"
    done
}

echo task,start,lr,figures
for lr in 1e-3 3e-3; do
    fine_tune sst2 sst2.tsv "$data/cls/sst2/dev.tsv" 3 $lr
    fine_tune banking77 banking77.csv "$data/cls/banking77/test.csv" 20 $lr
done
