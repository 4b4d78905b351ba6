/*
 * Files: open flags and errors, offsets shared and not, read and write in all forms, truncation,
 * appending, sparse files, copying in the kernel, descriptors (dup, fcntl, close-on-exec, ranges),
 * locks, permissions and ownership as told, unlinked and anonymous files, /dev nodes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char text[8192];

static int file(const char *path, int flags)
{
	int fd = open(path, flags, 0640);

	CHECK(fd >= 0);
	return fd;
}

static off_t size_of(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	return st.st_size;
}

static void check_open(void)
{
	umask(022);
	CHECK(open("none", O_RDONLY) == -1 && errno == ENOENT);
	close(file("f", O_CREAT | O_EXCL | O_WRONLY));
	CHECK(open("f", O_CREAT | O_EXCL | O_WRONLY, 0600) == -1 && errno == EEXIST);
	CHECK(open("f/x", O_RDONLY) == -1 && errno == ENOTDIR);
	CHECK(open("f", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
	CHECK(open(".", O_WRONLY) == -1 && errno == EISDIR);
	CHECK(symlink("f", "l") == 0 && open("l", O_RDONLY | O_NOFOLLOW) == -1 && errno == ELOOP);
	CHECK(symlink("loop", "loop") == 0 && open("loop", O_RDONLY) == -1 && errno == ELOOP);
	memset(text, 'n', 300);
	text[300] = 0;
	CHECK(open(text, O_RDONLY) == -1 && errno == ENAMETOOLONG);
	int fd = file("f", O_RDONLY);
	CHECK(write(fd, "x", 1) == -1 && errno == EBADF && close(fd) == 0);
	CHECK(close(fd) == -1 && errno == EBADF && open("", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(unlink("loop") == 0 && unlink("l") == 0);
}

static void check_offsets(void)
{
	int fd = file("f", O_RDWR | O_TRUNC), copy = dup(fd), other = file("f", O_RDONLY);

	CHECK(write(fd, "0123456789", 10) == 10 && lseek(copy, 0, SEEK_CUR) == 10);
	CHECK(lseek(other, 0, SEEK_CUR) == 0 && read(other, text, 4) == 4);
	CHECK(pread(fd, text, 3, 5) == 3 && memcmp(text, "567", 3) == 0);
	CHECK(pwrite(fd, "AB", 2, 1) == 2 && lseek(fd, -2, SEEK_END) == 8);
	CHECK(read(copy, text, 100) == 2 && read(copy, text, 100) == 0);
	CHECK(lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL);
	if (fork() == 0)
		_exit(lseek(fd, 3, SEEK_SET) != 3);
	CHECK(wait(NULL) > 0 && lseek(fd, 0, SEEK_CUR) == 3);
	struct iovec parts[] = {{text, 2}, {text + 2, 3}};
	CHECK(readv(fd, parts, 2) == 5 && memcmp(text, "34567", 5) == 0);
	CHECK(preadv(fd, parts, 2, 0) == 5 && memcmp(text, "0AB34", 5) == 0);
	CHECK(pwritev(fd, parts, 2, 20) == 5 && size_of("f") == 25);
	close(fd);
	close(copy);
	close(other);
}

static void check_sizes(void)
{
	int fd = file("f", O_RDWR | O_TRUNC | O_APPEND);

	CHECK(write(fd, "abc", 3) == 3 && pwrite(fd, "d", 1, 0) == 1 && size_of("f") == 4);
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "e", 1) == 1 && size_of("f") == 5);
	CHECK(ftruncate(fd, 100000) == 0 && truncate("f", 50000) == 0 && size_of("f") == 50000);
	CHECK(pread(fd, text, 10, 40000) == 10 && text[0] == 0 && text[9] == 0);
	CHECK(fallocate(fd, 0, 0, 60000) == 0 && size_of("f") == 60000);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
	CHECK(ftruncate(fd, -1) == -1 && errno == EINVAL && close(fd) == 0);
}

static void check_copies(void)
{
	int from = file("f", O_RDWR | O_TRUNC), to = file("g", O_CREAT | O_RDWR);
	off_t at = 0;
	loff_t in = 0, out = 0;

	CHECK(write(from, "0123456789", 10) == 10);
	CHECK(sendfile(to, from, &at, 6) == 6 && at == 6 && lseek(from, 0, SEEK_CUR) == 10);
	CHECK(copy_file_range(from, &in, to, &out, 4, 0) == 4 && in == 4 && out == 4);
	CHECK(pread(to, text, 20, 0) == 6 && memcmp(text, "012345", 6) == 0);
	CHECK(lseek(to, 0, SEEK_SET) == 0 && sendfile(to, to, NULL, 3) == 3);
	CHECK(lseek(to, 0, SEEK_CUR) == 3 && lseek(to, 0, SEEK_END) == 6);
	close(from);
	close(to);
	CHECK(unlink("g") == 0);
}

static void check_descriptors(void)
{
	int fd = file("f", O_RDONLY | O_CLOEXEC), other;

	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & 0100000);
	CHECK((other = fcntl(fd, F_DUPFD, 50)) == 50 && fcntl(other, F_GETFD) == 0);
	CHECK(dup2(fd, 60) == 60 && dup2(fd, fd) == fd && dup3(fd, 61, O_CLOEXEC) == 61);
	CHECK(dup3(fd, fd, 0) == -1 && errno == EINVAL && fcntl(61, F_GETFD) == FD_CLOEXEC);
	CHECK(dup2(fd, 1 << 30) == -1 && errno == EBADF && fcntl(999, F_GETFD) == -1);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(other, F_GETFL) & O_NONBLOCK);
	CHECK(close_range(50, 70, 0) == 0 && fcntl(50, F_GETFD) == -1 && fcntl(61, F_GETFD) == -1);
	int lowest = dup(fd);
	CHECK(close(lowest) == 0 && dup(fd) == lowest && close(lowest) == 0 && close(fd) == 0);
}

static void check_locks(void)
{
	int fd = file("f", O_RDWR), other = file("f", O_RDWR), status;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};

	CHECK(flock(fd, LOCK_EX) == 0 && flock(other, LOCK_EX | LOCK_NB) == -1);
	CHECK(errno == EWOULDBLOCK && flock(fd, LOCK_UN) == 0 && flock(other, LOCK_SH) == 0);
	CHECK(flock(other, LOCK_UN) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
	if (fork() == 0)
		_exit(fcntl(fd, F_SETLK, &lock) == -1 && (errno == EAGAIN || errno == EACCES));
	CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 1);
	close(fd);
	close(other);
}

/* As C libraries change what an O_PATH descriptor names. */
static void check_links_of_descriptors(void)
{
	struct timespec times[2] = {{1000, 0}, {2000, 5}};
	char name[40], cwd[4096];
	struct stat st;
	int fd = open("f", O_PATH);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(fchmod(fd, 0600) == -1 && errno == EBADF);
	CHECK(chmod(name, 0741) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0741);
	CHECK(utimensat(AT_FDCWD, name, times, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 5);
	CHECK(chown(name, (uid_t)-1, (gid_t)-1) == 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	CHECK(chmod(name, 0640) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0640);
	close(fd);
	CHECK(chmod(name, 0640) == -1 && errno == ENOENT);
	fd = open("f", O_RDONLY);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(truncate(name, 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	CHECK(linkat(AT_FDCWD, name, AT_FDCWD, "by-link", 0) == -1 && errno == EXDEV);
	CHECK(linkat(AT_FDCWD, name, AT_FDCWD, "by-link", AT_SYMLINK_FOLLOW) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 2 && unlink("by-link") == 0 && close(fd) == 0);
	snprintf(cwd, sizeof(cwd), "/proc/self/cwd/f");
	CHECK(chmod(cwd, 0641) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 0641);
	CHECK(chmod("/proc/self/cwd/none", 0641) == -1 && errno == ENOENT);
}

static void check_metadata(void)
{
	struct stat st, at;
	struct statfs fs;
	struct statx stx;
	int fd = file("f", O_RDONLY);

	check_links_of_descriptors();
	CHECK(chmod("f", 04751) == 0 && stat("f", &st) == 0 && st.st_mode == (S_IFREG | 04751));
	CHECK(fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(fstatat(AT_FDCWD, "f", &at, 0) == 0 && at.st_ino == st.st_ino);
	CHECK(at.st_dev == st.st_dev && st.st_nlink == 1 && link("f", "hard") == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 2 && stat("hard", &at) == 0);
	CHECK(at.st_ino == st.st_ino && unlink("hard") == 0);
	CHECK(chown("f", getuid(), getgid()) == 0 && fchown(fd, (uid_t)-1, (gid_t)-1) == 0);
	CHECK(access("f", R_OK | W_OK) == 0 && access("none", F_OK) == -1 && errno == ENOENT);
	CHECK(faccessat(AT_FDCWD, "f", F_OK, AT_EACCESS) == 0);
	CHECK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &stx) == 0 && stx.stx_ino == st.st_ino);
	CHECK(stx.stx_size == (unsigned long)st.st_size && statfs(".", &fs) == 0);
	CHECK(fs.f_bsize > 0 && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(st.st_rdev == makedev(1, 3) && stat("/etc/passwd", &st) == 0 && st.st_uid == 0);
	close(fd);
}

/* A file made without a name gets one. */
static void check_named_later(int fd)
{
	char name[40];
	struct stat st;

	CHECK(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && st.st_nlink == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1 && size_of("named") == 1);
	CHECK(close(fd) == 0 && unlink("named") == 0);
}

static void check_unlinked(void)
{
	struct stat st;
	int fd = file("gone", O_CREAT | O_RDWR), anonymous;

	CHECK(write(fd, "still", 5) == 5 && unlink("gone") == 0);
	CHECK(pread(fd, text, 5, 0) == 5 && memcmp(text, "still", 5) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 5 && close(fd) == 0);
	anonymous = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(anonymous >= 0 || errno == EOPNOTSUPP);
	if (anonymous >= 0)
		check_named_later(anonymous);
}

static void check_devices(void)
{
	int fd = file("/dev/null", O_RDWR), ready;

	CHECK(write(fd, text, 100) == 100 && read(fd, text, 100) == 0 && close(fd) == 0);
	fd = file("/dev/zero", O_RDWR);
	memset(text, 1, 100);
	CHECK(read(fd, text, 100) == 100 && text[0] == 0 && text[99] == 0 && close(fd) == 0);
	fd = file("/dev/full", O_WRONLY);
	CHECK(write(fd, "x", 1) == -1 && errno == ENOSPC && close(fd) == 0);
	fd = file("f", O_RDWR);
	CHECK(ioctl(fd, FIONREAD, &ready) == 0 && !isatty(fd) && errno == ENOTTY);
	CHECK(close(fd) == 0 && unlink("f") == 0);
}

/* Volatile: compilers refuse such lengths.  A length that leads out of what a program can have is
 * an error, whatever would be moved. */
static void check_lengths(void)
{
	static char bytes[16];
	static volatile size_t whole = (size_t)-1, most = 0x7ffffffff000;
	char *volatile at = bytes;
	int fd = open("lengths", O_RDWR | O_CREAT, 0600), out = open("lengths", O_WRONLY);
	int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR), ends[2];

	CHECK(pipe(ends) == 0 && write(fd, "hello", 5) == 5 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(read(fd, at, whole) == -1 && errno == EFAULT);
	CHECK(write(null, at, whole) == -1 && errno == EFAULT);
	CHECK(write(null, at, most - (size_t)at + 1) == -1 && errno == EFAULT);
	CHECK(write(null, at, most - (size_t)at) == 0x7ffff000);
	CHECK(read(zero, at, whole) == -1 && errno == EFAULT && read(zero, NULL, 0) == 0);
	CHECK(read(null, at, whole) == -1 && errno == EFAULT);
	CHECK(read(out, at, whole) == -1 && errno == EBADF);
	CHECK(pread(ends[0], at, whole, 0) == -1 && errno == ESPIPE);
	CHECK(pread(ends[1], at, whole, 0) == -1 && errno == ESPIPE);
	CHECK(pwrite(ends[0], at, whole, 0) == -1 && errno == ESPIPE);
	CHECK(pread(fd, at, whole, 0) == -1 && errno == EFAULT);
	struct iovec iov[2] = {{at, 3}, {at + 3, most}};
	CHECK(readv(fd, iov, 2) == -1 && errno == EFAULT && readv(out, iov, 2) == -1);
	CHECK(errno == EBADF && readv(fd, iov, 1) == 3);
	iov[1].iov_len = whole;
	CHECK(readv(fd, iov, 2) == -1 && errno == EINVAL);
	CHECK(unlink("lengths") == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
	CHECK(close(fd) == 0 && close(out) == 0 && close(zero) == 0 && close(null) == 0);
}

int main(void)
{
	check_lengths();
	check_open();
	check_offsets();
	check_sizes();
	check_copies();
	check_descriptors();
	check_locks();
	check_metadata();
	check_unlinked();
	check_devices();
	printf("files ok\n");
	return 0;
}
