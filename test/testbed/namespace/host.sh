#!/bin/bash
# host.sh BED NAME ADDRESS UID GID: inside fresh mount, network and UTS namespaces, makes a machine of them:
# plugged into the bed's switch, with its own name, files and, in the end, processes.
set -e
bed=$1 name=$2 address=$3 uid=$4 gid=$5
here=$(dirname "$0")
folder=$bed/$name

hostname "$name"
ip link set lo up
# A machine that is switched off and on keeps its address on the wire, and its neighbours need not learn another.
# shellcheck disable=SC2046
mac=$(printf '02:00:%02x:%02x:%02x:%02x' $(echo "$address" | tr . ' '))
ip link add name eth0 address "$mac" type veth peer name "$name" netns 1
ip addr add "$address/24" dev eth0
ip link set eth0 up multicast on
ip route add 224.0.0.0/4 dev eth0
nsenter --target 1 --net ip link set "$name" master br0 up

# Own /run and /tmp, so that two hosts may use the same path for different things.
mount --bind "$folder/run" /run
mount --bind "$folder/tmp" /tmp
# Its own name must resolve without a resolver, and the resolver must say no at once: libvirt asks at each step.
resolv=$(readlink -m /etc/resolv.conf)
[ -e "$resolv" ] || { mkdir -p "$(dirname "$resolv")" && : >"$resolv"; }
mount --bind "$folder/etc/hosts" /etc/hosts
mount --bind "$folder/etc/resolv.conf" "$resolv"
mount -t sysfs sys /sys 2>/dev/null || true
if [ "$uid" = 0 ]; then
  for part in etc var/lib var/cache var/log; do
    mkdir -p "/$part/libvirt" "$folder/$part/libvirt"
    mount --bind "$folder/$part/libvirt" "/$part/libvirt"
  done
fi
exec unshare --pid --fork --kill-child=KILL -- "$here/init.sh" "$folder" "$uid" "$gid"
