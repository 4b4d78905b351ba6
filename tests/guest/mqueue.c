/*
 * POSIX message queues: opening, priorities, waiting on either side, notification, polling,
 * attributes, limits, unlinking while open, errors in their order.
 */
#include <stdbool.h>
#include <fcntl.h>
#include <mqueue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "children.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))
#define SIZE		   16

static char name[64];
static char buffer[SIZE];

static mqd_t make(int flags, long count)
{
	struct mq_attr attr = {.mq_maxmsg = count, .mq_msgsize = SIZE};
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);

	CHECK(q >= 0);
	return q;
}

static void unmake(mqd_t q)
{
	CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
}

static void put(mqd_t q, const char *text, unsigned int priority)
{
	CHECK(mq_send(q, text, strlen(text) + 1, priority) == 0);
}

static void take(mqd_t q, const char *text, unsigned int priority)
{
	unsigned int got = 99;

	CHECK(mq_receive(q, buffer, SIZE, &got) == (ssize_t)strlen(text) + 1);
	CHECK(strcmp(buffer, text) == 0 && got == priority);
}

static long count_of(mqd_t q)
{
	struct mq_attr attr;

	CHECK(mq_getattr(q, &attr) == 0);
	return attr.mq_curmsgs;
}

static void test_open(void)
{
	struct mq_attr bad = {.mq_maxmsg = 0, .mq_msgsize = 1}, attr;

	FAILS(mq_open(name, O_RDWR), ENOENT);
	FAILS(syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, NULL), EACCES); /* a slash */
	FAILS(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
	FAILS(syscall(SYS_mq_open, "..", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	FAILS(syscall(SYS_mq_open, (char *)8, O_CREAT | O_RDWR, 0600, NULL), EFAULT);
	FAILS(syscall(SYS_mq_open, name + 1, O_CREAT | O_RDWR, 0600, (void *)8), EFAULT);
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &bad), EINVAL);
	bad = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = -1};
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &bad), EINVAL);
	bad = (struct mq_attr){.mq_maxmsg = 100000, .mq_msgsize = 1};
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, &bad), EINVAL);
	char longer[300];
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[299] = 0;
	FAILS(mq_open(longer, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
	umask(027);
	mqd_t q = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0666, NULL);
	CHECK(q >= 0 && fcntl(q, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(q, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(mq_getattr(q, &attr) == 0 && attr.mq_flags == O_NONBLOCK);
	CHECK(attr.mq_maxmsg == 10 && attr.mq_msgsize == 8192 && attr.mq_curmsgs == 0);
	struct stat st;
	CHECK(fstat(q, &st) == 0 && st.st_mode == (S_IFREG | 0640) && st.st_size == 80);
	CHECK(st.st_nlink == 1 && st.st_uid == geteuid());
	FAILS(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	FAILS(mq_open(name, O_RDWR | O_WRONLY), EINVAL);
	mqd_t other = mq_open(name, O_CREAT | O_RDONLY, 0, &bad); /* the attributes are not read */
	CHECK(other >= 0 && other != q);
	put(q, "same", 0);
	CHECK(count_of(other) == 1);
	FAILS(mq_send(other, "x", 1, 0), EBADF);
	CHECK(mq_unlink(name) == 0);
	FAILS(mq_unlink(name), ENOENT);
	FAILS(mq_open(name, O_RDWR), ENOENT);
	CHECK(fstat(q, &st) == 0 && st.st_nlink == 0 && count_of(other) == 1);
	mqd_t fresh = make(0, 1); /* another one of that name */
	CHECK(count_of(fresh) == 0);
	unmake(fresh);
	CHECK(mq_close(q) == 0 && mq_close(other) == 0);
}

static void test_errors(void)
{
	mqd_t q = make(O_NONBLOCK, 2);
	struct timespec bad = {.tv_nsec = 1000000000};

	FAILS(mq_send(q, buffer, SIZE + 1, 0), EMSGSIZE);
	FAILS(mq_send(q, buffer, 1, 32768), EINVAL);
	FAILS(mq_send(0, buffer, 1, 0), EBADF);
	FAILS(mq_send(900, buffer, 1, 0), EBADF);
	FAILS(mq_send(q, (char *)8, 1, 0), EFAULT);
	FAILS(mq_timedsend(q, buffer, 1, 0, &bad), EINVAL);
	FAILS(mq_timedsend(q, buffer, 1, 0, (struct timespec *)8), EFAULT);
	FAILS(mq_receive(q, buffer, SIZE, NULL), EAGAIN);
	FAILS(mq_receive(q, buffer, SIZE - 1, NULL), EMSGSIZE);
	FAILS(mq_receive(0, buffer, SIZE, NULL), EBADF);
	CHECK(mq_send(q, "", 0, 32767) == 0);
	put(q, "two", 0);
	FAILS(mq_send(q, "x", 1, 0), EAGAIN);
	CHECK(mq_receive(q, buffer, SIZE, NULL) == 0);
	FAILS(mq_receive(q, (char *)8, SIZE, NULL), EFAULT); /* and it is lost */
	CHECK(count_of(q) == 0);
	struct mq_attr attr = {.mq_flags = O_APPEND}, old;
	FAILS(mq_setattr(q, &attr, NULL), EINVAL);
	attr = (struct mq_attr){.mq_maxmsg = 7};
	CHECK(mq_setattr(q, &attr, &old) == 0 && old.mq_flags == O_NONBLOCK && old.mq_maxmsg == 2);
	CHECK(mq_getattr(q, &attr) == 0 && attr.mq_flags == 0 && attr.mq_maxmsg == 2);
	FAILS(mq_getattr(0, &attr), EBADF);
	struct timespec past = {.tv_sec = 1};
	FAILS(mq_timedreceive(q, buffer, SIZE, NULL, &past), ETIMEDOUT);
	FAILS(write(q, "x", 1), EINVAL);
	unmake(q);
}

static void test_priorities(void)
{
	mqd_t q = make(0, 5);

	put(q, "low", 1);
	put(q, "high", 9);
	put(q, "middle", 5);
	put(q, "middle 2", 5);
	put(q, "high 2", 9);
	take(q, "high", 9);
	take(q, "high 2", 9);
	take(q, "middle", 5);
	take(q, "middle 2", 5);
	take(q, "low", 1);
	unmake(q);
}

static void test_text(void)
{
	mqd_t q = make(0, 5);
	char text[100] = "";

	put(q, "12345", 0);
	CHECK(read(q, text, 99) > 0);
	CHECK(strcmp(text, "QSIZE:6          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n") == 0);
	CHECK(read(q, text, 99) == 0);
	CHECK(lseek(q, 6, SEEK_SET) == 6 && read(q, text, 3) == 3 && memcmp(text, "6  ", 3) == 0);
	unmake(q);
}

static bool is_ready(mqd_t q, short events)
{
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents == events;
}

static void test_poll(void)
{
	mqd_t q = make(0, 2);
	int e = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;

	CHECK(is_ready(q, POLLOUT));
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, q, &event) == 0 && epoll_wait(e, &got, 1, 0) == 0);
	put(q, "a", 0);
	CHECK(is_ready(q, POLLIN | POLLOUT));
	CHECK(epoll_wait(e, &got, 1, 0) == 1 && epoll_wait(e, &got, 1, 0) == 0);
	put(q, "b", 0);
	CHECK(is_ready(q, POLLIN));
	pid_t pid = fork();
	if (!pid) {
		struct pollfd p = {.fd = q, .events = POLLOUT};
		_exit(poll(&p, 1, -1) == 1 && p.revents == POLLOUT ? 0 : 1);
	}
	await_sleep(pid);
	take(q, "a", 0);
	CHECK(status_of(pid) == 0);
	close(e);
	unmake(q);
}

static pid_t receiver(mqd_t q)
{
	pid_t pid = fork();

	if (pid) {
		await_sleep(pid);
		return pid;
	}
	ssize_t n = mq_receive(q, buffer, SIZE, NULL);
	_exit(n < 0 ? errno : buffer[0]);
}

static pid_t sender(mqd_t q, const char *text, unsigned int priority)
{
	pid_t pid = fork();

	if (pid) {
		await_sleep(pid);
		return pid;
	}
	_exit(mq_send(q, text, strlen(text) + 1, priority) ? errno : 0);
}

static void test_waiting(void)
{
	mqd_t q = make(0, 1);
	pid_t first = receiver(q), second = receiver(q);

	put(q, "1", 0);
	CHECK(status_of(first) == '1' << 8 && count_of(q) == 0);
	put(q, "2", 0);
	CHECK(status_of(second) == '2' << 8);
	put(q, "full", 3);
	first = sender(q, "s1", 1);
	second = sender(q, "s2", 9); /* its priority does not let it pass in front */
	take(q, "full", 3);
	CHECK(status_of(first) == 0 && count_of(q) == 1);
	take(q, "s1", 1);
	CHECK(status_of(second) == 0);
	take(q, "s2", 9);
	unmake(q);
}

static void nothing(int signal)
{
	(void)signal;
}

static void test_interruption(void)
{
	struct sigaction action = {.sa_handler = nothing};
	mqd_t q = make(0, 1);
	struct timespec limit, now;

	sigaction(SIGUSR1, &action, NULL);
	pid_t pid = receiver(q);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pid = receiver(q);
	CHECK(kill(pid, SIGUSR1) == 0);
	await_sleep(pid);
	put(q, "r", 0);
	CHECK(status_of(pid) == 'r' << 8);
	pid = receiver(q);
	CHECK(kill(pid, SIGKILL) == 0 && status_of(pid) == SIGKILL);
	put(q, "kept", 0);
	pid = sender(q, "killed", 0);
	CHECK(kill(pid, SIGKILL) == 0 && status_of(pid) == SIGKILL);
	take(q, "kept", 0);
	CHECK(count_of(q) == 0);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_nsec += 20000000;
	limit.tv_sec += limit.tv_nsec / 1000000000;
	limit.tv_nsec %= 1000000000;
	FAILS(mq_timedreceive(q, buffer, SIZE, NULL, &limit), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &now);
	CHECK(now.tv_sec > limit.tv_sec ||
	      (now.tv_sec == limit.tv_sec && now.tv_nsec >= limit.tv_nsec));
	unmake(q);
}

static volatile int told;
static volatile siginfo_t about;

static void on_message(int signal, siginfo_t *info, void *context)
{
	(void)context;
	told += signal == SIGUSR2;
	about = *info;
}

static void test_notify(void)
{
	struct sigaction action = {.sa_sigaction = on_message, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	mqd_t q = make(0, 5);

	sigaction(SIGUSR2, &action, NULL);
	event.sigev_value.sival_int = 1234;
	CHECK(mq_notify(q, &event) == 0);
	FAILS(mq_notify(q, &event), EBUSY);
	put(q, "one", 0);
	CHECK(told == 1 && about.si_code == SI_MESGQ && about.si_value.sival_int == 1234);
	CHECK(about.si_pid == getpid() && about.si_uid == getuid());
	put(q, "two", 0); /* told once, and only of an empty queue */
	CHECK(told == 1 && mq_notify(q, &event) == 0);
	put(q, "three", 0);
	CHECK(told == 1);
	while (count_of(q))
		CHECK(mq_receive(q, buffer, SIZE, NULL) > 0);
	pid_t pid = receiver(q); /* who waits is served, and nobody told */
	put(q, "x", 0);
	CHECK(status_of(pid) == 'x' << 8 && told == 1);
	pid = fork();
	if (!pid) {
		FAILS(mq_notify(q, &event), EBUSY);
		CHECK(mq_notify(q, NULL) == 0); /* not its own to end */
		mq_close(q);
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	int copy = dup(q);
	CHECK(close(copy) == 0); /* any close ends it */
	CHECK(mq_notify(q, &event) == 0 && mq_notify(q, NULL) == 0);
	put(q, "quiet", 0);
	CHECK(told == 1);
	event.sigev_notify = SIGEV_NONE;
	CHECK(mq_notify(q, &event) == 0);
	event.sigev_notify = 99;
	FAILS(mq_notify(q, &event), EINVAL);
	event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	FAILS(mq_notify(q, &event), EINVAL);
	FAILS(mq_notify(0, NULL), EBADF);
	unmake(q);
}

/* What the C library makes SIGEV_THREAD of: a cookie through a netlink socket. */
static long notify_socket(mqd_t q, int fd, const void *cookie)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_signo = fd};

	event.sigev_value.sival_ptr = (void *)cookie;
	return syscall(SYS_mq_notify, q, &event);
}

static void cookie_came(int fd, char why)
{
	char got[64];
	struct sockaddr_nl from = {.nl_pid = 77};
	socklen_t size = sizeof(from);

	CHECK(recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&from, &size) == 32);
	CHECK(memcmp(got, "a cookie of thirty-two bytes ..", 31) == 0 && got[31] == why);
	CHECK(size == sizeof(from) && from.nl_family == AF_NETLINK && from.nl_pid == 0);
	FAILS(recv(fd, got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

static void test_notify_socket(void)
{
	static const char cookie[] = "a cookie of thirty-two bytes ..";
	mqd_t q = make(0, 5);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), file = open("/dev/null", O_RDONLY);
	int other = socket(AF_UNIX, SOCK_STREAM, 0);

	FAILS(notify_socket(q, 99, NULL), EFAULT);
	FAILS(notify_socket(q, 99, cookie), EBADF);
	FAILS(notify_socket(q, file, cookie), ENOTSOCK);
	FAILS(notify_socket(q, other, cookie), EINVAL);
	FAILS(notify_socket(file, fd, cookie), EBADF);
	CHECK(notify_socket(q, fd, cookie) == 0);
	FAILS(notify_socket(q, fd, cookie), EBUSY);
	put(q, "one", 0);
	cookie_came(fd, 1);
	CHECK(notify_socket(q, fd, cookie) == 0); /* it has a message: nobody is told */
	put(q, "two", 0);
	CHECK(mq_notify(q, NULL) == 0);
	cookie_came(fd, 2);
	CHECK(notify_socket(q, fd, cookie) == 0 && close(dup(q)) == 0);
	cookie_came(fd, 2);
	CHECK(notify_socket(q, fd, cookie) == 0);
	CHECK(close(fd) == 0 && close(file) == 0 && close(other) == 0);
	take(q, "one", 0);
	take(q, "two", 0);
	put(q, "to nobody", 0);
	CHECK(mq_notify(q, NULL) == 0);
	unmake(q);
}

static sem_t threads_told;

static void on_thread(union sigval value)
{
	CHECK(value.sival_int == 4321);
	CHECK(sem_post(&threads_told) == 0);
}

static void test_notify_thread(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};
	mqd_t q = make(0, 5);

	event.sigev_notify_function = on_thread;
	event.sigev_value.sival_int = 4321;
	sem_init(&threads_told, 0, 0);
	for (int i = 0; i < 3; i++) {
		CHECK(mq_notify(q, &event) == 0);
		put(q, "told", 0);
		CHECK(sem_wait(&threads_told) == 0);
		take(q, "told", 0);
	}
	CHECK(mq_notify(q, &event) == 0 && mq_notify(q, NULL) == 0);
	unmake(q);
}

static mqd_t shared_queue;

static int ask_and_end(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};

	(void)arg;
	return mq_notify(shared_queue, &event) == 0 ? 0 : 1;
}

/* Who asked has ended, its descriptors have not: nobody is told, but until then nobody else can
 * ask. */
static void test_notify_shared(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	mqd_t q = shared_queue = make(0, 5);
	int before = told;
	pid_t pid = clone(ask_and_end, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);

	CHECK(pid > 0 && status_of(pid) == 0);
	FAILS(mq_notify(q, &event), EBUSY);
	CHECK(mq_notify(q, NULL) == 0);
	FAILS(mq_notify(q, &event), EBUSY);
	pid = fork(); /* takes the place of the one that asked */
	if (!pid) {
		CHECK(mq_send(q, "x", 1, 0) == 0);
		_exit(told - before);
	}
	CHECK(status_of(pid) == 0 && told == before);
	CHECK(mq_receive(q, buffer, SIZE, NULL) == 1);
	CHECK(mq_notify(q, &event) == 0);
	put(q, "x", 0);
	CHECK(told == before + 1);
	unmake(q);
}

/* The program that comes after it in the process did not ask. */
static void test_notify_exec(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
	int go[2], ready[2];
	char byte;
	mqd_t q = make(0, 5);

	CHECK(pipe2(go, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
	pid_t pid = fork();
	if (!pid) {
		CHECK(fcntl(q, F_SETFD, 0) == 0 && dup2(go[0], 0) == 0);
		CHECK(mq_notify(q, &event) == 0);
		execl("/bin/cat", "cat", NULL);
		_exit(1);
	}
	close(ready[1]); /* the child's goes with exec */
	CHECK(read(ready[0], &byte, 1) == 0);
	FAILS(mq_notify(q, &event), EBUSY);
	put(q, "x", 0);
	close(go[1]);
	CHECK(status_of(pid) == 0);
	CHECK(close(go[0]) == 0 && close(ready[0]) == 0);
	unmake(q);
}

static int as_user(void (*what)(void))
{
	pid_t pid = fork();

	if (!pid) {
		if (setgid(1234) || setuid(1234))
			_exit(77);
		what();
		_exit(0);
	}
	return status_of(pid);
}

static void others(void)
{
	struct mq_attr many = {.mq_maxmsg = 11, .mq_msgsize = 1};
	struct mq_attr big = {.mq_maxmsg = 1, .mq_msgsize = 8193};
	char mine[80];

	FAILS(mq_open(name, O_WRONLY), EACCES);
	CHECK(mq_open(name, O_RDONLY) >= 0);
	FAILS(syscall(SYS_mq_unlink, name + 1), EPERM);
	snprintf(mine, sizeof(mine), "%s-mine", name);
	FAILS(mq_open(mine, O_CREAT | O_RDWR, 0600, &many), EINVAL);
	FAILS(mq_open(mine, O_CREAT | O_RDWR, 0600, &big), EINVAL);
}

static void test_limits(void)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 8192};
	struct rlimit limit = {.rlim_cur = 200000, .rlim_max = 819200};
	char mine[3][80];
	mqd_t q[3];

	umask(0);
	mqd_t one = mq_open(name, O_CREAT | O_RDWR, 0644, NULL);
	if (!geteuid())
		CHECK(as_user(others) == 0);
	CHECK(mq_close(one) == 0 && mq_unlink(name) == 0);
	struct rlimit files = {.rlim_cur = 3, .rlim_max = 1024};
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	FAILS(mq_open(name, O_CREAT | O_RDWR, 0600, NULL), EMFILE);
	files.rlim_cur = 100;
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	FAILS(mq_unlink(name), ENOENT); /* nothing was made */
	CHECK(setrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
	for (int i = 0; i < 3; i++) {
		snprintf(mine[i], sizeof(mine[i]), "%s-%d", name, i);
		q[i] = mq_open(mine[i], O_CREAT | O_RDWR, 0600, &attr);
		CHECK(i < 2 ? q[i] >= 0 : q[i] < 0 && errno == EMFILE);
	}
	CHECK(mq_unlink(mine[0]) == 0 && mq_open(mine[2], O_CREAT | O_RDWR, 0600, &attr) < 0);
	CHECK(mq_close(q[0]) == 0); /* gone only now */
	q[2] = mq_open(mine[2], O_CREAT | O_RDWR, 0600, &attr);
	CHECK(q[2] >= 0 && mq_unlink(mine[1]) == 0 && mq_unlink(mine[2]) == 0);
}

int main(void)
{
	snprintf(name, sizeof(name), "/shadow-guest-%d", getpid());
	test_open();
	test_errors();
	test_priorities();
	test_text();
	test_poll();
	test_waiting();
	test_interruption();
	test_notify();
	test_notify_socket();
	test_notify_thread();
	test_notify_shared();
	test_notify_exec();
	test_limits();
	printf("mqueue ok\n");
	return 0;
}
