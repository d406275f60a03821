#!/bin/sh
# systemd-logind with a lid of the test's own, in a mount namespace of its own. Arguments: the folder with state, event3,
# evshim.so and logind.conf; the folder of this file.
set -e
folder=$1 here=$2
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd /run/udev/tags/power-switch /run/udev/data
touch /run/udev/tags/power-switch/c13:67 /run/udev/control
printf 'I:1\nE:ID_INPUT=1\nE:ID_INPUT_SWITCH=1\nG:power-switch\nQ:power-switch\nV:1\n' > /run/udev/data/c13:67
mount --bind "$folder/logind.conf" /etc/systemd/logind.conf
# Killed, it tidies nothing up: what it makes goes with the folder.
export TMPDIR=$folder SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console folder
exec umockdev-run -d "$here/lid.umockdev" -- sh -c '
  mkdir -p "$UMOCKDEV_DIR/sys/power"
  echo "freeze mem" > "$UMOCKDEV_DIR/sys/power/state"
  echo "[s2idle] deep" > "$UMOCKDEV_DIR/sys/power/mem_sleep"
  rm -f "$UMOCKDEV_DIR/dev/input/event3"
  ln -s "$folder/event3" "$UMOCKDEV_DIR/dev/input/event3"
  export LID_STATE="$folder/state" LD_PRELOAD="$folder/evshim.so:$LD_PRELOAD"
  exec /lib/systemd/systemd-logind'
