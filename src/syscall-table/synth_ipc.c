/*
 * What /proc says of System V IPC, of POSIX message queues and of file locks: the objects there
 * are, and limits, which are those that Linux has by default and cannot be changed.
 */
#include "ipc.h"
#include "lock.h"
#include "synth.h"

#define LIMIT(name, contents) NODE_FIXED_AS(name, 0644, contents)

const struct synth_node synth_ipc_nodes[] = {
	NODE_TEXT("/locks", locks_make_text),
	NODE_DIR("/sysvipc"),
	NODE_TEXT("/sysvipc/msg", msg_make_text),
	NODE_TEXT("/sysvipc/sem", sem_make_text),
	NODE_TEXT("/sysvipc/shm", shm_make_text),
	LIMIT("/sys/kernel/auto_msgmni", "0\n"),
	LIMIT("/sys/kernel/msg_next_id", "-1\n"),
	LIMIT("/sys/kernel/msgmax", "8192\n"),
	LIMIT("/sys/kernel/msgmnb", "16384\n"),
	LIMIT("/sys/kernel/msgmni", "32000\n"),
	LIMIT("/sys/kernel/sem", "32000\t1024000000\t500\t32000\n"),
	LIMIT("/sys/kernel/sem_next_id", "-1\n"),
	LIMIT("/sys/kernel/shm_next_id", "-1\n"),
	LIMIT("/sys/kernel/shm_rmid_forced", "0\n"),
	LIMIT("/sys/kernel/shmall", "18446744073692774399\n"),
	LIMIT("/sys/kernel/shmmax", "18446744073692774399\n"),
	LIMIT("/sys/kernel/shmmni", "4096\n"),
	NODE_DIR("/sys/fs/mqueue"),
	LIMIT("/sys/fs/mqueue/msg_default", "10\n"),
	LIMIT("/sys/fs/mqueue/msg_max", "10\n"),
	LIMIT("/sys/fs/mqueue/msgsize_default", "8192\n"),
	LIMIT("/sys/fs/mqueue/msgsize_max", "8192\n"),
	LIMIT("/sys/fs/mqueue/queues_max", "256\n"),
	{.path = NULL},
};
