# Shared by the scripts of deploy/local, tests/run and .ci/run; sourced, never run.
# Knows where the local stack keeps its state, which of its processes run, and how to install.

FX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# Always the checkout's own: an FX_STATE left in the shell by another checkout's env must not count.
FX_STATE=$FX_ROOT/.local
KAFKA_DIR=$FX_STATE/kafka
PG_DIR=$FX_STATE/pg
LOG_DIR=$FX_STATE/log
PG_BIN=/usr/lib/postgresql/15/bin

say() { echo "${0##*/}: $*" >&2; }
# die CODE TEXT: exit codes as in the programs: 2 usage, 3 a person must decide, 4 not reachable.
die() { local code=$1; shift; say "$*"; exit "$code"; }

# One up or down at a time; the servers must not inherit descriptor 9 (see 9>&- where they start).
lock_state() {
    mkdir -p "$FX_STATE" "$LOG_DIR"
    exec 9>"$FX_STATE/lock"
    flock -w 180 9 || die 4 "another up or down has held $FX_STATE/lock for three minutes"
}

# ---- processes -------------------------------------------------------------------------------

# A pid file alone proves nothing: after a reboot its number may be anybody's.
kafka_pid() {
    local pid
    pid=$(cat "$KAFKA_DIR/pid" 2>/dev/null) && [[ -n $pid ]] || return 1
    # -z: the arguments in cmdline end in NUL.
    grep -qzxF -- "$KAFKA_DIR/server.properties" "/proc/$pid/cmdline" 2>/dev/null || return 1
    echo "$pid"
}

# Every server process of PostgreSQL works in its data directory, so the directory finds them all,
# orphans of a killed postmaster included.
pg_processes() {
    local data link
    data=$(readlink -f "$PG_DIR")/data
    for link in /proc/[0-9]*/cwd; do
        [[ $(readlink "$link" 2>/dev/null) == "$data" ]] || continue
        link=${link#/proc/}
        echo "${link%/cwd}"
    done
}

pg_pid() {
    local pid
    pid=$(head -n 1 "$PG_DIR/data/postmaster.pid" 2>/dev/null) && [[ -n $pid ]] || return 1
    # All of it is read: a grep that leaves early would fail the pipe under pipefail.
    [[ $'\n'$(pg_processes)$'\n' == *$'\n'"$pid"$'\n'* ]] || return 1
    echo "$pid"
}

# PostgreSQL refuses to run as root.
as_pg() {
    if [[ $EUID -eq 0 ]]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# The ports of what runs are those it was last started with, not those asked for now.
kafka_port() {
    sed -n 's/^advertised.listeners=.*:\([0-9]*\)$/\1/p' "$KAFKA_DIR/server.properties"
}
pg_port() { sed -n 's/^port = //p' "$PG_DIR/data/postgresql.conf"; }

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
kafka_ready() { port_answers "$1" && grep -q 'Kafka Server started' "$LOG_DIR/kafka.log"; }
pg_ready() { "$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "$1" -t 2; }

stack_is_up() {
    kafka_pid >/dev/null && kafka_ready "$(kafka_port)" &&
        pg_pid >/dev/null && pg_ready "$(pg_port)"
}

# wait_for SECONDS COMMAND...: polls ten times a second.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# ---- installing ------------------------------------------------------------------------------

fx_packages() { # SECTION...
    local section
    for section in "$@"; do
        sed -n "s/^$section //p" "$FX_ROOT/deploy/local/packages"
    done | tr ' ' '\n'
}

fx_missing() { # SECTION...
    local package
    command -v dpkg-query >/dev/null || return 0
    for package in $(fx_packages "$@"); do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            echo "$package"
    done
}

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

fx_install() { # SECTION...
    local missing conf=/etc/postgresql-common/createcluster.conf log=$FX_STATE/log/apt.log
    mapfile -t missing < <(fx_missing "$@")
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die 4 "no apt-get here; install by hand: ${missing[*]}"
    [[ $EUID -eq 0 ]] || command -v sudo >/dev/null ||
        die 4 "neither root nor sudo; as root run: apt-get install ${missing[*]}"
    say "installing ${missing[*]} (log: $log)"
    mkdir -p "$FX_STATE/log"
    # The stack has a cluster of its own: Debian's main cluster would only occupy port 5432.
    if [[ " ${missing[*]} " == *" postgresql-15 "* && ! -e $conf ]]; then
        as_root mkdir -p "${conf%/*}"
        echo "create_main_cluster = false" | as_root tee "$conf" >/dev/null
    fi
    {
        as_root apt-get update -q &&
            as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
                apt-get install -q -y --no-install-recommends \
                -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 "${missing[@]}"
    } >"$log" 2>&1 </dev/null || {
        tail -n 5 "$log" >&2
        die 4 "apt-get could not install ${missing[*]}; see $log"
    }
}
