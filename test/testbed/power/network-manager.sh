#!/bin/sh
# NetworkManager in a network namespace, with files of its own. Argument: a folder with NetworkManager.conf.
set -e
folder=$1
mount --make-rprivate /
mkdir -p /run/NetworkManager /var/lib/NetworkManager
mount -t tmpfs tmpfs /run/NetworkManager
mount -t tmpfs tmpfs /var/lib/NetworkManager
# Otherwise it waits for udev, and keeps every device unmanaged.
mount -o remount,bind,ro /sys
: > "$folder/intern.conf"
mkdir -p "$folder/connections"
exec NetworkManager --no-daemon --config="$folder/NetworkManager.conf" --intern-config="$folder/intern.conf"
