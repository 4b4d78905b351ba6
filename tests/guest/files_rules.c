/*
 * What files are told to be, one rule each: every value here is the container's, whatever file
 * system lies beneath, so that this runs inside only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))
#define NS		   1000000000ll
#define TIME_STEP_NS	   1000

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static struct stat st;

static unsigned long ino_of(const char *path)
{
	CHECK(lstat(path, &st) == 0);
	return st.st_ino;
}

static void make(const char *path, int bytes)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	CHECK(fd >= 0);
	for (int i = 0; i < bytes; i++)
		CHECK(write(fd, "x", 1) == 1);
	CHECK(close(fd) == 0);
}

/* Numbers count up by first sight, and none is given twice. */
static void check_inodes(void)
{
	make("a", 10);
	unsigned long first = ino_of("a");
	CHECK(first > 1000 && first < 2000 && st.st_dev == 0x801);
	CHECK(unlink("a") == 0);
	make("a", 10);
	make("b", 10);
	CHECK(ino_of("a") == first + 1 && ino_of("b") == first + 2);
	CHECK(rename("b", "c") == 0 && ino_of("c") == first + 2 && unlink("c") == 0);
	int fd = open("a", O_RDONLY);
	CHECK(unlink("a") == 0 && fstat(fd, &st) == 0 && st.st_ino == first + 1);
	CHECK(st.st_nlink == 0 && close(fd) == 0);
}

/* As if everything had been allocated: in whole pages, holes too. */
static void check_blocks(void)
{
	int fd = open("sparse", O_CREAT | O_RDWR, 0600);

	CHECK(fstat(fd, &st) == 0 && st.st_blocks == 0 && st.st_blksize == 4096);
	CHECK(pwrite(fd, "x", 1, 1 << 20) == 1 && fstat(fd, &st) == 0);
	CHECK(st.st_blocks == ((1 << 20) + 4096) / 512);
	CHECK(lseek(fd, 4096, SEEK_DATA) == 4096 && lseek(fd, 0, SEEK_HOLE) == (1 << 20) + 1);
	FAILS(lseek(fd, 1 << 21, SEEK_DATA), ENXIO);
	CHECK(fallocate(fd, 0, 0, 2 << 20) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_size == 2 << 20 && st.st_blocks == (2 << 20) / 512);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0);
	CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 8192) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_blocks == (2 << 20) / 512);
	FAILS(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096), EOPNOTSUPP);
	FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
	CHECK(close(fd) == 0 && unlink("sparse") == 0);
}

static long long ns(struct timespec t)
{
	return t.tv_sec * NS + t.tv_nsec;
}

/* Times of what is written are virtual time to the nanosecond; reading leaves none behind. */
static void check_times(void)
{
	struct timespec now, later;
	char byte;
	int fd = open("t", O_CREAT | O_RDWR, 0600);

	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
	CHECK(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0);
	CHECK(clock_gettime(CLOCK_REALTIME, &later) == 0);
	CHECK(ns(st.st_mtim) == ns(now) + TIME_STEP_NS);
	CHECK(ns(later) == ns(now) + 3 * TIME_STEP_NS && ns(st.st_ctim) == ns(st.st_mtim));
	long long atime = ns(st.st_atim);
	CHECK(atime < ns(now) && pread(fd, &byte, 1, 0) == 1 && fstat(fd, &st) == 0);
	CHECK(ns(st.st_atim) == atime);
	CHECK(stat("/etc/passwd", &st) == 0 && ns(st.st_atim) == ns(st.st_mtim));
	CHECK(ns(st.st_ctim) == ns(st.st_mtim) && ns(st.st_mtim) < ns(now));
	CHECK(stat("/usr", &st) == 0 && st.st_mtime == 946684800 && st.st_ctime == 946684800);
	CHECK(close(fd) == 0 && unlink("t") == 0);
}

/* The basic fields and the birth, and nothing but zeros behind. */
static void check_statx(void)
{
	struct statx x;
	unsigned char *bytes = (unsigned char *)&x;

	make("x", 1);
	memset(&x, 0xff, sizeof(x));
	CHECK(statx(AT_FDCWD, "x", 0, 0x7fffffff, &x) == 0);
	CHECK(x.stx_mask == (STATX_BASIC_STATS | STATX_BTIME) && x.stx_attributes == 0);
	CHECK(x.stx_attributes_mask == 0 && x.stx_dev_major == 8 && x.stx_dev_minor == 1);
	CHECK(x.stx_btime.tv_sec == x.stx_mtime.tv_sec &&
	      x.stx_btime.tv_nsec < x.stx_mtime.tv_nsec);
	for (size_t i = offsetof(struct statx, stx_dev_minor) + 4; i < sizeof(x); i++)
		CHECK(bytes[i] == 0);
	CHECK(unlink("x") == 0);
}

/* Neither links nor sizes of folders tell how the host keeps them. */
static void check_folders(void)
{
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/sub", 0755) == 0);
	for (int i = 0; i < 300; i++) {
		char path[300];
		snprintf(path, sizeof(path), "d/a_name_that_is_long_enough_to_grow_%d", i);
		make(path, 0);
	}
	CHECK(stat("d", &st) == 0 && st.st_nlink == 1 && st.st_size == 4096 && st.st_blocks == 8);
	CHECK(stat("/", &st) == 0 && st.st_nlink == 1 && st.st_size == 4096);
	CHECK(system("rm -r d") == 0);
}

/* Sorted, numbers as stat has them, positions that count. */
static void check_listing(void)
{
	static const char *const names[] = {"zeta", "alpha", "mid", "Beta"};
	static const char *const sorted[] = {".", "..", "Beta", "alpha", "mid", "zeta"};
	char path[300];
	DIR *dir;

	CHECK(mkdir("d", 0755) == 0);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "d/%s", names[i]);
		make(path, 0);
	}
	CHECK((dir = opendir("d")));
	for (int i = 0; i < 6; i++) {
		CHECK(telldir(dir) == i);
		struct dirent *e = readdir(dir);
		CHECK(e && !strcmp(e->d_name, sorted[i]) && e->d_off == i + 1);
		snprintf(path, sizeof(path), "d/%s", e->d_name);
		CHECK(i < 2 || (e->d_ino == ino_of(path) && e->d_type == DT_REG));
	}
	CHECK(!readdir(dir));
	seekdir(dir, 3);
	CHECK(!strcmp(readdir(dir)->d_name, "alpha") && closedir(dir) == 0);
	CHECK(system("rm -r d") == 0);
}

static void check_file_system(void)
{
	struct statfs fs;
	char handle[200];
	int mount;

	CHECK(statfs(".", &fs) == 0 && fs.f_type == 0x01021994 && fs.f_bsize == 4096);
	CHECK(fs.f_blocks == 0x1000000 && fs.f_bfree == 0x800000 && fs.f_files == 0x1000000);
	CHECK(fs.f_fsid.__val[0] == 0 && fs.f_fsid.__val[1] == 0 && fs.f_namelen == 255);
	*(int *)(void *)handle = 128;
	FAILS(syscall(SYS_name_to_handle_at, AT_FDCWD, ".", handle, &mount, 0), EOPNOTSUPP);
	make("x", 1);
	FAILS(setxattr("x", "user.b", "1", 1, 0), EOPNOTSUPP);
	CHECK(listxattr("x", handle, sizeof(handle)) == 0);
	CHECK(unlink("x") == 0);
}

/* Within the page cache or not, on one file system or two. */
static void check_support(void)
{
	char byte;
	struct iovec iov = {&byte, 1};

	make("x", 1000);
	int in = open("x", O_RDONLY), out = open("/dev/shm/y", O_CREAT | O_RDWR, 0600);
	CHECK(copy_file_range(in, NULL, out, NULL, 5000, 0) == 1000);
	CHECK(fstat(out, &st) == 0 && st.st_dev == 0x801);
	long nowait = preadv2(in, &iov, 1, 0, RWF_NOWAIT);
	CHECK(nowait == 1 && posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED) == 0);
	CHECK(preadv2(in, &iov, 1, 0, RWF_NOWAIT) == nowait);
	CHECK(close(in) == 0 && close(out) == 0 && unlink("/dev/shm/y") == 0 && unlink("x") == 0);
}

int main(void)
{
	umask(022);
	check_inodes();
	check_blocks();
	check_times();
	check_statx();
	check_folders();
	check_listing();
	check_file_system();
	check_support();
	puts("rules ok");
	return 0;
}
