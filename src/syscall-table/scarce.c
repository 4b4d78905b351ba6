/*
 * See scarce.h.  A call that takes memory and keeps it fails before it has done anything, with
 * what its manual page says of a kernel without memory.  The others are made, from what the heap
 * holds in reserve: so a program can still read, close, unmap, say what is wrong, and exit.
 */
#include "scarce.h"

#include "files.h"

static const struct {
	u16 nr;
	u8 error;
} rows[] = {
	/* descriptors */
	{NR_open, ENOMEM},
	{NR_openat, ENOMEM},
	{NR_openat2, ENOMEM},
	{NR_creat, ENOMEM},
	{NR_pipe, ENFILE},
	{NR_pipe2, ENFILE},
	{NR_eventfd, ENOMEM},
	{NR_eventfd2, ENOMEM},
	{NR_epoll_create, ENOMEM},
	{NR_epoll_create1, ENOMEM},
	{NR_epoll_ctl, ENOMEM},
	{NR_timerfd_create, ENOMEM},
	{NR_signalfd, ENOMEM},
	{NR_signalfd4, ENOMEM},
	{NR_inotify_init, ENOMEM},
	{NR_inotify_init1, ENOMEM},
	{NR_inotify_add_watch, ENOMEM},
	{NR_memfd_create, ENOMEM},
	{NR_pidfd_open, ENOMEM},
	{NR_flock, ENOLCK},
	/* sockets */
	{NR_socket, ENOBUFS},
	{NR_socketpair, ENOBUFS},
	{NR_accept, ENOBUFS},
	{NR_accept4, ENOBUFS},
	{NR_bind, ENOBUFS},
	{NR_connect, ENOBUFS},
	{NR_setsockopt, ENOBUFS},
	{NR_sendto, ENOBUFS},
	{NR_sendmsg, ENOBUFS},
	{NR_sendmmsg, ENOBUFS},
	/* bytes that are kept in queues; write: see write_error */
	{NR_splice, ENOMEM},
	{NR_tee, ENOMEM},
	{NR_vmsplice, ENOMEM},
	/* names: each one met is remembered */
	{NR_mkdir, ENOMEM},
	{NR_mkdirat, ENOMEM},
	{NR_mknod, ENOMEM},
	{NR_mknodat, ENOMEM},
	{NR_symlink, ENOMEM},
	{NR_symlinkat, ENOMEM},
	{NR_link, ENOMEM},
	{NR_linkat, ENOMEM},
	{NR_chdir, ENOMEM},
	{NR_fchdir, ENOMEM},
	{NR_getdents, ENOMEM},
	{NR_getdents64, ENOMEM},
	/* processes and their memory */
	{NR_clone, ENOMEM},
	{NR_clone3, ENOMEM},
	{NR_fork, ENOMEM},
	{NR_vfork, ENOMEM},
	{NR_execve, ENOMEM},
	{NR_execveat, ENOMEM},
	{NR_mmap, ENOMEM},
	{NR_mremap, ENOMEM},
	{NR_mprotect, ENOMEM},
	{NR_seccomp, ENOMEM},
	/* signals and timers */
	{NR_rt_sigqueueinfo, EAGAIN},
	{NR_rt_tgsigqueueinfo, EAGAIN},
	{NR_timer_create, EAGAIN},
	/* IPC */
	{NR_shmget, ENOMEM},
	{NR_shmat, ENOMEM},
	{NR_semget, ENOMEM},
	{NR_semop, ENOMEM},
	{NR_semtimedop, ENOMEM},
	{NR_msgget, ENOMEM},
	{NR_msgsnd, ENOMEM},
	{NR_mq_open, ENOMEM},
	{NR_mq_timedsend, ENOMEM},
};

/* What is written to a file or a standard stream is not kept. */
static long write_error(struct task *t, u64 fd)
{
	const struct ofd *o = fd_get(t, (u32)fd);

	switch (o != NULL ? o->kind : OFD_FREE) {
	case OFD_PIPE_WRITE:
	case OFD_FIFO:
	case OFD_PTY_MASTER:
	case OFD_PTY_SLAVE:
		return -ENOMEM;
	case OFD_SOCKET:
		return -ENOBUFS;
	default:
		return 0;
	}
}

static long fcntl_error(u64 request)
{
	switch (request) {
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return -ENOLCK;
	case F_SETPIPE_SZ:
		return -ENOMEM;
	default:
		return 0;
	}
}

long scarce_error(struct task *t, const struct frame *f)
{
	if (f->nr == NR_write || f->nr == NR_writev || f->nr == NR_sendfile)
		return write_error(t, f->arg[0]);
	if (f->nr == NR_fcntl)
		return fcntl_error((u32)f->arg[1]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].nr == f->nr)
			return -(long)rows[i].error;
	}
	return 0;
}
