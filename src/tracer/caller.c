/* See caller.h.  Owns the memory of which descriptors were closed when the tool started. */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool stdio_known, stdio_closed[3];

void caller_fill_stdio(void)
{
	for (int fd = 0; fd < 3 && !stdio_known; fd++)
		stdio_closed[fd] = fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) == fd;
	stdio_known = true;
}

static bool is_device(const struct stat *st, const char *path)
{
	struct stat device;

	return S_ISCHR(st->st_mode) && stat(path, &device) == 0 && st->st_rdev == device.st_rdev;
}

/* The name the container has for the file too; "" if it has none. */
static void find_name(int fd, const struct stat *st, char name[STDIO_PATH_MAX])
{
	static const char *const covered[] = {"/dev/", "/proc/", "/sys/"};
	char link[32];
	struct stat found;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, name, STDIO_PATH_MAX - 1);
	name[n > 0 ? n : 0] = '\0';
	bool same = name[0] == '/' && lstat(name, &found) == 0 && found.st_dev == st->st_dev &&
		    found.st_ino == st->st_ino;
	for (size_t i = 0; i < sizeof(covered) / sizeof(*covered); i++)
		same = same && strncmp(name, covered[i], strlen(covered[i])) != 0;
	if (!same)
		name[0] = '\0';
}

/*
 * A file without a name cannot be part of the image.  Its bytes come as input, as from a pipe; as
 * an output it may start empty, else it is written to as a pipe is.
 */
static void take_file(int fd, const struct stat *st, struct region_stdio *s)
{
	find_name(fd, st, s->path);
	s->kind = s->path[0] != '\0' || (fd != 0 && st->st_size == 0) ? STDIO_FILE : STDIO_PIPE;
	off_t at = lseek(fd, 0, SEEK_CUR);
	s->offset = at > 0 ? (uint64_t)at : 0;
}

static void take_stdio(int fd, bool no_files, struct region_stdio *s)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	memset(s, 0, sizeof(*s));
	s->same = (uint32_t)fd;
	if (stdio_closed[fd] || flags < 0 || fstat(fd, &st) < 0)
		return;
	s->flags = (uint32_t)flags & (O_ACCMODE | O_APPEND);
	if (is_device(&st, "/dev/null"))
		s->kind = STDIO_NULL;
	else if (fd != 0 && is_device(&st, "/dev/full"))
		s->kind = STDIO_FULL;
	else if (S_ISREG(st.st_mode) && !(no_files && fd != 0))
		take_file(fd, &st, s);
	else
		s->kind = isatty(fd) ? STDIO_TTY : STDIO_PIPE;
}

/* Outputs that were made by 2>&1 and the like. */
static void find_shared(struct region_stdio s[3])
{
	for (int fd = 1; fd < 3; fd++) {
		for (int other = fd - 1; other >= 0; other--) {
			bool alike = s[fd].kind == s[other].kind && s[fd].kind != STDIO_CLOSED;

			if (alike &&
			    syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, other) == 0)
				s[fd].same = (uint32_t)other;
		}
	}
}

static void take_size(struct region_config *config)
{
	struct winsize size = {0};

	for (int fd = 0; fd < 3; fd++) {
		if (config->stdio[fd].kind == STDIO_TTY && ioctl(fd, TIOCGWINSZ, &size) == 0)
			break;
	}
	config->tty_rows = size.ws_row;
	config->tty_cols = size.ws_col;
}

/* Whether the map of a user namespace has the id. */
static bool maps(const char *path, unsigned id)
{
	FILE *f = fopen(path, "re");
	unsigned inside, outside, count;
	bool found = f == NULL;

	while (f != NULL && !found && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
		found = id - inside < count;
	if (f != NULL)
		fclose(f);
	return found;
}

/* Root, but not of files that are shown with the overflow ids: those of nobody it has power over.
 */
static bool is_partial_root(void)
{
	return geteuid() == 0 && !maps("/proc/self/uid_map", OVERFLOW_ID) &&
	       !maps("/proc/self/gid_map", OVERFLOW_ID);
}

int caller_configure(struct region_config *config, bool no_files)
{
	int count = getgroups(CONFIG_GROUPS_MAX, config->groups);
	mode_t mask = umask(0);

	umask(mask);
	if (count < 0)
		return -E2BIG;
	config->uid = getuid();
	config->euid = geteuid();
	config->gid = getgid();
	config->egid = getegid();
	config->ngroups = (uint32_t)count;
	config->umask = mask;
	config->own_ids_only = geteuid() != 0;
	config->partial_root = is_partial_root();
	for (int fd = 0; fd < 3; fd++)
		take_stdio(fd, no_files, &config->stdio[fd]);
	find_shared(config->stdio);
	take_size(config);
	return 0;
}

void caller_processors(cpu_set_t *ret_all, cpu_set_t *ret_beside)
{
	int here = sched_getcpu();

	CPU_ZERO(ret_all);
	sched_getaffinity(0, sizeof(*ret_all), ret_all);
	*ret_beside = *ret_all;
	if (here >= 0 && CPU_COUNT(ret_all) > 1)
		CPU_CLR(here, ret_beside);
}
