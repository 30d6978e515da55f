# Installs what is missing, and only that: Debian packages, and Python tools into .build/tools.
# Sourced after common.sh. A machine that has everything is not touched and needs no network.

BUILD_PACKAGES="pkg-config libfuse3-dev libcurl4-openssl-dev libssl-dev libexpat1-dev libsqlite3-dev"
MOUNT_PACKAGES="fuse3 curl procps python3 python3-venv attr"
RGW_PACKAGES="ceph-mon ceph-osd ceph-common radosgw"

# need_packages PACKAGE...
need_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing ${missing[*]}"
    as_root true 2>/dev/null ||
        die "these packages are missing; install them with: apt-get install ${missing[*]}"
    # A package that brings a service (nginx, ceph) must not start it on this machine.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    else
        policy=""
    fi
    local failed=0 apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
    [ "$(id -u)" = 0 ] || apt=(sudo -n "${apt[@]}")
    limited 300 "${apt[@]}" update -qq >"$WORK/log/apt" 2>&1 &&
        limited 900 "${apt[@]}" install -y -qq --no-install-recommends "${missing[@]}" \
            >>"$WORK/log/apt" 2>&1 || failed=1
    [ -z "$policy" ] || as_root rm -f "$policy"
    if [ $failed = 1 ]; then
        tail -5 "$WORK/log/apt" >&2
        die "apt-get could not install: ${missing[*]}"
    fi
}

need_swift() {
    command -v swift >/dev/null ||
        die "swift is missing; get the Swift 6.3 toolchain for Debian 12 from https://swift.org/install and put it in PATH"
}

need_fuse_device() {
    [ -e /dev/fuse ] || as_root modprobe fuse 2>/dev/null || true
    [ -r /dev/fuse ] && [ -w /dev/fuse ] ||
        die "/dev/fuse is missing or not permitted; in a container add: --device /dev/fuse --cap-add SYS_ADMIN"
}

# need_python_tools DISTRIBUTION...: Python distributions in a virtual environment of our own.
# Sets PYTHON to its interpreter.
need_python_tools() {
    PYTHON="$TOOLS/venv/bin/python3"
    local missing=() distribution
    [ -x "$PYTHON" ] && "$PYTHON" -c '' 2>/dev/null || {
        rm -rf "$TOOLS/venv"
        mkdir -p "$TOOLS"
        limited 120 "$(system_python)" -m venv "$TOOLS/venv" ||
            die "python3 cannot make a virtual environment; apt-get install python3-venv"
    }
    for distribution in "$@"; do
        "$PYTHON" -c "import importlib.metadata as m, sys; m.version(sys.argv[1])" \
            "${distribution%%[*}" 2>/dev/null || missing+=("$distribution")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing ${missing[*]} (Python)"
    limited 600 "$PYTHON" -m pip install -q --disable-pip-version-check "${missing[@]}" \
        >"$WORK/log/pip" 2>&1 || {
        tail -5 "$WORK/log/pip" >&2
        die "pip could not install: ${missing[*]}"
    }
}

# Debian's own interpreter where there is one: it is the one python3-venv belongs to.
system_python() {
    if [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then
        echo /usr/bin/python3
    else
        command -v python3
    fi
}
