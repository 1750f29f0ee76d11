#!/bin/bash
# Kills a random rank of a run at random moments, 2 to 4 ranks in turn, and resumes the run each time until it ends:
#
#     tests/mpi/kills.sh [KILLS] [SEED]          40 kills, seed 1
#
# After each kill the job must end within 30 seconds with a code other than 0 and leave a checkpoint that is whole; the
# finished run must hold the bytes of one that nobody disturbed.  LITHE names the program, build/lithe by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
lithe=$(realpath "${LITHE:-build/lithe}")
kills=${1:-40} RANDOM=${2:-1} SOON=30
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat README.md docs/*.md > "$work/text.txt"
cd "$work"

run() { mpirun --oversubscribe -n "$@"; }
start() { echo train text.txt --out "$1" -a gpt2 --params 100k --ctx 32 --batch 12 --steps 60 --save-every 6 --eval-every 15 -q --threads 1; }
bad() { echo "FAILED: $*"; sed 's/^/    /' err; exit 1; }
milliseconds() { date +%s%3N; }

# The files of a finished run that must be the same: its last checkpoint, but not its times.
values() { (cd "$1"/ckpt-60 && sha256sum model.safetensors optimizer.safetensors config.json trainer.json); }

for n in 2 3 4; do
    began=$(milliseconds)
    run $n "$lithe" $(start whole$n) 2> err >/dev/null || bad "$n ranks do not train"
    length[$n]=$(($(milliseconds) - began))
    values whole$n > whole$n.sums
    echo "$n ranks undisturbed: ${length[n]} ms"
done

done=0 runs=0 slowest=0
while ((done < kills)); do
    for n in 2 3 4; do
        out=run$runs run_kills=0 runs=$((runs + 1))
        while :; do
            if [ -e $out ]; then what="train --resume $out -q --threads 1"; else what=$(start $out); fi
            mpirun --oversubscribe -n $n "$lithe" $what > out 2> err & job=$!
            moment=$(((RANDOM * 32768 + RANDOM) % length[n] * 3 / 4))
            for ((waited = 0; waited < moment && done < kills; waited += 20)); do
                sleep 0.02
                kill -0 $job 2>/dev/null || break
            done
            victims=($(pgrep -P $job -x lithe || true))
            if ((done < kills && ${#victims[@]})); then
                victim=${victims[RANDOM % ${#victims[@]}]} began=$(milliseconds)
                kill -9 $victim 2>/dev/null || true
                code=0; wait $job || code=$?
                took=$(($(milliseconds) - began))
                if ((code)); then
                    done=$((done + 1)) run_kills=$((run_kills + 1))
                    ((took <= SOON * 1000)) || bad "$n ranks, killed after $moment ms: the job took $took ms to end"
                    ((took <= slowest)) || slowest=$took
                    newest=$({ ls $out 2>/dev/null || true; } | sed -n "s/^ckpt-//p" | sort -n | tail -1)
                    if [ -n "$newest" ]; then "$lithe" inspect $out/ckpt-$newest --check-values > out 2> err || bad "$out/ckpt-$newest is damaged"; fi
                    continue
                fi
            else code=0; wait $job || code=$?; fi
            ((code == 0)) || bad "$n ranks: the run ended with $code"
            ! grep -q "continuing from" err || bad "$out: a checkpoint was damaged"
            [ -e $out/model.safetensors ] && break
        done
        values $out | cmp - whole$n.sums || bad "$n ranks, $run_kills kills: other bytes than the undisturbed run"
        echo "$n ranks, killed $run_kills times, resumed each time: the same bytes ($done of $kills kills)"
        rm -rf $out
        ((done < kills)) || break
    done
done
echo "$done kills in $runs runs: the job always ended, at most $slowest ms later; all runs ended with the same bytes"
