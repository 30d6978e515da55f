# Starts local S3 servers on free ports, as many as wanted. Sourced after common.sh and install.sh.
# They live below the work directory, hold their data in memory, and end with the script.
#
#   start_rgw NAME    a single-node Ceph with its S3 gateway; it verifies signatures and policies
#   start_moto NAME   moto_server; broad, but takes any signature
#   start_relay NAME TARGET_URL OPTION...   the fault relay in front of one of them
# Each leaves its address in URL and its process ids in SERVER_PIDS.

OWNER_KEY=pailowner
OWNER_SECRET="owner-secret-$$"
READER_KEY=pailreader
READER_SECRET="reader-secret-$$"

free_port() {
    "$(system_python)" - <<'END'
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])
END
}

# start_process LOG COMMAND...: leaves the process id in STARTED.
start_process() {
    local log=$1
    shift
    setsid "$@" >"$log" 2>&1 </dev/null &
    STARTED=$!
    disown "$STARTED" # its end by our hand is no news
    SERVER_PIDS+=("$STARTED")
}

answers() { curl -s -o /dev/null --max-time 2 "$1"; }

write_ceph_configuration() { # DIRECTORY FSID MON_PORT RGW_PORT
    cat >"$1/ceph.conf" <<END
[global]
fsid = $2
mon host = v1:127.0.0.1:$3
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
run dir = $1/run
admin socket = $1/run/\$name.asok
pid file =
log file = $1/log/\$name.log
crash dir = $1/crash
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.02
paxos min wait = 0.01
osd objectstore = memstore
memstore device bytes = 12884901888
osd class update on start = false
osd crush update on start = false
osd class load list = *
osd class default list = *
rgw frontends = beast endpoint=127.0.0.1:$4 tcp_nodelay=1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw override bucket index max shards = 1
rgw dynamic resharding = false
rgw relaxed s3 bucket names = false
[mon.a]
mon addr = v1:127.0.0.1:$3
mon data = $1/mon
[osd.0]
osd data = $1/osd
[client.rgw.a]
rgw data = $1/rgw
END
}

start_rgw() {
    local home="$WORK/$1" fsid mon_port rgw_port osd_uuid
    mkdir -p "$home"/{run,log,mon,osd,rgw,crash}
    fsid=$(cat /proc/sys/kernel/random/uuid)
    osd_uuid=$(cat /proc/sys/kernel/random/uuid)
    mon_port=$(free_port)
    rgw_port=$(free_port)
    write_ceph_configuration "$home" "$fsid" "$mon_port" "$rgw_port"
    local with=(--conf "$home/ceph.conf") log="$home/log/start"
    {
        monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon_port]" "$home/monmap" &&
            ceph-mon "${with[@]}" -i a --mkfs --monmap "$home/monmap"
    } >"$log" 2>&1 || rgw_failed "$1" "the monitor could not be made"
    start_process "$home/log/mon.out" ceph-mon "${with[@]}" -i a -f
    wait_for 30 timeout 5 ceph "${with[@]}" --connect-timeout 5 mon stat ||
        rgw_failed "$1" "the monitor does not answer"
    {
        timeout 30 ceph "${with[@]}" osd new "$osd_uuid" &&
            timeout 30 ceph "${with[@]}" osd crush add osd.0 1 root=default host=localhost &&
            timeout 30 ceph-osd "${with[@]}" -i 0 --mkfs --osd-uuid "$osd_uuid"
    } >>"$log" 2>&1 || rgw_failed "$1" "the object daemon could not be made"
    start_process "$home/log/osd.out" ceph-osd "${with[@]}" -i 0 -f
    wait_for 30 rgw_osd_is_up "$home" || rgw_failed "$1" "the object daemon does not come up"
    {
        timeout 60 radosgw-admin "${with[@]}" user create --uid=owner --display-name=owner \
            --access-key="$OWNER_KEY" --secret-key="$OWNER_SECRET" &&
            timeout 60 radosgw-admin "${with[@]}" user create --uid=reader --display-name=reader \
                --access-key="$READER_KEY" --secret-key="$READER_SECRET"
    } >>"$log" 2>&1 || rgw_failed "$1" "its users could not be made"
    start_process "$home/log/rgw.out" radosgw "${with[@]}" -n client.rgw.a -f
    RGW_PID=$STARTED
    URL="http://127.0.0.1:$rgw_port"
    wait_for 60 answers "$URL" || rgw_failed "$1" "the gateway does not answer"
}

rgw_osd_is_up() { timeout 5 ceph --conf "$1/ceph.conf" osd stat | grep -q '1 up'; }

rgw_failed() {
    tail -n 3 "$WORK/$1"/log/* >&2
    die "the Ceph gateway did not start: $2"
}

start_moto() {
    local port
    port=$(free_port)
    start_process "$WORK/log/$1" "$TOOLS/venv/bin/moto_server" -H 127.0.0.1 -p "$port"
    URL="http://127.0.0.1:$port"
    wait_for 60 answers "$URL" || {
        tail -3 "$WORK/log/$1" >&2
        die "moto_server does not answer"
    }
}

# s3 COMMAND ARGUMENT...: the owner's view of the server in URL.
s3() {
    AWS_ACCESS_KEY_ID=$OWNER_KEY AWS_SECRET_ACCESS_KEY=$OWNER_SECRET \
        "$(system_python)" "$ROOT/scripts/lib/s3.py" --endpoint-url "$URL" "$@"
}
