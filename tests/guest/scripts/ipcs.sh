# The tools of System V IPC: their keys are random, and what is listed is the machine's.
made() { ipcmk "$@" | grep -o '[0-9]*$'; }
queue=$(made -Q) sems=$(made -S 3) memory=$(made -M 5000)
ipcs
ipcs -l
ipcs -u
lsipc --noheadings
ipcs -q -i "$queue"
ipcs -s -i "$sems"
ipcs -m -i "$memory"
cat /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm
ipcrm -q "$queue" -s "$sems" -m "$memory"
