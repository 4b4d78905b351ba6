/*
 * What the tool needs of the machine and a sandbox around it may withhold: which setting is to
 * blame, and what to do about it.
 */
#ifndef SHADOW_TRACER_REMEDY_H
#define SHADOW_TRACER_REMEDY_H

#include <stddef.h>

enum need {
	NEED_NAMESPACES, /* user, pid, mount, uts, ipc: clone(2) */
	NEED_ID_MAP,	 /* /proc/PID/uid_map */
	NEED_PTRACE,
	NEED_SECCOMP, /* filters with SECCOMP_RET_TRACE */
	NEED_TSC,     /* PR_SET_TSC */
	NEED_MOUNT,
	NEED_PROC,	    /* /proc is mounted */
	NEED_MEMFD,	    /* memfd_create */
	NEED_MEMFD_EXEC,    /* a memory file that can be executed */
	NEED_ADDRESS_SPACE, /* 64 GiB of it */
	NEED_FILE_SIZE,	    /* RLIMIT_FSIZE: the shared region is a file of that size */
	NEED_FILES,	    /* RLIMIT_NOFILE */
	NEED_READ_MEMORY,   /* process_vm_readv */
	NEED_OPENAT2,
	NEED_CLOSE_RANGE,
	NEED_COUNT
};

/*
 * Writes what to do about `need` having failed with `error` (a positive errno) into `text`, one
 * line without a full stop; empty if there is nothing to say.  Reads sysctls and limits of the
 * caller to find out which one it is.
 */
void remedy_text(enum need need, int error, char *text, size_t size);

/* The number in a file of /proc/sys, or -1 when it is not there. */
long remedy_sysctl(const char *path);

#endif
