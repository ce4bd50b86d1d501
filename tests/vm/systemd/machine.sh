#!/bin/sh
# On the virtual machine with systemd: runs /command as the one whom /run-as names, sends its output to the first serial
# port and its exit status to the third, and turns the machine off; see run.sh.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

chmod 666 /dev/net/tun  # as udev does
# The output goes through a pipe, as it would under ctest, and leaves unchanged by the terminal.
stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS2 raw -echo
mkfifo /run/output
touch /run/status
cat /run/output >/dev/ttyS0 &
writer=$!

# root: a service of the system's. user: a session of logind's, which PAM makes, as after a login by ssh.
who=$(cat /run-as)
set -- --property=User="$who" --property=WorkingDirectory=~
[ "$who" = root ] || set -- "$@" --property=PAMName=login --setenv=XDG_SESSION_CLASS=user --setenv=XDG_SESSION_TYPE=tty
chown "$who" /run/output /run/status
# bash, which run.sh quotes the command for. How the unit ended is said on the second port.
systemd-run --collect --wait "$@" \
  sh -c 'bash /command </dev/null >/run/output 2>&1; echo $? >/run/status' || true

# A process that the command left behind may hold the pipe open; the answer does not wait for it.
tries=0
while kill -0 "$writer" 2>/dev/null && [ "$tries" -lt 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
cat /run/status >/dev/ttyS2
sleep 0.1  # for the serial ports to drain
poweroff -f -f
