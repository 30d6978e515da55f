# Ground for every script: the work directory, time limits, and a cleanup that always runs.
# Sourced, never run. It starts no server and installs nothing.
#
# Everything a script starts carries PAIL_RUN=<work directory> in its environment and puts its files
# and mount points below that directory. That is how the cleanup knows its own: it unmounts what is
# mounted below the directory, ends the processes that carry the mark, and removes the directory.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS="$ROOT/.build/tools"
SERVER_PIDS=()

say() { printf '%s\n' "$*"; }
note() { printf '  %s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# open_work NAME: makes the work directory and promises to clean it up. Called once, first.
open_work() {
    WORK=$(mktemp -d "/tmp/pail-$1.XXXXXX")
    export PAIL_RUN="$WORK"
    export TMPDIR="$WORK/tmp"
    mkdir -p "$TMPDIR" "$WORK/log"
    trap close_work EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Mount points below the work directory, deepest first.
own_mounts() {
    awk -v under="$WORK/" 'index($5, under) == 1 { print length($5), $5 }' /proc/self/mountinfo |
        sort -rn | cut -d' ' -f2- | sed 's/\\040/ /g'
}

# Processes that carry our mark, except this shell. Reads only what this user may read.
own_processes() {
    local environ pid
    for environ in /proc/[0-9]*/environ; do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] && continue
        if { tr '\0' '\n' <"$environ"; } 2>/dev/null | grep -qx "PAIL_RUN=$WORK"; then
            echo "$pid"
        fi
    done
}

# end_processes PID...: asks, waits at most five seconds, then insists.
end_processes() {
    [ $# -gt 0 ] || return 0
    kill -CONT "$@" 2>/dev/null || true
    kill -TERM "$@" 2>/dev/null || true
    local attempt pid alive
    for attempt in $(seq 50); do
        alive=""
        for pid in "$@"; do
            # A zombie has ended; its parent has only not looked yet.
            case "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)" in
            "" | Z) ;;
            *) alive="$alive $pid" ;;
            esac
        done
        [ -n "$alive" ] || return 0
        sleep 0.1
    done
    # shellcheck disable=SC2086
    kill -KILL $alive 2>/dev/null || true
}

close_work() {
    local status=$? mount
    trap '' HUP INT TERM
    trap - EXIT
    set +e
    own_mounts | while read -r mount; do
        timeout 10 fusermount3 -u -z -q "$mount" 2>/dev/null ||
            as_root umount -l "$mount" 2>/dev/null
    done
    # The servers hold nothing worth an orderly end: their data is in memory.
    [ ${#SERVER_PIDS[@]} = 0 ] || kill -KILL "${SERVER_PIDS[@]}" 2>/dev/null
    # shellcheck disable=SC2046
    end_processes $(own_processes)
    rm -rf "$WORK"
    exit "$status"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# limited SECONDS COMMAND...: runs the command under a time limit, and never past $DEADLINE (in the
# shell's SECONDS) where that is set. It waits in the background, so
# that a signal reaches the cleanup at once instead of after the command.
limited() {
    local seconds=$1 status=0
    shift
    if [ -n "${DEADLINE:-}" ] && [ $((DEADLINE - SECONDS)) -lt "$seconds" ]; then
        seconds=$((DEADLINE - SECONDS))
        [ "$seconds" -gt 0 ] || seconds=1
    fi
    timeout --kill-after=10 "$seconds" "$@" <&0 &
    wait $! || status=$?
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        say "time limit: '$*' had not ended after $seconds s" >&2
    fi
    return "$status"
}

# leftovers SERVER_PID...: prints what the steps left behind; the named servers are no leftovers.
# The toolchain's own temporary files are not ours to judge.
leftovers() {
    local pid servers=" $* "
    own_mounts | sed 's/^/mounted: /'
    for pid in $(own_processes); do
        case "$servers" in *" $pid "*) continue ;; esac
        [ -r "/proc/$pid/cmdline" ] || continue
        [ "$(awk '/^PPid/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" = $$ ] && continue
        printf 'running: %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-120)"
    done
    find "$TMPDIR" -mindepth 1 -maxdepth 1 ! -name 'TemporaryDirectory.*' ! -name '*.lock' \
        ! -name 'swift-*' ! -name 'clang-*' ! -name '*.pcm' -printf 'left in the temporary directory: %f\n'
}

# wait_for SECONDS COMMAND...: repeats the command until it succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
