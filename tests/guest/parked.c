/*
 * What calls that wait hold while they do.  `killed`: with little memory left (the case limits it),
 * more tasks die in calls that wait than would fit if each left something.  `closed`: another
 * thread closes the descriptor meanwhile, and the call goes on with what it named.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "children.h"

#define PIPE_BYTES (1 << 20)
#define PIPES_MOST 400
#define PIPES_LEFT 4
#define MANY_OPS   500
#define CHUNK	   50000
#define MESSAGES   20

static char bytes[PIPE_BYTES];
static int file, sockets[2], messages, semaphores, pipes[PIPES_MOST][2], count;
static mqd_t queue;

/* ---- killed ---- */

static void in_sendfile(void)
{
	off_t at = 0;

	sendfile(sockets[0], file, &at, sizeof(bytes));
}

static void in_sendmsg(void)
{
	_Alignas(8) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {bytes, CHUNK};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &file, sizeof(file));
	sendmsg(sockets[0], &m, 0);
}

static void in_msgsnd(void)
{
	long message[1001] = {1};

	msgsnd(messages, message, sizeof(message) - sizeof(long), 0);
}

static void in_mq_send(void)
{
	mq_send(queue, bytes, 8192, 0);
}

static void in_semop(void)
{
	struct sembuf ops[MANY_OPS];

	for (int i = 0; i < MANY_OPS; i++)
		ops[i] = (struct sembuf){.sem_op = -1, .sem_flg = SEM_UNDO};
	semop(semaphores, ops, MANY_OPS);
}

static void (*const waits[])(void) = {in_sendfile, in_sendmsg, in_msgsnd, in_mq_send, in_semop};

static void *wait_in(void *which)
{
	waits[(size_t)which]();
	return NULL;
}

/* Waits in its only thread until it is killed, or in another when the first one exits. */
static void die_in(size_t which, bool in_thread)
{
	pid_t pid = fork();
	pthread_t thread;

	CHECK(pid >= 0);
	if (pid == 0 && in_thread) {
		CHECK(pthread_create(&thread, NULL, wait_in, (void *)which) == 0);
		usleep(1000);
		_exit(0);
	} else if (pid == 0) {
		waits[which]();
		_exit(1);
	}
	usleep(1000);
	CHECK(in_thread || kill(pid, SIGKILL) == 0);
	CHECK(status_of(pid) == (in_thread ? 0 : SIGKILL));
}

/* Full pipes; false: there is no memory for another. */
static bool another_pipe(void)
{
	int *p = pipes[count];

	if (pipe2(p, O_NONBLOCK) < 0)
		return false;
	count++;
	return fcntl(p[1], F_SETPIPE_SZ, PIPE_BYTES) > 0 &&
	       write(p[1], bytes, sizeof(bytes)) == sizeof(bytes);
}

static void give_back(int n)
{
	for (; n > 0; n--) {
		count--;
		close(pipes[count][0]);
		close(pipes[count][1]);
	}
}

static void make_full(void)
{
	struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8192};
	long message[1001] = {1};

	file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0 && ftruncate(file, sizeof(bytes)) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(send(sockets[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
	messages = msgget(IPC_PRIVATE, 0600);
	while (msgsnd(messages, message, sizeof(message) - sizeof(long), IPC_NOWAIT) == 0)
		;
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	queue = mq_open("/parked", O_RDWR | O_CREAT, 0600, &attr);
	CHECK(queue >= 0 && mq_unlink("/parked") == 0 && mq_send(queue, bytes, 1, 0) == 0);
	CHECK(messages >= 0 && semaphores >= 0);
}

static void killed(int rounds)
{
	make_full();
	while (count < PIPES_MOST && another_pipe())
		;
	CHECK(count < PIPES_MOST);
	give_back(PIPES_LEFT);
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		for (int round = 0; round < rounds; round++)
			die_in(i, round % 2);
		for (int n = 0; n < PIPES_LEFT - 2; n++)
			CHECK(another_pipe());
		give_back(PIPES_LEFT - 2);
	}
}

/* ---- closed ---- */

static void *send_the_file(void *unused)
{
	off_t at = 0;

	CHECK(sendfile(sockets[0], file, &at, sizeof(bytes)) == sizeof(bytes));
	return unused;
}

static void *send_messages(void *unused)
{
	struct iovec iov = {bytes, CHUNK};
	struct mmsghdr m[MESSAGES] = {0};

	for (int i = 0; i < MESSAGES; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
	CHECK(sendmmsg(sockets[0], m, MESSAGES, 0) == MESSAGES);
	return unused;
}

static void closed(void *(*send)(void *unused), size_t size)
{
	int other[2];
	pthread_t thread;
	ssize_t n;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, other) == 0);
	CHECK(pthread_create(&thread, NULL, send, NULL) == 0);
	usleep(10000);
	CHECK(dup2(other[0], sockets[0]) == sockets[0]);
	while ((n = read(sockets[1], bytes, sizeof(bytes))) > 0)
		size -= (size_t)n;
	CHECK(n == 0 && size == 0 && pthread_join(thread, NULL) == 0);
	CHECK(recv(other[1], bytes, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(sockets[0]);
	close(sockets[1]);
	close(other[0]);
	close(other[1]);
}

static void *send_what_there_is(void *unused)
{
	off_t at = 0;

	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK(sendfile(sockets[0], file, &at, sizeof(bytes)) > 0);
	return unused;
}

/* The number of the input becomes another thing's, and perhaps its place in the books, too. */
static void input_closed(void)
{
	pthread_t thread;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(pthread_create(&thread, NULL, send_what_there_is, NULL) == 0);
	usleep(10000);
	close(file);
	CHECK(epoll_create1(0) == file);
	CHECK(read(sockets[1], bytes, sizeof(bytes)) > 0);
	usleep(10000);
	close(sockets[1]);
	CHECK(pthread_join(thread, NULL) == 0);
	close(sockets[0]);
	close(file);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "killed") == 0) {
		killed(atoi(argv[2]));
	} else {
		file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
		CHECK(file >= 0 && ftruncate(file, sizeof(bytes)) == 0);
		closed(send_the_file, sizeof(bytes));
		closed(send_messages, (size_t)MESSAGES * CHUNK);
		input_closed();
	}
	printf("parked ok\n");
	return 0;
}
