#!/bin/sh
# Boots a systemd as the first process of namespaces of its own, on a root of its own over this
# one's programs. Only what is mounted here can be seen after.
# usage: machine.sh SLUG NAME DIRECTORY
#   SLUG       its cgroup in each hierarchy, the root that it sees
#   DIRECTORY  units/ that the system comes with, containerd.toml, console to write to
set -eu
if [ $# = 3 ]; then
  slug=$1
  shift
  hierarchies=/sys/fs/cgroup/*/
  # Version 2 alone: one hierarchy, and what is below are cgroups.
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then hierarchies=/sys/fs/cgroup; fi
  for hierarchy in $hierarchies; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$slug"
    if [ "$hierarchy" != /sys/fs/cgroup ] && [ -e "$hierarchy/$slug/cpuset.cpus" ]; then
      cat "$hierarchy/cpuset.cpus" >"$hierarchy/$slug/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" >"$hierarchy/$slug/cpuset.mems"
    fi
    echo $$ >"$hierarchy/$slug/cgroup.procs"
  done
  exec unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child=KILL --mount-proc \
    sh "$0" "$@"
fi
name=$1 directory=$2
root=$directory/root
hostname "$name"
mkdir -p "$root"
# The disk alone: none of the mounts of clusters that run beside this one.
mount --bind / "$root"
checkout=$(cd "$(dirname "$0")/../.." && pwd)
if [ "$(stat -c %d "$checkout")" != "$(stat -c %d /)" ]; then mount --rbind "$checkout" "$root$checkout"; fi
mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
cd "$root/mnt"
mkdir etc.upper etc.work units old settings
cp -a "$directory"/units/. units/
mount -t overlay -o "lowerdir=/etc,upperdir=$root/mnt/etc.upper,workdir=$root/mnt/etc.work" overlay "$root/etc"
mount -t tmpfs -o mode=755 tmpfs "$root/etc/systemd"
mkdir "$root/etc/systemd/system"
# Programs of System V would be started at boot.
mount -t tmpfs tmpfs "$root/etc/init.d"
rm -rf "$root"/etc/pilothouse* "$root"/etc/default/pilothouse* "$root"/etc/cni "$root"/etc/containerd
mkdir "$root/etc/containerd"
cp "$directory/containerd.toml" "$root/etc/containerd/config.toml"
mount --bind units "$root/usr/lib/systemd/system"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
touch "$root/dev/console"
mount --bind "$directory/console" "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"

# The kernel's settings are the host's, but for those of the network.
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys/net" settings
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --move settings "$root/proc/sys/net"

mount -t sysfs sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  while read -r _ _ _ _ point _; do
    case $point in /sys/fs/cgroup/*) ;; *) continue ;; esac
    controllers=${point##*/}
    mkdir -p "$root$point"
    case $controllers in
      unified) mount -t cgroup2 cgroup2 "$root$point" ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup "$root$point" ;;
      *) mount -t cgroup -o "$controllers" cgroup "$root$point" ;;
    esac
  done </proc/self/mountinfo
fi

for private in var run tmp; do mount -t tmpfs -o mode=755 tmpfs "$root/$private"; done
chmod 1777 "$root/tmp"
mkdir -p "$root/var/lib" "$root/var/log" "$root/var/tmp" "$root/run/lock"
chmod 1777 "$root/var/tmp"
# A checkout below one of these would be hidden by them.
case $checkout in
  /var/* | /run/* | /tmp/*)
    mkdir -p "$root$checkout"
    mount --rbind "$checkout" "$root$checkout"
    ;;
esac
ln -s /run "$root/var/run"

cd "$root"
pivot_root . mnt/old
umount -l /mnt/old
exec /usr/bin/env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=multi-user.target --log-target=journal-or-kmsg --show-status=no
