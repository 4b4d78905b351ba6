/*
 * From nothing to the first task: namespaces, mounts, a small init as pid 1, and the first task,
 * which executes the shim; that installs the seccomp filter (shim/filter.c).
 *
 *	tracer                      init (pid 1 inside)               first task
 *	clone(namespaces)
 *	maps ids, configuration     the shim's files
 *	sends a word ------------>  mounts, hostname; says ok
 *	log                         vfork --------------------------> descriptors; says ok
 *	seizes who said so                                            executes the shim, which waits
 *	HEAD->traced                                                  for this and goes on
 *	threads, wait loop          reaps until it is killed
 *
 * A replay's word comes in two: its root is filled while the mounts are made, and the descriptors
 * that the first task gets are of files there.
 *
 * Everything between clone and exec uses system calls only: the tracer may have threads.
 */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
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

/* Not of the network, whose making is a fifth of a short recording: the filter bars sockets. */
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)

struct channels {
	int go[2];   /* tracer -> init, sockets: a struct word, with it descriptors */
	int back[2]; /* init and first task -> tracer, sockets: a struct report */
};

#define PASSED_MAX 3 /* descriptors that were not open when init was made: stdio */

/* For init: to go on. */
struct word {
	bool launch;	      /* to the end; else another word follows */
	bool has[PASSED_MAX]; /* which of them come with it */
};

struct report {
	int error;
	unsigned cpu;	/* where the first task is, which tells that */
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
	struct report r = {errno, 0, need, ""};

	snprintf(r.what, sizeof(r.what), "%s", what);
	if (write(fd, &r, sizeof(r)) < 0)
		_exit(124);
	_exit(125);
}

static _Noreturn void init_fail(int fd, const char *what)
{
	init_need(fd, NEED_COUNT, what);
}

static void make_folder(int back, const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		init_fail(back, path);
}

static void mount_tmpfs(int back, const char *path)
{
	make_folder(back, path);
	if (mount("shadow", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		init_need(back, NEED_MOUNT, "cannot mount a private tmpfs");
}

/* Covers the kernel's directories with empty ones of our own; of one file system, as making one and
 * taking it down take as long as everything else here. */
static void cover_kernel(int back, uint64_t *ret_dev)
{
	static const char *const others[] = {"/proc", "/sys"};
	struct stat st;

	mount_tmpfs(back, "/dev");
	make_folder(back, "/dev/empty");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		make_folder(back, others[i]);
		if (mount("/dev/empty", others[i], NULL, MS_BIND, NULL) < 0)
			init_need(back, NEED_MOUNT, "cannot mount an empty directory");
	}
	if (stat("/dev", &st) < 0)
		init_fail(back, "/dev");
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

	c->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->proc_fd < 0)
		init_fail(back, "/proc");
	make_mounts_private(back);
	if (c->root != NULL) {
		enter_root(c->root, back);
		mount_folders(c->mounts, back);
	}
	cover_kernel(back, &config->stand_in_dev);
	mount_tmpfs(back, "/dev/shm");
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
	int region = aside(back, c->region_fd), shim = aside(back, c->shim_files.boot);
	int text = aside(back, c->shim_files.text);
	holder = aside(back, holder);
	c->proc_fd = aside(back, c->proc_fd);
	for (int fd = 0; fd < 3; fd++)
		c->stdio_fd[fd] = aside(back, c->stdio_fd[fd]);
	place(back, holder, SHIM_FD_HOLDER);
	place(back, region, SHIM_FD_REGION);
	place(back, shim, SHIM_FD_SHIM);
	place(back, text, SHIM_FD_TEXT);
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

/* By this the tracer learns who we are. */
static void say_ready(void)
{
	struct report ok = {0, 0, NEED_COUNT, ""};

	syscall(SYS_getcpu, &ok.cpu, NULL, NULL);
	if (write(0, &ok, sizeof(ok)) < 0)
		_exit(125);
}

/* `back` of the container `c`; for clone(2). */
struct start {
	struct container *c;
	int back;
};

static int first_task(void *arg)
{
	const struct start *start = arg;
	int back = start->back;
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
	task_descriptors(start->c, back);
	/* It closes at exec. */
	fcntl(0, F_SETFD, FD_CLOEXEC);
	say_ready();
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
static bool init_wait(struct container *c, int go, int back, struct word *ret_word)
{
	struct message m;
	int fds[PASSED_MAX];
	size_t count = 0, at = 0;

	message_init(&m, ret_word);
	if (recvmsg(go, &m.header, 0) != (ssize_t)sizeof(*ret_word))
		return false;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&m.header);
	if (head != NULL) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(*fds);
		memcpy(fds, CMSG_DATA(head), count * sizeof(*fds));
	}
	for (int i = 0; i < PASSED_MAX; i++) {
		if (!ret_word->has[i])
			continue;
		/* The kernel passes as many as the limit lets it. */
		errno = EMFILE;
		if (at == count)
			init_need(back, NEED_FILES, "cannot take descriptors over");
		c->stdio_fd[i] = fds[at++];
	}
	return true;
}

/* Shares our memory until it executes the shim, so that the kernel copies none; we stand still
 * meanwhile.  By clone(3), as it needs a stack of its own; it takes no locks, which a thread of the
 * tracer might hold for ever here, as fork(3) does. */
static pid_t make_first_task(struct container *c, int back)
{
	static _Alignas(16) char stack[128 << 10];
	struct start start = {c, back};

	return clone(first_task, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &start);
}

static _Noreturn void init_main(struct container *c, const struct channels *p)
{
	struct report ok = {0, 0, NEED_COUNT, ""};
	struct word word;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid();
	close(p->go[1]);
	close(p->back[0]);
	int error = shim_image_open(c->shim_offset, &c->shim_files);
	/* Told when the tracer is done with what it does to us. */
	if (!init_wait(c, p->go[0], p->back[1], &word))
		_exit(125);
	if (error < 0) {
		errno = -error;
		init_need(p->back[1], NEED_MEMFD_EXEC, "cannot create the shim's memory file");
	}
	init_mounts(c, p->back[1]);
	if (write(p->back[1], &ok, sizeof(ok)) < 0)
		_exit(125);
	while (!word.launch) {
		if (!init_wait(c, p->go[0], p->back[1], &word))
			_exit(125);
	}
	if (make_first_task(c, p->back[1]) < 0)
		init_fail(p->back[1], "cannot fork the first task");
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

/* Whose a report is, and where he is. */
struct sender {
	pid_t pid;
	unsigned cpu;
};

/* `lacking` is what a missing report means.  ret_sender may be NULL. */
static int read_report(struct container *c, int fd, int lacking, struct sender *ret_sender)
{
	struct report r;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec bytes = {&r, sizeof(r)};
	struct msghdr m = {.msg_iov = &bytes,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct ucred ids = {0};
	ssize_t n;

	do
		n = recvmsg(fd, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(r))
		return lacking;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&m);
	if (head != NULL && head->cmsg_type == SCM_CREDENTIALS)
		memcpy(&ids, CMSG_DATA(head), sizeof(ids));
	if (ret_sender != NULL)
		*ret_sender = (struct sender){ids.pid, r.cpu};
	if (r.error != 0) {
		r.what[sizeof(r.what) - 1] = '\0';
		return say_need(c, r.need, r.error, r.what);
	}
	return 0;
}

int container_first_report(struct container *c)
{
	if (HEAD->filter_error != 0)
		return say_need(c, NEED_SECCOMP, (int)HEAD->filter_error,
				"cannot install the seccomp filter");
	/* Its writers are gone: the report is there or never comes. */
	return c->report_fd >= 0 ? read_report(c, c->report_fd, 0, NULL) : 0;
}

/* For all but the first task on its way to the shim, whose exec is not told. */
#define TRACE_OPTIONS (FIRST_OPTIONS | PTRACE_O_TRACEEXEC)
#define FIRST_OPTIONS                                                                         \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACESECCOMP)

static void put_descriptors(struct message *m, const int *fds, size_t count)
{
	m->header.msg_controllen = count != 0 ? CMSG_SPACE(count * sizeof(int)) : 0;
	if (count == 0)
		return;
	struct cmsghdr *head = CMSG_FIRSTHDR(&m->header);
	*head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
}

static int let_init_go(struct container *c, bool launch)
{
	struct message m;
	struct word word = {.launch = launch};
	int fds[PASSED_MAX];
	size_t count = 0;

	message_init(&m, &word);
	for (int i = 0; launch && i < PASSED_MAX; i++) {
		word.has[i] = c->stdio_fd[i] >= 0;
		if (word.has[i])
			fds[count++] = c->stdio_fd[i];
	}
	put_descriptors(&m, fds, count);
	if (sendmsg(c->init_socket, &m.header, MSG_NOSIGNAL) == (ssize_t)sizeof(word)) {
		c->launching = launch;
		return 0;
	}
	int error = say(c, errno, "starting the container's init");
	/* It has ended: perhaps it says why. */
	return error == -EPIPE || error == -ECONNRESET ? read_report(c, c->report_fd, error, NULL)
						       : error;
}

#define GONE "the first task ended at its start"

/* With what it says of that. */
static int first_is_gone(struct container *c)
{
	int error = container_first_report(c);

	return error < 0 ? error : say(c, ECHILD, GONE);
}

/* Who has ended is nobody's to trace either (EPERM), as long as init has not reaped it. */
static bool has_ended(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool ended = p.fd < 0 ? errno == ESRCH : poll(&p, 1, 0) == 1;

	if (p.fd >= 0)
		close(p.fd);
	return ended;
}

/* Whether there are more who would run than processors: proc_loadavg(5), the fourth field. */
static bool is_crowded(const cpu_set_t *cpus)
{
	char text[128] = "";
	int running = 0, fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "%*s %*s %*s %d", &running);
	if (fd >= 0)
		close(fd);
	return running > CPU_COUNT(cpus);
}

/* Where the first task is, unless somebody else may be there, too: of two processors the kernel had
 * no other to choose, and ours is free. */
static void choose_processor(struct container *c, unsigned cpu)
{
	if (is_crowded(&c->all))
		cpu = (unsigned)sched_getcpu();
	c->one = c->others = c->all;
	if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &c->all))
		return;
	CPU_ZERO(&c->one);
	CPU_SET(cpu, &c->one);
	if (CPU_COUNT(&c->all) > 1)
		CPU_CLR(cpu, &c->others);
}

static int seize_failed(struct container *c, pid_t pid, int error)
{
	if (error == ESRCH || (error == EPERM && has_ended(pid)))
		return first_is_gone(c);
	return say_need(c, NEED_PTRACE, error, "cannot trace (PTRACE_SEIZE)");
}

/* Takes the first task over, and lets it go on. */
static int seize_first(struct container *c)
{
	struct sender first;
	int error = read_report(c, c->report_fd, say(c, ECHILD, GONE), &first);

	if (error < 0)
		return error;
	if (ptrace(PTRACE_SEIZE, first.pid, NULL, FIRST_OPTIONS) < 0)
		return seize_failed(c, first.pid, errno);
	c->first = first.pid;
	c->coming = true;
	container_task_put(c, c->first, 0);
	choose_processor(c, first.cpu);
	sched_setaffinity(c->first, sizeof(c->one), &c->one);
	__atomic_store_n(&HEAD->traced, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &HEAD->traced, FUTEX_WAKE, 1, NULL, NULL, 0);
	return 0;
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
	sched_setaffinity(c->init, sizeof(c->beside), &c->beside);
	return c->own_user_namespace ? map_ids(c) : 0;
}

int container_prepare(struct container *c)
{
	struct channels p;
	int error = raise_descriptor_limit(c), on = 1;

	if (error < 0)
		return error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.go) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.back) < 0 ||
	    setsockopt(p.back[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return say(c, errno, "cannot make a channel to the container's init");
	error = start_init(c, &p);
	close(p.go[0]);
	close(p.back[1]);
	c->init_socket = p.go[1];
	c->report_fd = p.back[0];
	return error;
}

int container_mount(struct container *c, bool launch)
{
	return let_init_go(c, launch);
}

int container_made(struct container *c)
{
	return read_report(c, c->report_fd,
			   say(c, EPIPE, "the container's init ended at its start"), NULL);
}

int container_arrived(struct container *c)
{
	c->coming = false;
	return ptrace(PTRACE_SETOPTIONS, c->first, NULL, TRACE_OPTIONS) < 0 ? -errno : 0;
}

int container_launch(struct container *c)
{
	patcher_yields_set(c->patcher, &HEAD->config);
	int error = c->launching ? 0 : let_init_go(c, true);
	return error < 0 ? error : seize_first(c);
}
