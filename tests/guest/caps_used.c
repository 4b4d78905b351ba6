/*
 * What one capability allows: an ordinary user who has nothing else may do it, root who lacks
 * only that may not. System V and POSIX message objects, sockets, terminals.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define OTHER 1234 /* who has one capability */
#define OWNER 777  /* whose the objects are */

static int shm, sem, tcp, pair[2];
static const char *slave;

static void caps_set(unsigned long long caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{(unsigned)caps, (unsigned)caps, 0},
					      {(unsigned)(caps >> 32), (unsigned)(caps >> 32), 0}};

	CHECK(syscall(SYS_capset, &header, d) == 0);
}

static unsigned long long caps_permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	CHECK(syscall(SYS_capget, &header, d) == 0);
	return d[0].permitted | (unsigned long long)d[1].permitted << 32;
}

/* Each returns what its call does. */
static long attach(void)
{
	return shmat(shm, NULL, 0) == (void *)-1 ? -1 : 0;
}

static long semaphore_value(void)
{
	return semctl(sem, 0, GETVAL);
}

static long shm_status(void)
{
	struct shmid_ds ds;

	return shmctl(shm, IPC_STAT, &ds);
}

static long sem_mode(void)
{
	struct semid_ds ds = {.sem_perm = {.uid = OWNER, .gid = OWNER, .mode = 0600}};

	return semctl(sem, 0, IPC_SET, &ds);
}

static long shm_lock(void)
{
	return shmctl(shm, SHM_LOCK, NULL);
}

/* One's own, but larger than is everybody's. */
static long msg_size(void)
{
	int own = msgget(IPC_PRIVATE, 0600);
	struct msqid_ds ds;

	CHECK(own >= 0 && msgctl(own, IPC_STAT, &ds) == 0);
	ds.msg_qbytes = 1 << 20;
	long r = msgctl(own, IPC_SET, &ds);
	int error = errno;
	CHECK(msgctl(own, IPC_RMID, NULL) == 0);
	errno = error;
	return r;
}

static long many_messages(void)
{
	struct mq_attr attr = {.mq_maxmsg = 500, .mq_msgsize = 16};
	mqd_t q = mq_open("/caps_used_own", O_RDWR | O_CREAT, 0600, &attr);

	return q < 0 ? -1 : mq_unlink("/caps_used_own");
}

static long bind_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(879)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static long option(int name, int value)
{
	return setsockopt(tcp, SOL_SOCKET, name, &value, sizeof(value));
}

static long debug(void)
{
	return option(SO_DEBUG, 1);
}

static long force(void)
{
	return option(SO_SNDBUFFORCE, 1 << 20);
}

static long priority(void)
{
	return option(SO_PRIORITY, 7);
}

static long mark(void)
{
	return option(SO_MARK, 3);
}

static long send_ids(pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred cred = {pid, uid, gid};
	char byte = 0, control[CMSG_SPACE(sizeof(cred))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	return sendmsg(pair[0], &m, 0) == 1 ? 0 : -1;
}

static long send_pid(void)
{
	return send_ids(getppid(), getuid(), getgid());
}

static long send_uid(void)
{
	return send_ids(getpid(), OWNER, getgid());
}

static long send_gid(void)
{
	return send_ids(getpid(), getuid(), OWNER);
}

static long socket_mode(void)
{
	return fchmod(pair[0], 0600);
}

static long open_exclusive(void)
{
	return open(slave, O_RDWR | O_NOCTTY) < 0 ? -1 : 0;
}

static const struct {
	const char *what;
	int cap;
	int also; /* allows it, too; or 0, which is not among them */
	int error;
	long (*call)(void);
} rows[] = {
	{"shmat", CAP_IPC_OWNER, 0, EACCES, attach},
	{"semctl", CAP_IPC_OWNER, 0, EACCES, semaphore_value},
	{"IPC_STAT", CAP_IPC_OWNER, 0, EACCES, shm_status},
	{"IPC_SET", CAP_SYS_ADMIN, 0, EPERM, sem_mode},
	{"SHM_LOCK", CAP_IPC_LOCK, 0, EPERM, shm_lock},
	{"msg_qbytes", CAP_SYS_RESOURCE, 0, EPERM, msg_size},
	{"mq_maxmsg", CAP_SYS_RESOURCE, 0, EINVAL, many_messages},
	{"bind", CAP_NET_BIND_SERVICE, 0, EACCES, bind_port},
	{"SO_DEBUG", CAP_NET_ADMIN, 0, EACCES, debug},
	{"SO_SNDBUFFORCE", CAP_NET_ADMIN, 0, EPERM, force},
	{"SO_PRIORITY", CAP_NET_ADMIN, CAP_NET_RAW, EPERM, priority},
	{"SO_MARK", CAP_NET_RAW, CAP_NET_ADMIN, EPERM, mark},
	{"pid of another", CAP_SYS_ADMIN, 0, EPERM, send_pid},
	{"uid of another", CAP_SETUID, 0, EPERM, send_uid},
	{"gid of another", CAP_SETGID, 0, EPERM, send_gid},
	{"fchmod of a socket", CAP_FOWNER, 0, EPERM, socket_mode},
	{"TIOCEXCL", CAP_SYS_ADMIN, 0, EBUSY, open_exclusive},
};

static unsigned long long bit(int cap)
{
	return cap ? 1ull << cap : 0;
}

/* The errno of the call in a child with these capabilities. */
static int error_with(unsigned row, uid_t uid, unsigned long long caps)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setgroups(0, NULL) == 0);
		CHECK(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
		caps_set(caps);
		_exit(rows[row].call() < 0 ? errno : 0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void make_objects(void)
{
	CHECK(seteuid(OTHER) == 0);
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && seteuid(0) == 0 && unlockpt(master) == 0);
	slave = strdup(ptsname(master));
	CHECK((tcp = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	CHECK(setegid(OWNER) == 0 && seteuid(OWNER) == 0);
	CHECK((shm = shmget(IPC_PRIVATE, 4096, 0600)) >= 0);
	CHECK((sem = semget(IPC_PRIVATE, 1, 0600)) >= 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	CHECK(seteuid(0) == 0 && setegid(0) == 0);
	int fd = open(slave, O_RDWR | O_NOCTTY);
	CHECK(fd >= 0 && ioctl(fd, TIOCEXCL) == 0);
}

int main(void)
{
	unsigned long long all = caps_permitted();

	if (geteuid() != 0) {
		puts("ok");
		return 0;
	}
	int failed = 0;
	make_objects();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned long long own = bit(rows[i].cap), also = bit(rows[i].also);

		if ((own | also) & ~all) /* of a root that lacks it */
			continue;
		int got[3] = {error_with(i, OTHER, own), error_with(i, OTHER, also),
			      error_with(i, 0, all & ~own & ~also)};
		int want[3] = {0, also ? 0 : rows[i].error, rows[i].error};
		if (memcmp(got, want, sizeof(got)) == 0)
			continue;
		fprintf(stderr, "%s: %d %d %d\n", rows[i].what, got[0], got[1], got[2]);
		failed = 1;
	}
	CHECK(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0);
	puts(failed ? "failed" : "ok");
	return failed;
}
