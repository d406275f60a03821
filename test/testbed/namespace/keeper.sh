#!/bin/sh
# keeper.sh FOLDER: holds one test bed for as long as standard input stays open, then leaves nothing.
#
# It stands outside every namespace and in its own session, so neither Ctrl-C nor a SIGKILL of whoever
# started it reaches it: their end closes its input, the bed's PID 1 reads the end and goes, and with it
# every process, mount and interface of the bed. What is then left is a folder.
folder=$1
here=$(dirname "$0")
if [ "$(id -u)" = 0 ]; then user=; else user='--user --map-root-user'; fi
# shellcheck disable=SC2086 # $user is none or two words
unshare $user --mount --net --uts --pid --fork --kill-child=KILL -- "$here/bed.sh" "$folder" "$(id -u)" "$(id -g)"
code=$?
# What a host closed to its own user opens again, or an ordinary user could not remove it.
chmod -R u+rwX -- "$folder"
rm -rf -- "$folder"
exit "$code"
