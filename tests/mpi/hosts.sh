#!/bin/bash
# Hosts on one machine: network namespaces with addresses of their own, joined by a bridge.
#
#     hosts.sh up N          makes hosts lithe1 .. lithe$N, at 10.77.0.1 .. N, on lines without a limit
#     hosts.sh pids I        the processes of host I
#     hosts.sh lose I        takes host I off the network; `hosts.sh find I` puts it back
#     hosts.sh line RATE [LOSS]    every host sends at most RATE (1gbit, 10gbit; 0: no limit) and loses LOSS % of what comes
#     hosts.sh run COUNT ARGS...   mpirun with one rank on each of COUNT hosts
#     hosts.sh down          removes them
#
# LITHE_HOSTS, a short word, names these hosts among those of others (default lithe): their namespaces are lithe-1, ...
# As `hosts.sh` is also what mpirun calls in the place of ssh (plm_rsh_agent), with a host and a command.  It needs root and
# iproute2; netem gives rate and loss where the kernel has it, else tbf and, for loss, nftables.
set -euo pipefail
self=$(realpath "$0")
network=10.77.0 name=${LITHE_HOSTS:-lithe}

host() { ip netns exec "$name-$1" "${@:2}"; }
hosts() { ip netns list | sed -n "s/^$name-\([0-9][0-9]*\).*/\1/p" | sort -n; }
pids() { ip netns pids "$name-$1"; }
lose() { ip link set "$name-p$1" down; }
# It is back when the first host is answered: that nobody listens is an answer.
find() {
    ip link set "$name-p$1" up
    for i in $(seq 50); do
        case $(host 1 timeout 1 bash -c "</dev/tcp/$network.$1/1" 2>&1) in *refused*) return 0 ;; esac
        sleep 0.1
    done
    echo "host $1 does not answer" >&2
    return 1
}

up() {
    down
    ip link add "$name-br" type bridge
    ip link set "$name-br" up
    for i in $(seq "$1"); do
        ip netns add "$name-$i"
        ip link add "$name-p$i" type veth peer name eth0 netns "$name-$i"
        ip link set "$name-p$i" master "$name-br" up
        host $i ip link set lo up
        host $i ip link set eth0 up
        host $i ip addr add "$network.$i/24" dev eth0
    done
}

# A burst of 2 ms is what a kernel with a slow clock needs to reach 10 Gbit/s.
line() {
    local rate=$1 loss=${2:-0} burst limit=
    [ "$rate" = 0 ] || limit="rate $rate"
    for i in $(hosts); do
        host $i tc qdisc del dev eth0 root 2>/dev/null || true
        host $i nft flush ruleset 2>/dev/null || true
        [ "$rate" != 0 ] || [ "$loss" != 0 ] || continue
        if host $i tc qdisc add dev eth0 root netem $limit loss "$loss%" limit 20000 2>/dev/null; then continue; fi
        if [ "$rate" != 0 ]; then
            burst=$((${rate%gbit} * 250))kb
            host $i tc qdisc add dev eth0 root tbf rate "$rate" burst "$burst" latency 20ms
        fi
        if [ "$loss" != 0 ]; then
            host $i nft add table ip lossy
            host $i nft add chain ip lossy in '{ type filter hook input priority 0 ; }'
            host $i nft add rule ip lossy in ip saddr $network.0/24 numgen random mod 10000 '<' "$(awk "BEGIN { print int($loss * 100) }")" drop
        fi
    done
}

run() {
    local count=$1 list= lost="--mca oob_tcp_keepalive_time 10 --mca oob_tcp_keepalive_intvl 5 --mca oob_tcp_keepalive_probes 2"
    for i in $(seq "$count"); do list=$list,$network.$i:1; done
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 host 1 unshare --uts sh -c 'hostname lithe1; exec "$@"' - mpirun -n "$count" --host "${list#,}" --map-by node --bind-to none \
        --mca plm_rsh_agent "$self" $lost --mca btl tcp,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 "${@:2}"
}

down() {
    for i in $(hosts); do
        kill -9 $(pids $i) 2>/dev/null || true
        ip link del "$name-p$i" 2>/dev/null || true
        ip netns del "$name-$i"
    done
    ip link del "$name-br" 2>/dev/null || true
}

case $1 in
up|line|run|down|pids|lose|find) "$@" ;;
*)  # HOST COMMAND..., as from ssh: a name or an address, then words for a shell
    while [[ $1 == -* ]]; do shift; done
    i=${1##*.}
    exec ip netns exec "$name-$i" unshare --uts sh -c "hostname lithe$i; ${*:2}" ;;
esac
