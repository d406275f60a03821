#!/bin/bash
# PID 1 of a host: its end is the host's power cut. An ordinary user gets a namespace in which it is not root,
# or libvirt would think it were.
folder=$1 uid=$2 gid=$3
[ "$uid" = 0 ] || [ "$4" = again ] || {
  mount -t proc proc /proc
  exec unshare --user --map-user="$uid" --map-group="$gid" -- "$0" "$folder" "$uid" "$gid" again
}
[ "$uid" != 0 ] || mount -t proc proc /proc
: >"$folder/up"
while :; do
  sleep infinity &
  wait $!
done
