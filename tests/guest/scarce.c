/*
 * The memory for what the kernel keeps runs out (the case gives little of it): calls that keep
 * something fail, each with its errno; reading, closing and writing to standard output go on; once
 * enough is given back, all is as before.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PIPE_BYTES (1 << 20)
#define PIPES_MOST 400

static int pipes[PIPES_MOST][2], count;
static char bytes[PIPE_BYTES];
static int spare[2], sockets[2], file, queue;

#define FAILS(call, code) CHECK((errno = 0, (call) == -1) && errno == (code))

/* Full pipes, until there is no memory for another: the call that fails is one of these. */
static void use_up(void)
{
	while (count < PIPES_MOST) {
		if (pipe2(pipes[count], O_NONBLOCK) < 0) {
			CHECK(errno == ENFILE);
			return;
		}
		count++;
		if (fcntl(pipes[count - 1][1], F_SETPIPE_SZ, PIPE_BYTES) < 0 ||
		    write(pipes[count - 1][1], bytes, sizeof(bytes)) != sizeof(bytes)) {
			CHECK(errno == ENOMEM);
			return;
		}
	}
	CHECK(!"there is memory for all of them");
}

static void check_descriptors(void)
{
	int fds[2];

	FAILS(pipe(fds), ENFILE);
	FAILS(socket(AF_INET, SOCK_STREAM, 0), ENOBUFS);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ENOBUFS);
	FAILS(eventfd(0, 0), ENOMEM);
	FAILS(epoll_create1(0), ENOMEM);
	FAILS(timerfd_create(CLOCK_MONOTONIC, 0), ENOMEM);
	FAILS(open("/dev/null", O_RDONLY), ENOMEM);
	FAILS(memfd_create("x", 0), ENOMEM);
	FAILS(mkdir("folder", 0777), ENOMEM);
	FAILS(flock(file, LOCK_EX), ENOLCK);
	struct flock lock = {.l_type = F_WRLCK};
	FAILS(fcntl(file, F_SETLK, &lock), ENOLCK);
}

static void check_queues(void)
{
	struct {
		long type;
		char text[8];
	} message = {1, "text"};

	FAILS(write(spare[1], "x", 1), ENOMEM);
	FAILS(write(sockets[1], "x", 1), ENOBUFS);
	FAILS(send(sockets[1], "x", 1, 0), ENOBUFS);
	FAILS(msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT), ENOMEM);
	FAILS(msgget(IPC_PRIVATE, 0600), ENOMEM);
	FAILS(sigqueue(getpid(), SIGUSR1, (union sigval){0}), EAGAIN);
}

static void check_processes(void)
{
	timer_t timer;

	FAILS(fork(), ENOMEM);
	FAILS(timer_create(CLOCK_MONOTONIC, NULL, &timer), EAGAIN);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == ENOMEM);
	FAILS(execl("/bin/true", "true", NULL), ENOMEM);
}

/* What takes nothing. */
static void check_others(void)
{
	char got[4];
	struct stat st;

	CHECK(read(spare[0], got, sizeof(got)) == 2);
	CHECK(read(sockets[0], got, sizeof(got)) == 2);
	CHECK(write(file, "more", 4) == 4);
	CHECK(fstat(file, &st) == 0 && st.st_size == 4);
	CHECK(fcntl(file, F_GETFL) >= 0);
	CHECK(write(1, "scarce\n", 7) == 7);
	CHECK(kill(getpid(), 0) == 0);
}

static void give_back(int pipes_left)
{
	while (count > pipes_left) {
		count--;
		close(pipes[count][0]);
		close(pipes[count][1]);
	}
}

static void check_enough(void)
{
	CHECK(write(spare[1], "x", 1) == 1);
	CHECK(write(sockets[1], "x", 1) == 1);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){0}) == 0);
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	CHECK(child > 0 && waitpid(child, NULL, 0) == child);
}

/* ---- what killed tasks held ---- */

#define HOLDERS	   20
#define THREADS	   100
#define OPERATIONS 500

static int set;

static void *hold(void *arg)
{
	static struct sembuf ops[OPERATIONS];

	(void)arg;
	for (int i = 0; i < OPERATIONS; i++)
		ops[i] = (struct sembuf){.sem_op = -1};
	semop(set, ops, OPERATIONS);
	return NULL;
}

static void hold_much(void)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread, &small, hold, NULL) == 0);
	while (semctl(set, 0, GETNCNT) != THREADS)
		sched_yield();
	kill(getpid(), SIGKILL);
}

/* Operations too many for the stack are kept while a task waits, and no longer. */
static void kill_holders(void)
{
	CHECK((set = semget(IPC_PRIVATE, 1, 0600)) >= 0);
	for (int i = 0; i < HOLDERS; i++) {
		pid_t child = fork();
		int status;

		CHECK(child >= 0);
		if (child == 0)
			hold_much();
		CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	}
	CHECK(semctl(set, 0, IPC_RMID) == 0);
}

int main(void)
{
	signal(SIGUSR1, SIG_IGN);
	CHECK(pipe(spare) == 0 && write(spare[1], "ab", 2) == 2);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(write(sockets[1], "ab", 2) == 2);
	CHECK((file = open("file", O_RDWR | O_CREAT, 0666)) >= 0);
	CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0);
	use_up();
	check_descriptors();
	check_queues();
	check_processes();
	check_others();
	printf("%d pipes\n", count);
	give_back(count - 3);
	kill_holders(); /* in all of them it would be more than that */
	check_enough();
	give_back(0);
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
	puts("enough");
	return 0;
}
