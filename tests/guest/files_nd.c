/*
 * Prints what bare Linux answers differently from run to run, or from one file system to another:
 * inode numbers and their reuse, times of files written and touched, blocks, devices, links and
 * sizes of directories, the order and the cookies of listings, free space, holes, short results
 * of copies, numbers of descriptors of the caller.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "check.h"

static void show(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	printf("%s ino %lu dev %lx mode %o links %lu size %ld blocks %ld of %ld\n", path, st.st_ino,
	       (long)st.st_dev, st.st_mode, (long)st.st_nlink, (long)st.st_size, (long)st.st_blocks,
	       (long)st.st_blksize);
	printf("  m %ld.%09ld c %ld.%09ld a %ld.%09ld\n", (long)st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec, (long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
	       (long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
}

static void show_birth(const char *path)
{
	struct statx stx;

	CHECK(statx(AT_FDCWD, path, 0, STATX_ALL, &stx) == 0);
	printf("%s mask %x born %lld.%09u attributes %llx dev %u:%u mount %llu\n", path,
	       stx.stx_mask, (long long)stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec,
	       (unsigned long long)stx.stx_attributes, stx.stx_dev_major, stx.stx_dev_minor,
	       (unsigned long long)stx.stx_mnt_id);
}

static void make(const char *path, int bytes)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	CHECK(fd >= 0);
	for (int i = 0; i < bytes; i++)
		CHECK(write(fd, "x", 1) == 1);
	CHECK(close(fd) == 0);
}

static void inode_reuse(void)
{
	for (int i = 0; i < 3; i++) {
		make("again", 100);
		show("again");
		CHECK(unlink("again") == 0);
	}
}

static void temporary(void)
{
	char name[] = "tmpXXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0 && close(fd) == 0 && unlink(name) == 0);
	printf("temporary %s\n", name);
}

static void listing(void)
{
	static const char *const names[] = {"zeta", "alpha", "mid", "Beta", "9", ".hidden"};
	struct dirent *entry;
	DIR *dir;

	CHECK(mkdir("list", 0755) == 0);
	show("list");
	for (int i = 0; i < 6; i++) {
		char path[32];
		snprintf(path, sizeof(path), "list/%s", names[i]);
		make(path, 0);
	}
	CHECK(mkdir("list/sub", 0700) == 0 && symlink("zeta", "list/link") == 0);
	show("list");
	CHECK((dir = opendir("list")));
	while ((entry = readdir(dir)))
		printf("  %s ino %lu off %ld len %u type %u\n", entry->d_name, entry->d_ino,
		       (long)entry->d_off, entry->d_reclen, entry->d_type);
	CHECK(closedir(dir) == 0);
}

static void holes(void)
{
	int fd = open("sparse", O_CREAT | O_RDWR, 0600);

	CHECK(fd >= 0 && pwrite(fd, "x", 1, 1 << 20) == 1);
	printf("data %ld hole %ld\n", (long)lseek(fd, 0, SEEK_DATA), (long)lseek(fd, 0, SEEK_HOLE));
	show("sparse");
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
	printf("insert %d\n", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
	CHECK(close(fd) == 0);
}

static void space(void)
{
	struct statfs fs;
	struct statvfs vfs;

	CHECK(statfs(".", &fs) == 0 && statvfs("/", &vfs) == 0);
	printf("fs %lx free %lu of %lu files %lu id %x:%x name %ld flags %lx\n", (long)fs.f_type,
	       (long)fs.f_bfree, (long)fs.f_blocks, (long)fs.f_ffree, fs.f_fsid.__val[0],
	       fs.f_fsid.__val[1], (long)fs.f_namelen, vfs.f_flag);
}

static void times(void)
{
	struct timespec set[2] = {{.tv_sec = 100, .tv_nsec = 7}, {.tv_nsec = UTIME_OMIT}};

	make("stamp", 300);
	show("stamp");
	CHECK(utimensat(AT_FDCWD, "stamp", set, 0) == 0);
	show("stamp");
	CHECK(utimensat(AT_FDCWD, "stamp", NULL, 0) == 0);
	show("stamp");
	CHECK(chmod("stamp", 0600) == 0 && truncate("stamp", 50) == 0 &&
	      link("stamp", "twin") == 0);
	show("twin");
	show_birth("twin");
	CHECK(rename("stamp", "moved") == 0);
	show("moved");
}

int main(void)
{
	struct stat st;
	int fd;

	umask(022);
	for (fd = 3; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			printf("inherited %d\n", fd);
	inode_reuse();
	temporary();
	listing();
	holes();
	space();
	times();
	show("/etc/passwd");
	show_birth("/etc/passwd");
	show("/");
	CHECK(fstat(1, &st) == 0);
	printf("stdout mode %o\n", st.st_mode & S_IFMT);
	CHECK(system("rm -rf list sparse twin moved") == 0);
	return 0;
}
