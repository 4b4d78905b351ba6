# What Debian's programs make of /proc, /sys and /dev.
set -e
sleep 100 &
ps aux
ps -eLo pid,ppid,pgid,sid,tid,stat,tty,comm
top -b -n1
free -m
uptime
vmstat 1 2
lscpu
nproc
pgrep -l sleep
df /dev /proc
mount
pkill sleep
wait || true
ls -l /proc/self/ns /proc/self/fd
