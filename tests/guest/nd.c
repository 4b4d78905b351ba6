/*
 * Prints whatever differs from run to run on bare Linux: pids, times, random bytes, addresses,
 * inode numbers, the order of a directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "check.h"

#define FILES 12

static void print_bytes(const char *name, const unsigned char *bytes, int count)
{
	printf("%s ", name);
	for (int i = 0; i < count; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

static void print_times(void)
{
	struct timeval tv;
	struct timespec ts;

	CHECK(gettimeofday(&tv, NULL) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	printf("time %ld.%06ld mono %ld.%09ld\n", (long)tv.tv_sec, (long)tv.tv_usec,
	       (long)ts.tv_sec, ts.tv_nsec);
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
	printf("cpu %ld.%09ld tsc %llu\n", (long)ts.tv_sec, ts.tv_nsec,
	       (unsigned long long)__rdtsc());
}

static void print_random(void)
{
	unsigned char bytes[8];
	int fd = open("/dev/urandom", O_RDONLY);

	CHECK(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
	print_bytes("getrandom", bytes, 8);
	CHECK(fd >= 0 && read(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	close(fd);
	print_bytes("urandom", bytes, 8);
	print_bytes("at_random", (const unsigned char *)getauxval(AT_RANDOM), 16);
}

static void print_files(void)
{
	char folder[] = "./ndXXXXXX", path[64];
	struct stat st;
	struct dirent *entry;
	DIR *dir;

	CHECK(mkdtemp(folder));
	printf("folder %s\n", folder);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/f%d", folder, i);
		int fd = open(path, O_CREAT | O_WRONLY, 0644);
		CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	}
	CHECK(stat(path, &st) == 0);
	printf("ino %lu dev %lx blocks %ld mtime %ld.%09ld\n", st.st_ino, (long)st.st_dev,
	       (long)st.st_blocks, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	CHECK((dir = opendir(folder)));
	while ((entry = readdir(dir)))
		printf("%s ", entry->d_name);
	printf("\n");
	closedir(dir);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/f%d", folder, i);
		CHECK(unlink(path) == 0);
	}
	CHECK(rmdir(folder) == 0);
}

int main(void)
{
	int on_stack;
	cpu_set_t cpus;

	printf("pid %d ppid %d tid %d pgid %d\n", getpid(), getppid(), gettid(), getpgrp());
	print_times();
	print_random();
	printf("heap %p stack %p text %p libc %p\n", malloc(100), (void *)&on_stack, (void *)main,
	       (void *)printf);
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	printf("cpus %d now on %d\n", CPU_COUNT(&cpus), sched_getcpu());
	print_files();
	print_times();
	return 0;
}
