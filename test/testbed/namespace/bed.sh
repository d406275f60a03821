#!/bin/bash
# PID 1 of a bed: a switch (br0) and the hosts plugged into it, each started by a line on standard input:
#   host NAME ADDRESS
# Ends, and everything with it, when standard input does. Orphans of the bed come to bash, which reaps them.
set -e
folder=$1 uid=$2 gid=$3
here=$(dirname "$0")
mount --make-rprivate /
mount -t proc proc /proc
# A fresh sysfs shows this network namespace; where the kernel refuses, the old view must do.
mount -t sysfs sys /sys 2>/dev/null || true
ip link set lo up
ip link add name br0 type bridge
ip link set br0 up
echo ready
while read -r what name address; do
  case $what in
    host) unshare --mount --net --uts -- "$here/host.sh" "$folder" "$name" "$address" "$uid" "$gid" </dev/null & ;;
    *) echo "bed.sh: unknown line: $what" >&2 ;;
  esac
done
