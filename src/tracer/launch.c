/*
 * From nothing to the first task: namespaces, mounts, a small init as pid 1, and the first task,
 * which executes the shim under the seccomp filter.
 *
 *	tracer                      init (pid 1 inside)               first task
 *	clone(namespaces) ------->  network; waits for a word
 *	maps ids, seizes init
 *	shim, configuration
 *	sends a word ------------>  mounts, hostname; says ok
 *	...
 *	sends descriptors ------->  waits for another word
 *	sees its fork, lets it go   fork ---------------------------> descriptors, filter, exec shim
 *	wait loop                   reaps until it is killed          ...
 *
 * Everything between clone and exec uses system calls only: the tracer may have threads.
 */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mounts.h"
#include "patcher.h"
#include "remedy.h"
#include "tracee.h"

/* Not of the network, whose making is a fifth of a short recording: task_filter bars sockets. */
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)

struct channels {
	int go[2];   /* tracer -> init, sockets: a struct word, with it descriptors */
	int back[2]; /* init -> tracer, a pipe: a struct report */
};

#define PASSED_MAX 3 /* descriptors that were not open when init was made: stdio */

/* For init: to go on. */
struct word {
	bool has[PASSED_MAX]; /* which of them come with it */
};

struct report {
	int error;
	enum need need; /* or NEED_COUNT */
	char what[100];
};

static int say(struct container *c, int error, const char *what)
{
	snprintf(c->message, sizeof(c->message), "%s: %s", what, strerror(error));
	return -error;
}

/* With what to do about it. */
static int say_need(struct container *c, enum need need, int error, const char *what)
{
	char text[300];

	remedy_text(need, error, text, sizeof(text));
	snprintf(c->message, sizeof(c->message), "%s: %s%s%s%s", what, strerror(error),
		 text[0] != '\0' ? " (" : "", text, text[0] != '\0' ? ")" : "");
	return -error;
}

static _Noreturn void init_need(int fd, enum need need, const char *what)
{
	struct report r = {errno, need, ""};

	snprintf(r.what, sizeof(r.what), "%s", what);
	if (write(fd, &r, sizeof(r)) < 0)
		_exit(124);
	_exit(125);
}

static _Noreturn void init_fail(int fd, const char *what)
{
	init_need(fd, NEED_COUNT, what);
}

/* Covers a kernel directory with an empty one of our own. */
static void cover(int back, const char *path, uint64_t *ret_dev)
{
	struct stat st;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		init_fail(back, path);
	if (mount("shadow", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		init_need(back, NEED_MOUNT, "cannot mount a private tmpfs");
	if (stat(path, &st) < 0)
		init_fail(back, path);
	*ret_dev = st.st_dev;
}

/*
 * In a chroot "/" is no mount point, so it cannot be told to keep mounts to itself.  A copy of it
 * can, and becomes our root; it is put where a mount point is at hand that can be made private.
 */
static void enter_copy_of_root(int back)
{
	struct mount_attr attr = {.propagation = MS_PRIVATE};
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			      sizeof(attr)) < 0)
		init_need(back, NEED_MOUNT, "cannot make a private copy of the chroot's mounts");
	if (mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) < 0)
		init_need(back, NEED_PROC, "in a chroot, /proc must be mounted");
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    chdir("/proc") < 0 || chroot(".") < 0)
		init_fail(back, "cannot enter a private copy of the chroot");
	close(fd);
}

static void make_mounts_private(int back)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return;
	if (errno != EINVAL)
		init_need(back, NEED_MOUNT, "cannot make the mounts private");
	enter_copy_of_root(back);
}

/*
 * A replay's root.  The first reading of a file that was written since the last one is noted in its
 * access time: each of what was just unpacked, unless it is mounted so that nothing is.
 */
static void enter_root(const char *root, int back)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME};

	/* Where that is not allowed it only takes longer. */
	if (mount(root, root, NULL, MS_BIND, NULL) == 0)
		syscall(SYS_mount_setattr, AT_FDCWD, root, 0, &attr, sizeof(attr));
	if (chdir(root) < 0 || chroot(".") < 0)
		init_fail(back, "cannot enter the replay's root");
}

/*
 * Where the recorded machine had something mounted, the folder is mounted on itself, with what lies
 * below it: so the kernel has the recorded answer to renaming and linking from one to the other.
 */
static void mount_folders(const char *mounts, int back)
{
	char path[PATH_MAX];

	while (mounts != NULL && mounts_next(&mounts, path, sizeof(path))) {
		if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
			init_fail(back, "cannot make the replay's mount points");
	}
}

static void init_mounts(struct container *c, int back)
{
	struct region_config *config = &HEAD->config;
	uint64_t shm_dev;

	c->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->proc_fd < 0)
		init_fail(back, "/proc");
	make_mounts_private(back);
	if (c->root != NULL) {
		enter_root(c->root, back);
		mount_folders(c->mounts, back);
	}
	cover(back, "/proc", &config->proc_dev);
	cover(back, "/sys", &config->sys_dev);
	cover(back, "/dev", &config->dev_dev);
	cover(back, "/dev/shm", &shm_dev);
	/* The time of its making is the host's. */
	struct timespec start = {.tv_sec = (time_t)(config->start_time_ns / 1000000000u)};
	struct timespec times[2] = {start, start};
	if (chmod("/dev/shm", 01777) < 0 || utimensat(AT_FDCWD, "/dev/shm", times, 0) < 0)
		init_fail(back, "/dev/shm");
	if (sethostname(config->hostname, strlen(config->hostname)) < 0)
		init_fail(back, "cannot set the hostname");
	if (chdir(c->cwd) < 0)
		init_fail(back, c->cwd);
}

#define TOO_FEW "cannot place a descriptor (raise the limit: ulimit -n 4096)"

static void place(int back, int from, int to)
{
	if (dup2(from, to) < 0)
		init_fail(back, TOO_FEW);
}

/* Out of the way of those that are placed. */
static int aside(int back, int fd)
{
	if (fd < SHIM_FD_BASE || fd >= SHIM_FD_BASE + SHIM_FD_COUNT)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, SHIM_FD_BASE + SHIM_FD_COUNT);
	if (fd < 0)
		init_fail(back, TOO_FEW);
	return fd;
}

/* The first task's descriptors: ours at SHIM_FD_BASE and above, nothing else but 0, which `back` is
 * from now on. */
static void task_descriptors(struct container *c, int back)
{
	int holder = open("/", O_PATH);

	if (holder < 0)
		init_fail(back, "cannot open /");
	back = aside(back, back);
	int region = aside(back, c->region_fd), shim = aside(back, c->shim_fd);
	holder = aside(back, holder);
	c->proc_fd = aside(back, c->proc_fd);
	for (int fd = 0; fd < 3; fd++)
		c->stdio_fd[fd] = aside(back, c->stdio_fd[fd]);
	place(back, holder, SHIM_FD_HOLDER);
	place(back, region, SHIM_FD_REGION);
	place(back, shim, SHIM_FD_SHIM);
	place(back, c->proc_fd, SHIM_FD_PROC);
	for (int fd = 0; fd < 3; fd++) {
		if (c->stdio_fd[fd] >= 0)
			place(back, c->stdio_fd[fd], SHIM_FD_STDIO + fd);
	}
	place(back, back, 0);
	if (syscall(SYS_close_range, 1, SHIM_FD_BASE - 1, 0) < 0 ||
	    syscall(SYS_close_range, SHIM_FD_BASE + SHIM_FD_COUNT, ~0u, 0) < 0)
		init_need(0, NEED_CLOSE_RANGE, "cannot close descriptors (close_range)");
}

static void task_signals(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t set;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&set, faults[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/*
 * Allowed is exactly the `syscall` of the call page, told by the address behind it; everything
 * else stops at the tracer.  Not even there may anybody make a socket of the host's network, by
 * itself or by io_uring: this stands for a network namespace (docs/decisions/0013).
 */
static void task_filter(const struct container *c, int back)
{
	uint32_t low = (uint32_t)c->shim.call_page_return;
	uint32_t high = (uint32_t)(c->shim.call_page_return >> 32);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __X32_SYSCALL_BIT, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		init_need(back, NEED_SECCOMP, "PR_SET_NO_NEW_PRIVS");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		init_need(back, NEED_SECCOMP, "cannot install the seccomp filter");
}

static _Noreturn void first_task(struct container *c, int back)
{
	char slot[24];
	char *argv[] = {slot, NULL};
	char *envp[] = {NULL};
	struct rlimit core = {0, 0};

	snprintf(slot, sizeof(slot), "%lu", (unsigned long)task_offset(0));
	task_signals();
	umask(0);
	setrlimit(RLIMIT_CORE, &core);
	/* Docker's filter forbids it.  It is for debuggers' sake: what the kernel maps at exec the
	 * shim unmaps, wherever it is, and nothing of it reaches down to the shim. */
	(void)personality(ADDR_NO_RANDOMIZE);
	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) < 0)
		init_need(back, NEED_TSC, "cannot trap time stamps (PR_SET_TSC)");
	task_descriptors(c, back);
	/* It closes at exec. */
	fcntl(0, F_SETFD, FD_CLOEXEC);
	task_filter(c, 0);
	syscall(SYS_execveat, SHIM_FD_SHIM, "", argv, envp, AT_EMPTY_PATH);
	init_need(0, NEED_MEMFD_EXEC, "cannot execute the shim");
}

/* A message with room for as many descriptors as it can have. */
struct message {
	struct msghdr header;
	struct iovec bytes;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(PASSED_MAX * sizeof(int))];
};

static void message_init(struct message *m, struct word *word)
{
	m->bytes = (struct iovec){word, sizeof(*word)};
	m->header = (struct msghdr){
		.msg_iov = &m->bytes,
		.msg_iovlen = 1,
		.msg_control = m->control,
		.msg_controllen = sizeof(m->control),
	};
}

/* Waits for a word of the tracer's, and takes over what comes with it; false: there is none. */
static bool init_wait(struct container *c, int go, int back)
{
	struct message m;
	struct word word;
	int fds[PASSED_MAX];
	size_t count = 0, at = 0;

	message_init(&m, &word);
	if (recvmsg(go, &m.header, 0) != (ssize_t)sizeof(word))
		return false;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&m.header);
	if (head != NULL) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(*fds);
		memcpy(fds, CMSG_DATA(head), count * sizeof(*fds));
	}
	for (int i = 0; i < PASSED_MAX; i++) {
		if (!word.has[i])
			continue;
		/* The kernel passes as many as the limit lets it. */
		errno = EMFILE;
		if (at == count)
			init_need(back, NEED_FILES, "cannot take descriptors over");
		c->stdio_fd[i] = fds[at++];
	}
	return true;
}

static _Noreturn void init_main(struct container *c, const struct channels *p)
{
	struct report ok = {0, NEED_COUNT, ""};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid();
	close(p->go[1]);
	close(p->back[0]);
	c->shim_fd = shim_image_memfd();
	/* Told when the tracer listens, and is done with what it does to us. */
	if (!init_wait(c, p->go[0], p->back[1]))
		_exit(125);
	if (c->shim_fd < 0) {
		errno = -c->shim_fd;
		init_need(p->back[1], NEED_MEMFD_EXEC, "cannot create the shim's memory file");
	}
	init_mounts(c, p->back[1]);
	if (write(p->back[1], &ok, sizeof(ok)) < 0 || !init_wait(c, p->go[0], p->back[1]))
		_exit(125);
	/* Not fork(3): it waits for locks that a thread of the tracer may hold for ever here. */
	pid_t pid = (pid_t)syscall(SYS_fork);
	if (pid < 0)
		init_fail(p->back[1], "cannot fork the first task");
	if (pid == 0)
		first_task(c, p->back[1]);
	close(p->back[1]);
	syscall(SYS_close_range, 0, p->go[0] - 1, 0);
	syscall(SYS_close_range, p->go[0] + 1, ~0u, 0);
	/* All processes of the container are our children: reap until the tracer kills us. */
	for (;;) {
		if (waitpid(-1, NULL, __WALL) < 0 && errno == ECHILD)
			pause();
	}
}

static int write_map(struct container *c, const char *name, const char *text)
{
	char path[64];
	int fd, error = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)c->init, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	return error != 0
		       ? say_need(c, NEED_ID_MAP, error, "cannot map ids into the user namespace")
		       : 0;
}

/*
 * The caller's own ids, unchanged, so that files keep their owner; but somebody who is the overflow
 * id himself gets OWN_ID_ALIAS inside, where his files could not be told from all others (vnode.c
 * shows the real id).
 */
static unsigned inside_id(unsigned own)
{
	return own == OVERFLOW_ID ? OWN_ID_ALIAS : own;
}

static int map_ids(struct container *c)
{
	char text[64];
	int error;

	snprintf(text, sizeof(text), "%u %u 1", inside_id(geteuid()), geteuid());
	error = write_map(c, "uid_map", text);
	if (error == 0)
		error = write_map(c, "setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", inside_id(getegid()), getegid());
	return error < 0 ? error : write_map(c, "gid_map", text);
}

static int raise_descriptor_limit(struct container *c)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	rlim_t want = 4096;
	if (r.rlim_cur < want)
		r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < SHIM_FD_BASE + SHIM_FD_COUNT + 16)
		return say_need(c, NEED_FILES, EMFILE, "the hard limit of open files is too low");
	return 0;
}

/* `lacking` is what a missing report means. */
static int read_report(struct container *c, int fd, int lacking)
{
	struct report r;
	ssize_t n;

	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(r))
		return lacking;
	if (r.error != 0) {
		r.what[sizeof(r.what) - 1] = '\0';
		return say_need(c, r.need, r.error, r.what);
	}
	return 0;
}

int container_first_report(struct container *c)
{
	/* Its writers are gone: the report is there or never comes. */
	return c->report_fd >= 0 ? read_report(c, c->report_fd, 0) : 0;
}

#define TRACE_OPTIONS                                                                         \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP)

/*
 * What the wait for init's fork meets besides.  The first task may stop before init's stop is told:
 * it stays stopped, for container_run.  When it is gone already it was killed; nobody else reaps
 * it, and init's own end would wait for that.
 */
static int meet_first(struct container *c, pid_t tid, int status)
{
	if (tracee_event_of(status).kind == TRACEE_EXITED)
		return say(c, ECHILD, "the first task ended at its start");
	c->early_tid = tid;
	c->early_status = status;
	return 0;
}

/* Waits until init has forked. */
static int wait_for_fork(struct container *c)
{
	for (;;) {
		int status, error;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno != EINTR)
			return say(c, errno, "waiting for the container's init");
		if (tid < 0)
			continue;
		struct tracee_event e = tracee_event_of(status);
		if (tid != c->init)
			error = meet_first(c, tid, status);
		else if (e.kind == TRACEE_EXITED)
			error = say(c, ECHILD, "the container's init ended at its start");
		else if (e.kind == TRACEE_BIRTH)
			return 0;
		else
			error = tracee_continue(tid);
		/* -ESRCH: it was killed; its end is told next. */
		if (error < 0 && error != -ESRCH)
			return error;
	}
}

/* Takes the first task over, lets init run untraced. */
static int adopt_first(struct container *c)
{
	unsigned long message;
	int error = wait_for_fork(c);

	if (error < 0)
		return error;
	if (tracee_message(c->init, &message) < 0)
		return say(c, errno, "PTRACE_GETEVENTMSG");
	c->first = (pid_t)message;
	container_task_put(c, c->first, 0);
	/* Its end, which takes the namespaces down, goes where there is room. */
	container_anywhere(c, c->init);
	if (ptrace(PTRACE_DETACH, c->init, NULL, NULL) < 0)
		return say(c, errno, "PTRACE_DETACH");
	return 0;
}

static void put_descriptors(struct message *m, const int *fds, size_t count)
{
	m->header.msg_controllen = count != 0 ? CMSG_SPACE(count * sizeof(int)) : 0;
	if (count == 0)
		return;
	struct cmsghdr *head = CMSG_FIRSTHDR(&m->header);
	*head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
}

static int let_init_go(struct container *c, bool pass)
{
	struct message m;
	struct word word = {0};
	int fds[PASSED_MAX];
	size_t count = 0;

	message_init(&m, &word);
	for (int i = 0; pass && i < PASSED_MAX; i++) {
		word.has[i] = c->stdio_fd[i] >= 0;
		if (word.has[i])
			fds[count++] = c->stdio_fd[i];
	}
	put_descriptors(&m, fds, count);
	if (sendmsg(c->init_socket, &m.header, MSG_NOSIGNAL) == (ssize_t)sizeof(word))
		return 0;
	int error = say(c, errno, "starting the container's init");
	/* It has ended: perhaps it says why. */
	return error == -EPIPE || error == -ECONNRESET ? read_report(c, c->report_fd, error)
						       : error;
}

static int start_init(struct container *c, struct channels *p)
{
	c->own_user_namespace = geteuid() != 0;
	unsigned long flags = NAMESPACES | SIGCHLD | (c->own_user_namespace ? CLONE_NEWUSER : 0);
	long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return errno == EAGAIN
			       ? say(c, errno,
				     "cannot start a process (is the limit of "
				     "processes reached?)")
			       : say_need(c, NEED_NAMESPACES, errno, "cannot create namespaces");
	if (pid == 0)
		init_main(c, p);
	c->init = (pid_t)pid;
	/* Else it waits here until we do. */
	sched_setaffinity(c->init, sizeof(c->others), &c->others);
	if (c->own_user_namespace && map_ids(c) < 0)
		return -EPERM;
	if (ptrace(PTRACE_SEIZE, c->init, NULL, TRACE_OPTIONS) < 0) {
		int error = errno;

		if (waitpid(c->init, NULL, __WALL | WNOHANG) == c->init) {
			c->init = 0;
			return say(c, ECHILD, "the container's init ended at its start");
		}
		errno = error;
		return say_need(c, NEED_PTRACE, errno, "cannot trace (PTRACE_SEIZE)");
	}
	return 0;
}

int container_prepare(struct container *c)
{
	struct channels p;
	int error = raise_descriptor_limit(c);

	if (error < 0)
		return error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.go) < 0 ||
	    pipe2(p.back, O_CLOEXEC) < 0)
		return say(c, errno, "cannot make a channel to the container's init");
	error = start_init(c, &p);
	close(p.go[0]);
	close(p.back[1]);
	c->init_socket = p.go[1];
	c->report_fd = p.back[0];
	return error;
}

int container_mount(struct container *c)
{
	return let_init_go(c, false);
}

int container_made(struct container *c)
{
	return read_report(c, c->report_fd,
			   say(c, EPIPE, "the container's init ended at its start"));
}

int container_launch(struct container *c)
{
	patcher_yields_set(c->patcher, &HEAD->config);
	/* While it waits: a running task would have to be moved. */
	sched_setaffinity(c->init, sizeof(c->cpus), &c->cpus);
	int error = let_init_go(c, true);

	return error < 0 ? error : adopt_first(c);
}
