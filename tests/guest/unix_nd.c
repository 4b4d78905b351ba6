/*
 * What of AF_UNIX sockets differs from run to run on bare Linux: names they get by themselves,
 * inode numbers, credentials, and which of several processes is served when all came at once.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define CHILDREN 6
#define ROUNDS	 5

static void print_names(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(a);
	char path[64], link[64] = "";
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0 && fstat(fd, &st) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	printf("name %s inode %lu link %s\n", a.sun_path + 1, (unsigned long)st.st_ino, link);
	close(fd);
}

static void print_credentials(void)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int p[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	CHECK(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
	printf("pid %d\n", cred.pid);
	close(p[0]);
	close(p[1]);
}

/* Children that come at once and take one connection after the other; the log says who had which.
 */
static void serve(int listener, int *log, int child)
{
	struct pollfd p = {listener, POLLIN, 0};
	int which;

	for (;;) {
		int fd = child % 2 && poll(&p, 1, -1) < 0 ? -1 : accept(listener, NULL, NULL);
		if (fd < 0 || read(fd, &which, sizeof(which)) != sizeof(which) || which < 0)
			_exit(0);
		log[which] = getpid();
		close(fd);
		usleep(1000);
	}
}

static void print_order(void)
{
	struct sockaddr_un a = {AF_UNIX, "\0unix_nd"};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 8;
	int *log = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(bind(listener, (struct sockaddr *)&a, len) == 0 && listen(listener, 4) == 0);
	for (int i = 0; i < CHILDREN; i++) {
		if (fork() == 0)
			serve(listener, log, i);
	}
	for (int i = 0; i < CHILDREN * (ROUNDS + 1); i++) {
		int which = i < CHILDREN * ROUNDS ? i : -1;
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(connect(fd, (struct sockaddr *)&a, len) == 0);
		CHECK(write(fd, &which, sizeof(which)) == sizeof(which));
		close(fd);
	}
	while (wait(NULL) > 0)
		continue;
	printf("served by");
	for (int i = 0; i < CHILDREN * ROUNDS; i++)
		printf(" %d", log[i]);
	printf("\n");
	close(listener);
}

int main(void)
{
	for (int i = 0; i < 3; i++)
		print_names();
	print_credentials();
	print_order();
	return 0;
}
