/*
 * Pipes where tasks end, are interrupted or lose their descriptor while they wait: killed readers
 * and openers, closed numbers, exec over a waiting thread, signals in reads and writes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

static char big[1 << 20];
static int ends[2];

static void on_signal(int number)
{
	(void)number;
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static pid_t signal_parent_later(int number)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		usleep(20000);
		kill(getppid(), number);
		_exit(0);
	}
	return child;
}

/* The end a killed reader waited on is closed. */
static void check_killed_reader(void)
{
	char byte;
	int status;

	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 1);
	}
	close(ends[0]);
	usleep(20000);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	close(ends[1]);
}

static void *read_one(void *fd)
{
	char byte = 0;
	ssize_t got = read((int)(intptr_t)fd, &byte, 1);

	return (void *)(intptr_t)(got == 1 ? byte : got);
}

/* A read goes on after another thread has closed its number. */
static void check_closed_number(void)
{
	pthread_t thread;
	void *result;

	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&thread, NULL, read_one, (void *)(intptr_t)ends[0]) == 0);
	usleep(20000);
	CHECK(close(ends[0]) == 0 && write(ends[1], "y", 1) == 1);
	CHECK(pthread_join(thread, &result) == 0 && (intptr_t)result == 'y');
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	close(ends[1]);
}

/* execve ends the other threads, and what they held. */
static void check_exec(const char *program)
{
	pthread_t thread;
	int status;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		CHECK(pthread_create(&thread, NULL, read_one, (void *)(intptr_t)ends[0]) == 0);
		usleep(20000);
		execl(program, program, "sleeper", NULL);
		_exit(9);
	}
	close(ends[0]);
	usleep(100000);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(ends[1]);
}

static void check_interrupted(void)
{
	char byte;

	CHECK(pipe(ends) == 0);
	handle(SIGUSR1, 0);
	pid_t child = signal_parent_later(SIGUSR1);
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
	CHECK(waitpid(child, NULL, 0) == child);
	child = signal_parent_later(SIGUSR1);
	CHECK(write(ends[1], big, sizeof(big)) == 65536);
	CHECK(waitpid(child, NULL, 0) == child);
	child = signal_parent_later(SIGUSR1);
	CHECK(write(ends[1], big, 1) == -1 && errno == EINTR);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(read(ends[0], big, sizeof(big)) == 65536);
	handle(SIGUSR1, SA_RESTART);
	child = fork();
	if (child == 0) {
		usleep(20000);
		kill(getppid(), SIGUSR1);
		usleep(20000);
		_exit(write(ends[1], "z", 1) != 1);
	}
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'z');
	CHECK(waitpid(child, NULL, 0) == child);
	close(ends[0]);
	close(ends[1]);
}

static void check_sigpipe(void)
{
	int status;

	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		close(ends[0]);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		close(ends[0]);
		_exit(write(ends[1], big, sizeof(big)) > 0);
	}
	usleep(20000);
	CHECK(read(ends[0], big, 100) == 100);
	close(ends[0]);
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGPIPE);
	close(ends[1]);
}

static void check_fifo(void)
{
	struct stat st, by_name;
	char text[8];
	int status;

	CHECK(mkfifo("fifo", 0640) == 0);
	handle(SIGUSR1, 0);
	pid_t child = signal_parent_later(SIGUSR1);
	CHECK(open("fifo", O_RDONLY) == -1 && errno == EINTR);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(open("fifo", O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO);
	child = fork();
	if (child == 0)
		_exit(open("fifo", O_RDONLY) < 0);
	usleep(20000);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
	CHECK(open("fifo", O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO);
	int both = open("fifo", O_RDWR);
	CHECK(both >= 0 && write(both, "fifo", 4) == 4 && read(both, text, 8) == 4);
	CHECK(fstat(both, &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0640);
	CHECK(stat("fifo", &by_name) == 0 && by_name.st_ino == st.st_ino);
	CHECK(unlink("fifo") == 0 && write(both, "x", 1) == 1 && close(both) == 0);
	CHECK(mkfifo("fifo", 0600) == 0);
	int in = open("fifo", O_RDONLY | O_NONBLOCK);
	CHECK(in >= 0 && read(in, text, 8) == 0);
	int out = open("fifo", O_WRONLY);
	CHECK(read(in, text, 8) == -1 && errno == EAGAIN);
	CHECK(write(out, "ab", 2) == 2 && close(out) == 0);
	CHECK(read(in, text, 8) == 2 && read(in, text, 8) == 0);
	close(in);
	unlink("fifo");
}

static void check_numbers(void)
{
	struct stat st[2];
	char byte;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK(fcntl(ends[0], F_GETFL) == (O_RDONLY | O_NONBLOCK));
	CHECK(fcntl(ends[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
	CHECK(fstat(ends[0], &st[0]) == 0 && fstat(ends[1], &st[1]) == 0);
	CHECK(st[0].st_ino == st[1].st_ino && st[0].st_mode == (S_IFIFO | 0600));
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 5000) == 8192);
	CHECK(write(ends[1], big, 20000) == 8192);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) == -1 && errno == EBUSY);
	CHECK(read(ends[0], bad_address, 1) == -1 && errno == EFAULT);
	CHECK(read(ends[0], big, 20000) == 8192);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 0) == 4096);
	CHECK(write(ends[1], big, 100) == 100 && write(ends[1], big, 4096) == -1);
	CHECK(errno == EAGAIN && read(ends[0], big, 200) == 100);
	CHECK(pipe(bad_address) == -1 && errno == EFAULT);
	CHECK(pipe2(ends, 1) == -1 && errno == EINVAL);
	int next = dup(0);
	CHECK(next == ends[1] + 1 && close(next) == 0);
	int file = open("sent", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(write(file, "hello", 5) == 5 && lseek(file, 1, SEEK_SET) == 1);
	CHECK(sendfile(ends[1], file, NULL, 100) == 4);
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'e');
	CHECK(close(file) == 0 && unlink("sent") == 0);
	close(ends[0]);
	close(ends[1]);
}

static int counter;

static void *add(void *unused)
{
	uint64_t value = UINT64_MAX - 5;

	(void)unused;
	CHECK(write(counter, &value, 8) == 8);
	CHECK(write(counter, &value, 8) == 8);
	return NULL;
}

static void check_eventfd(void)
{
	pthread_t thread;
	uint64_t value;

	counter = eventfd(0, EFD_CLOEXEC);
	CHECK(pthread_create(&thread, NULL, add, NULL) == 0);
	CHECK(read(counter, &value, 8) == 8 && value == UINT64_MAX - 5);
	CHECK(read(counter, &value, 8) == 8 && value == UINT64_MAX - 5);
	CHECK(pthread_join(thread, NULL) == 0 && close(counter) == 0);
	CHECK(eventfd(0, 2) == -1 && errno == EINVAL);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		usleep(200000);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	check_killed_reader();
	check_closed_number();
	check_exec(argv[0]);
	check_interrupted();
	check_sigpipe();
	check_fifo();
	check_numbers();
	check_eventfd();
	printf("pipe edges ok\n");
	return 0;
}
