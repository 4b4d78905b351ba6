/* See caller.h.  Owns the memory of which descriptors were closed when the tool started. */
#include "caller.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static bool stdio_known, stdio_closed[3];

void caller_fill_stdio(void)
{
	for (int fd = 0; fd < 3 && !stdio_known; fd++)
		stdio_closed[fd] = fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) == fd;
	stdio_known = true;
}

static bool is_null(const struct stat *st)
{
	struct stat null;

	return S_ISCHR(st->st_mode) && stat("/dev/null", &null) == 0 && st->st_rdev == null.st_rdev;
}

/* A file without a name cannot be part of the image: its bytes come as input, as from a pipe. */
static uint32_t kind_of(int fd)
{
	struct stat st;

	if (stdio_closed[fd] || fstat(fd, &st) < 0)
		return STDIO_CLOSED;
	if (is_null(&st))
		return STDIO_NULL;
	if (S_ISREG(st.st_mode))
		return fd != 0 || st.st_nlink != 0 ? STDIO_FILE : STDIO_PIPE;
	return isatty(fd) ? STDIO_TTY : STDIO_PIPE;
}

void caller_configure(struct region_config *config)
{
	gid_t groups[64];
	int n = getgroups(64, groups);
	mode_t mask = umask(0);

	umask(mask);
	config->uid = getuid();
	config->euid = geteuid();
	config->gid = getgid();
	config->egid = getegid();
	config->ngroups = 0;
	for (int i = 0; i < n; i++)
		config->groups[config->ngroups++] = groups[i];
	config->umask = mask;
	config->own_ids_only = geteuid() != 0;
	config->cpu_level = caller_cpu_level();
	for (int fd = 0; fd < 3; fd++)
		config->stdio_kind[fd] = kind_of(fd);
}

uint32_t caller_cpu_level(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	    __builtin_cpu_supports("fma"))
		return 3;
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") ? 2 : 1;
}

/* The kernel has put us on the idlest processor when the tool was executed: stay there. */
void caller_processors(cpu_set_t *ret_one, cpu_set_t *ret_others)
{
	int here = sched_getcpu();

	CPU_ZERO(ret_one);
	CPU_ZERO(ret_others);
	if (sched_getaffinity(0, sizeof(*ret_others), ret_others) < 0 || here < 0 ||
	    !CPU_ISSET(here, ret_others)) {
		*ret_one = *ret_others;
		return;
	}
	CPU_SET(here, ret_one);
	if (CPU_COUNT(ret_others) > 1)
		CPU_CLR(here, ret_others);
}
