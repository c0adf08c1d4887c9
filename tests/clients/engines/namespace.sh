#!/bin/sh
# usage: unshare --mount --pid --fork --propagation private namespace.sh
# Prepares the namespaces in which one engine lives, says "ready", and ends with its standard input. As it is pid 1 in
# there, the kernel then kills all that the engine has left running and drops its mounts: also after a killed test run.
set -eu

mount -t proc proc /proc

# Sockets, locks and caches which engines keep at fixed places (/run/containerd/s, /dev/shm/libpod_lock,
# /var/lib/containers/cache): private ones, so that no engine of this host is touched or listened to.
for folder in /run /dev/shm /var/lib/containers; do
  mkdir -p "$folder"
  mount -t tmpfs tmpfs "$folder"
done

# Control groups. The engines want either version, whole: crun refuses the hybrid of both (version 1 with the empty
# version 2 tree at "unified"), and in a bare root file system there may be none at all.
[ -d /sys/fs/cgroup ] || mount -t sysfs sysfs /sys
if mountpoint -q /sys/fs/cgroup/unified; then
  umount /sys/fs/cgroup/unified
fi
kind=$(stat -f -c %T /sys/fs/cgroup)
if [ "$kind" != cgroup2fs ] && ! mountpoint -q /sys/fs/cgroup/devices; then
  controllers=$(sed -n 's/^[1-9][0-9]*:\(..*\):.*/\1/p' /proc/self/cgroup)
  if [ -n "$controllers" ]; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    for controller in $controllers; do
      case $controller in name=*) options=none,$controller ;; *) options=$controller ;; esac
      mkdir "/sys/fs/cgroup/${controller#name=}"
      mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/${controller#name=}"
    done
  else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
fi

# Orphans become children of pid 1: the kernel buries them by itself when their end is ignored.
trap '' CHLD
echo ready
exec cat >/dev/null
