/*
 * A container: the region it shares with the tracer, its processes on the host, and what the
 * tracer's parts keep about it.
 *
 *	container_create          the region is there, configuration to be filled by the caller
 *	container_prepare         the shim is there, and init, which begins to make the rest
 *	container_mount           init goes on: the configuration is there
 *	container_made            init has made all of it
 *	container_launch          the first task is traced, and about to execute the shim
 *	container_run             the wait loop; returns when the container has ended
 *	container_destroy         nothing of it is left running
 */
#ifndef SHADOW_TRACER_CONTAINER_H
#define SHADOW_TRACER_CONTAINER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../shim/shim_abi.h"
#include "../shim/task.h"
#include "shim_image.h"

struct container;
struct patcher;
struct spin_watch;

/*
 * Where epochs come from.  Called by the wait loop while the task that asks is stopped: fills
 * HEAD's epoch number, time and seed, the inbox and, in a replay, the expected chain values.
 * 0, or a negative errno: -ENODATA when a log has no more epochs, -EINTR when the container must
 * end instead (forwarded signal, second Ctrl-C).
 */
struct epoch_source {
	int (*next)(struct epoch_source *source, struct container *c, uint32_t reason);
	/* A wait was interrupted by a signal: true if the container must end now.  May be NULL. */
	bool (*interrupted)(struct epoch_source *source);
};

/* What a recorder wants to know; every member may be NULL. */
struct container_observer {
	void *data;
	/* The epoch in HEAD has ended: its digest and chain values are final. */
	void (*epoch_end)(void *data, struct container *c);
	/* The next one was delivered: HEAD and the inbox hold it. */
	void (*epoch_begin)(void *data, struct container *c);
	/* A task stopped, for whatever reason. */
	void (*each_stop)(void *data);
	/* Everything announced in the capture ring must be safe before the container goes on. */
	void (*capture_sync)(void *data, uint32_t how); /* enum capture_sync */
	/* The event ring is full: empties it. */
	void (*events_drain)(void *data, struct container *c);
	/* The container ends at an event: it was asked to, or differs.  Task `tid` is stopped in
	 * the shim, its event over; false in `asked` for a divergence. */
	void (*stopped)(void *data, struct container *c, pid_t tid, bool asked);
	/* All tasks wait and nothing but a signal from outside can change that. */
	void (*deadlock)(void *data, struct container *c);
	/* A task has kept others waiting for seconds without an event, and its loop is no fixed
	 * point: a line for the user.  At most once. */
	void (*long_turn)(void *data, const char *text);
};

enum container_end {
	CONTAINER_ENDED,    /* the last task is gone: exit_status is good */
	CONTAINER_DIVERGED, /* a chain value differs; see chain_index */
	CONTAINER_BUG,	    /* a broken invariant; see message */
	CONTAINER_DEADLOCK, /* nothing can wake anybody; see message */
	CONTAINER_REFUSED,  /* an instruction that is not supported; see message */
	CONTAINER_TOLD,	    /* the source said so (-EINTR), at an epoch; see message */
	CONTAINER_STOPPED,  /* anywhere, for what a replay would not meet; see message */
	CONTAINER_NO_EPOCH, /* the source has no more epochs (an incomplete log) */
	CONTAINER_PROBED,   /* the event it was to stop at, or its observer wants no more */
	CONTAINER_NO_START, /* the first program could not be started: HEAD->first_error */
};

#define CONTAINER_TASK_TABLE 16384 /* power of two, more than TASK_SLOTS_MAX */

struct container_task {
	pid_t tid; /* on the host; 0: free entry, -1: was used */
	uint32_t slot;
	bool gone; /* its exit was seen before its birth */
	/* A call through the vsyscall page under way, see vsyscall.c. */
	uint8_t vsyscall_byte;
	uint16_t vsyscall_nr;
	uint64_t vsyscall_after; /* 0: none */
};

struct container {
	int region_fd;
	int proc_fd;		      /* in init: the host's /proc */
	struct shim_files shim_files; /* in init */
	struct shim_symbols shim;
	uint64_t shim_offset; /* in our own file */
	struct patcher *patcher;
	struct spin_watch *spin_watch; /* while it runs */
	struct epoch_source *source;
	struct container_observer observer;
	pid_t init;	  /* on the host */
	int init_socket;  /* its other end is held by init, which goes on when told there */
	bool launching;	  /* it has been told of all */
	pid_t first;	  /* the first task, once it is traced */
	bool coming;	  /* the first task is on its way to the shim */
	int report_fd;	  /* where both say why they could not start, or -1 */
	uint64_t trapped; /* stops at sites */
	struct container_task *tasks; /* CONTAINER_TASK_TABLE */
	bool enough;		      /* set by the observer: to end as soon as possible */
	bool ended;
	enum container_end end;
	char message[512];  /* what went wrong, for one line to the user */
	uint64_t perturb;   /* state of --perturb's delays; 0: off */
	const char *root;   /* folder to enter as root (replay), or NULL */
	const char *mounts; /* with a root: its mount points, as mounts_list gives them; or NULL */
	const char *cwd;    /* working directory inside */
	int stdio_fd[3];    /* regular files for descriptors 0 to 2, or -1 */
	cpu_set_t all;	    /* processors there are for the container and us */
	cpu_set_t beside;   /* those where it is made while we do other things */
	cpu_set_t one;	    /* where it runs and we wait for it: see container_launch */
	cpu_set_t others;   /* the others of all, if there are any */
	bool own_user_namespace;
};

/* Maps the region.  0 or a negative errno with c->message. */
int container_create(struct container *c);

/* Fills EXEC_FIRST: path as found, argv, envp.  -E2BIG. */
int container_program(struct container *c, const char *path, char *const argv[],
		      char *const envp[]);

/* Namespaces and init, and the shim's files.  Precondition: c->root, cwd, all and beside are set.
 * 0 or a negative errno with c->message. */
int container_prepare(struct container *c);

/* Lets init go on with mounts, and with the first task if `launch` (stdio_fd is set then), while
 * this returns.  Precondition: the configuration in HEAD is set, root and cwd are there.  0 or a
 * negative errno with c->message. */
int container_mount(struct container *c, bool launch);

/* Waits for that.  0 or a negative errno with c->message. */
int container_made(struct container *c);

/*
 * Has the first task made, if container_mount did not, and traces it.  Precondition: stdio_fd is
 * set.  From now on c->one is the processor where it is: one for all tasks and for who waits for
 * them, because a stop costs several times more across two (10 against 67 us).
 * 0 or a negative errno with c->message.
 */
int container_launch(struct container *c);

/* At the first stop of the first task, which has executed the shim.  0 or a negative errno. */
int container_arrived(struct container *c);

/* After the first task has ended before the shim ran: what it said of that, as c->message and a
 * negative errno; 0 if it said nothing. */
int container_first_report(struct container *c);

/* Runs until the container has ended; c->end and c->message tell how. */
void container_run(struct container *c);

/* Before container_kill: where the first task ends, which is most often the last and takes the
 * kernel the longest. */
void container_end_at(struct container *c, const cpu_set_t *cpus);

/* Ends whatever is left of the container, without waiting for it. */
void container_kill(struct container *c);

/* Lets go what has ended of it, without waiting: init ends when nobody else is left. */
void container_reap(struct container *c);

/* Ends it, waits for that, and releases everything. */
void container_destroy(struct container *c);

/* tasks of the host <-> slots */
void container_task_put(struct container *c, pid_t tid, uint32_t slot);
struct container_task *container_task_get(struct container *c, pid_t tid);
/* The living task of a slot on the host, or 0. */
pid_t container_host_tid(const struct container *c, uint32_t slot);
void container_task_drop(struct container *c, struct container_task *entry);

/* The slot of a GS base, or NONE: both bounds and alignment are checked. */
uint32_t container_slot_of(uint64_t gs_base);

/* --perturb: a random delay. */
void container_perturb(struct container *c);

#endif
