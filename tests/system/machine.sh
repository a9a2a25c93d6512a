#!/usr/bin/env bash
# A small Debian with a real systemd, for tests/system/machine.rs.
#
#   machine.sh root DIR        makes the root file system that machines are copied from; once
#   machine.sh boot NAME DIR   boots a copy, in the foreground: its own network, processes and cgroup
#
# Debian comes from the mirror that this host's own apt uses.
set -euo pipefail
# What the packages need to be tested: sudo for the operators, man-db since it looks at what is installed.
PACKAGES=systemd,systemd-sysv,dbus,sudo,man-db
# Another list or another release is another root.
SUITE=bookworm

fail() {
    printf 'machine: %s\n' "$*" >&2
    exit 1
}

mirror() {
    local found
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    [ -n "$found" ] || fail "apt names no mirror: mend /etc/apt/sources.list"
    found=${found%/}
    case $found in *-security*) found=${found%-security*} ;; esac
    echo "$found"
}

root() {
    local dir=$1 mark
    mark="$SUITE $PACKAGES"
    mkdir -p "$(dirname "$dir")"
    exec 9>"$dir.lock"
    flock 9
    [ "$(cat "$dir.mark" 2>/dev/null)" = "$mark" ] && return
    rm -rf "$dir" "$dir.mark"
    debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$dir" "$(mirror)" >"$dir.log" 2>&1 ||
        fail "debootstrap: $(tail -n 5 "$dir.log")"
    # Nothing but the packages' own units shall work in there, and nothing shall look for the network.
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer systemd-networkd-wait-online.service; do
        ln -sf /dev/null "$dir/etc/systemd/system/$unit"
    done
    # A minimal Debian names nothing by itself.
    echo "127.0.0.1 localhost" >"$dir/etc/hosts"
    rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/*
    echo "$mark" >"$dir.mark"
}

# Without a cgroup of its own a machine would share its units' cgroups with the next one.
enter_own_cgroup() {
    local name=$1 tree
    for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$tree/cgroup.procs" ] || continue
        mkdir -p "$tree/$name"
        echo $$ >"$tree/$name/cgroup.procs"
    done
}

boot() {
    local name=$1 dir=$2
    enter_own_cgroup "$name"
    exec systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --link-journal=no \
        --resolv-conf=off --timezone=off --machine="$name" --directory="$dir" </dev/null
}

[ "$(id -u)" = 0 ] || fail "run as root: a machine needs it"
case ${1:-} in
root) root "$2" ;;
boot) boot "$2" "$3" ;;
*) fail "say root DIR, or boot NAME DIR" ;;
esac
