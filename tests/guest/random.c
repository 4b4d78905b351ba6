/*
 * Random bytes from every source, drawn in the parent and in a forked child: all different within
 * a run, and printed, so that the runs are compared.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static uint64_t from_file(const char *path)
{
	uint64_t value;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && read(fd, &value, sizeof(value)) == sizeof(value) && close(fd) == 0);
	return value;
}

static uint64_t from_call(unsigned int flags)
{
	uint64_t value;

	CHECK(getrandom(&value, sizeof(value), flags) == sizeof(value));
	return value;
}

static void print_all(const char *who)
{
	uint64_t values[7], at_random[2];
	char template[] = "tmpXXXXXX", uuid[40] = "";
	int fd = mkstemp(template);

	CHECK(fd >= 0 && close(fd) == 0 && unlink(template) == 0);
	memcpy(at_random, (const void *)getauxval(AT_RANDOM), sizeof(at_random));
	values[0] = from_call(0);
	values[1] = from_call(GRND_NONBLOCK);
	values[2] = from_call(GRND_RANDOM);
	values[3] = from_file("/dev/urandom");
	values[4] = from_file("/dev/random");
	values[5] = at_random[0];
	values[6] = at_random[1];
	fd = open("/proc/sys/kernel/random/uuid", O_RDONLY);
	CHECK(fd >= 0 && read(fd, uuid, 36) == 36 && close(fd) == 0);
	printf("%s %s %s", who, template, uuid);
	for (int i = 0; i < 7; i++) {
		for (int k = 0; k < i; k++)
			CHECK(values[i] != values[k]);
		printf(" %016lx", values[i]);
	}
	printf("\n");
	fflush(stdout);
}

int main(void)
{
	static unsigned char much[100000];
	int counts[256] = {0};
	pid_t child;

	print_all("parent");
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		print_all("child");
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(getrandom(much, sizeof(much), 0) == sizeof(much));
	for (size_t i = 0; i < sizeof(much); i++)
		counts[much[i]]++;
	for (int i = 0; i < 256; i++)
		CHECK(counts[i] > 250 && counts[i] < 550);
	CHECK(getrandom(much, 1, 0xff00) == -1 && errno == EINVAL);
	return 0;
}
