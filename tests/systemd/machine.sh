#!/bin/sh
# Runs systemd as the first process of namespaces of its own, until standard input is closed:
#     machine.sh DIRECTORY COMMAND...
# It has a control group of its own, and of all files only those in DIRECTORY to write to.
set -eu

# The root of what is mounted is the control group that the namespace began in.
control_groups() {
    mount -t tmpfs tmpfs /sys/fs/cgroup # a second cgroup2 right above the first one is refused
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
}

inside() {
    directory=$1
    shift
    mount --make-rprivate /
    mount --bind "$directory" "$directory"
    mount -o remount,bind,ro /
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    mount -t tmpfs -o mode=755 tmpfs /run
    control_groups
    ip link set lo up
    exec "$@"
}

if [ "$1" = --inside ]; then
    shift
    inside "$@"
fi

# Whoever called has made this process mounts of its own.
control_groups
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/domwarden-test-$$
mkdir "$group"
exec 3<&0
(
    echo 0 >"$group/cgroup.procs"
    exec unshare --pid --fork --kill-child --mount-proc --cgroup --mount --uts --ipc --net \
        "$0" --inside "$@" 3<&-
) &
machine=$!
(
    cat <&3 >/dev/null
    kill -KILL "$machine"
) &
wait "$machine" || :
kill $! 2>/dev/null || :
for _ in $(seq 100); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
done
