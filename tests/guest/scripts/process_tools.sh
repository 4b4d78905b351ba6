# Tools that start, limit and stop programs, and interpreters that do.
PATH=$PATH:/usr/sbin:/sbin # start-stop-daemon, for users
as_root() { [ "$(id -u)" != 0 ] || "$@"; }

as_root setpriv --reuid 1234 --regid 1235 --clear-groups sh -c 'id -u; id -g; id -G'
as_root setpriv --reuid 1234 --clear-groups --inh-caps=+kill --ambient-caps=+kill \
	sh -c 'grep -E "Cap(Inh|Prm|Eff|Amb)" /proc/self/status'
setpriv --no-new-privs grep NoNewPrivs /proc/self/status
setsid -w sh -c 'echo session; exit 3'
echo "setsid $?"
nice -n 5 nice
nice -n 5 nice -n 7 nice
as_root nice -n -5 nice
chrt --batch 0 chrt -p 0 | sed 's/pid [0-9]*/pid/'
as_root chrt --rr 7 sh -c 'chrt -p $$' | sed 's/pid [0-9]*/pid/'
ionice -c 2 -n 6 ionice
taskset -c 0 nproc
prlimit --nofile=50:60 sh -c 'ulimit -n; ulimit -Hn'
prlimit --core=0 --cpu=100 prlimit --cpu --core --noheadings --output RESOURCE,SOFT
(ulimit -t 100; ulimit -t)
nohup sh -c 'trap "" TERM; echo nohup' </dev/null 2>/dev/null
timeout 1 sleep 100
echo "timeout $?"
sh -c 'timeout -s KILL 1 sleep 100; exit $?' 2>/dev/null
echo "timeout $?"
seq 20 | xargs -P 4 -n 1 sh -c 'echo $(($0 * 2))' | sort -n | tr '\n' ' '
seq 3 | xargs -n 1 sh -c 'exit $0'
echo "xargs $?"
start-stop-daemon --start --background --make-pidfile --pidfile d.pid --exec /bin/sleep -- 1000
until start-stop-daemon --status --pidfile d.pid; do sleep 0.1; done
start-stop-daemon --stop --retry 5 --pidfile d.pid
echo "stop $?"
start-stop-daemon --status --pidfile d.pid
echo "status $?"
rm -f d.pid
perl -e 'for (1 .. 5) { my $p = fork; exit $_ if !$p; waitpid $p, 0; print $? >> 8, "\n" }
	 local $SIG{CHLD} = sub { print "child\n" }; my $p = fork; exit 9 if !$p;
	 1 while waitpid($p, 0) < 0; print $? >> 8, "\n"; print `echo from a shell`;
	 system("kill -9 \$\$"); print $? & 127, "\n"'
/usr/bin/python3 -B - <<'END'
import os, signal, subprocess, sys, threading
print(subprocess.run(['sh', '-c', 'cat; exit 4'], input=b'text', capture_output=True))
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 5'], {}, setpgroup=0)
fd = os.pidfd_open(pid)
info = os.waitid(os.P_PIDFD, fd, os.WEXITED)
print(info.si_status, info.si_pid == pid)
child = subprocess.Popen(['sleep', '1000'], start_new_session=True)
signal.pidfd_send_signal(os.pidfd_open(child.pid), signal.SIGTERM)
print(child.wait())
try:
    subprocess.run(['sleep', '1000'], timeout=0.01)
except subprocess.TimeoutExpired:
    print('expired')
children = [subprocess.Popen(['sh', '-c', f'exit {i}']) for i in range(20)]
print([c.wait() for c in children])
results = []
def run(n): results.append(subprocess.call(['sh', '-c', f'exit {n}']))
threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results))
END
