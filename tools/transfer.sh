#!/bin/sh
# Does pre-training on text help to tell labels apart?  Trains a small encoder on masked tokens of some novels and Wikipedia
# text, then puts heads on it for SST-2 and BANKING77 (their first examples) at each of three learning rates, CoLA and STS-B;
# and trains each from scratch with the same configuration, vocabulary, data and steps.  Prints one CSV row a run.
#   sh tools/transfer.sh LITHE DATA OUT [STEPS]     DATA: the folder with lm/ and cls/; OUT: made anew
set -eu
lithe=$1 data=$2 out=$3 steps=${4:-5000}
mkdir "$out"
cd "$out"

gzip -dc "$data/lm/novels/train.txt.gz" > novels.txt
"$lithe" train novels.txt "$data/lm/wikitext-2/valid.txt" --arch modernbert --params 1200k --vocab 4096 --ctx 64 --batch 64 --steps "$steps" \
    --lr 2e-3 --dtype bf16 --threads 2 --save-every 0 --out encoder 2> encoder.log
grep -v ' lr ' encoder.log >&2

gzip -dc "$data/cls/sst2/train.tsv.gz" | head -n 3001 > sst2.tsv
{ head -n 1 "$data/cls/banking77/train.csv"; awk 'NR > 1 && NR % 3 == 2 && gsub(/\"/, "\"") % 2 == 0' "$data/cls/banking77/train.csv"; } > banking77.csv

# NAME TRAIN VALID TASK EPOCHS LR
fine_tune() {
    for start in pretrained scratch; do
        run=$1-$start-$6
        if [ "$start" = pretrained ]; then from="--from encoder"; else from="--config encoder/config.json --tokenizer encoder/tokenizer.json"; fi
        "$lithe" train "$2" --valid "$3" --task "$4" --epochs "$5" --lr "$6" $from --threads 2 --eval-every 0 --save-every 0 --out "$run" 2> "$run.log" > "$run.out"
        echo "$1,$start,$6,$("$lithe" eval "$run" --task "$3" --json | sed 's/^.*"loss"/"loss"/; s/}$//; s/"//g; s/,/;/g')"
    done
}

echo task,start,lr,figures
for lr in 3e-4 1e-3 3e-3; do
    fine_tune sst2 sst2.tsv "$data/cls/sst2/dev.tsv" classify 3 $lr
    fine_tune banking77 banking77.csv "$data/cls/banking77/test.csv" classify 6 $lr
done
fine_tune cola "$data/cls/cola/in_domain_train.tsv" "$data/cls/cola/in_domain_dev.tsv" classify 2 1e-3
fine_tune stsb "$data/cls/stsb/sts-train.filtered.tsv" "$data/cls/stsb/sts-dev.filtered.tsv" regress 3 1e-3
