#!/bin/bash
# Runs on several hosts (hosts.sh), which need root: the same bytes on every line, and what happens when a host is lost, a
# rank stops or a disk is full.  LITHE names the program, build/lithe by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LITHE_HOSTS=l$$
lithe=$(realpath "${LITHE:-build/lithe}") hosts=$PWD/tests/mpi/hosts.sh
for tool in ip tc nft mpirun; do
    command -v $tool > /dev/null || { echo "check-mpi needs $tool: apt-get install iproute2 nftables openmpi-bin"; exit 1; }
done
work=$(mktemp -d)
leave() { "$hosts" down; umount "$work/small" 2>/dev/null || true; rm -rf "$work"; }
trap leave EXIT
cat README.md docs/*.md > "$work/text.txt"
cd "$work"

bad() { echo "FAILED: $*"; sed 's/^/    /' err; exit 1; }
options="-a gpt2 --params 200k --ctx 32 --batch 6 --steps 30 --save-every 10 -q --threads 1 --no-sample"
train() { "$hosts" run 3 "$lithe" train "$@" > out 2> err; }
values() { (cd "$1" && sha256sum model.safetensors ckpt-30/optimizer.safetensors | sed 's/ .*//'); }

"$hosts" up 3
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 3 "$lithe" train text.txt $options --out one > out 2> err || bad "three ranks on one host do not train"
for line in "0" "10gbit" "1gbit" "1gbit 1"; do
    "$hosts" line $line
    began=$(date +%s%3N)
    train text.txt $options --out run || bad "three hosts, line $line"
    took=$(($(date +%s%3N) - began))
    values run | cmp - <(values one) || bad "three hosts, line $line: other bytes than three ranks on one host"
    echo "three hosts, line $line: the bytes of three ranks on one host, in $took ms"
    rm -rf run
done
"$hosts" line 0

# WHAT, a command that breaks something once the run has begun, and what must be said.
breaks() {
    train text.txt $options --steps 2M --out "$1" & job=$!
    for i in $(seq 300); do [ -e "$1/ckpt-10" ] && break; sleep 0.1; done
    began=$(date +%s)
    eval "$2"
    code=0; wait $job || code=$?
    took=$(($(date +%s) - began))
    ((code)) || bad "$1: the run ended with 0"
    ((took <= 60)) || bad "$1: it took $took seconds to end the job"
    grep -q "$3" err || bad "$1: the message is not \"$3\""
    echo "$1: after $took seconds, $(grep -m1 "$3" err)"
}
victim() { for p in $("$hosts" pids "$1"); do [ "$(cat /proc/$p/comm)" != lithe ] || echo $p; done; }

breaks stopped 'kill -STOP $(victim 3)' "rank 2 on lithe3 has not answered"
breaks killed 'kill -9 $(victim 2)' "on signal 9"
breaks lost '"$hosts" lose 2' "10.77.0.2\|rank 1 on lithe2"
"$hosts" find 2
steps=$(wc -l < lost/log.jsonl)
train --resume lost & job=$!
for i in $(seq 300); do (($(wc -l < lost/log.jsonl) > steps + 10)) && break; sleep 0.1; done
kill -0 $job || bad "a run that lost a host does not resume"
kill -9 $(victim 1)
wait $job || true

mkdir small
mount -t tmpfs -o size=5m tmpfs small
if train text.txt $options --steps 2M --out small/run; then bad "a full disk is not noticed"; fi
grep -q "rank 0 on lithe1.*disk is full" err || bad "a full disk: the host is not named"
echo "full disk: $(grep -m1 "disk is full" err)"
