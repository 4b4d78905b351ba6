/*
 * memory_random SEED COUNT [USER]: so many random calls on a window of pages, and what came of
 * them: results, what every page holds and may, how much is locked and mapped.  With USER as an
 * ordinary user, who may lock few pages.
 *
 * Which neighbours the kernel keeps as one mapping depends on when their pages were touched; so
 * mremap gets what was mapped by one call and is the same throughout.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"
#include "read_text.h"

#define PAGE	   4096ul
#define WINDOW	   ((char *)0x200000000000)
#define PAGES	   40
#define FILE_PAGES 12
#define FILES	   4
#define LOCK_PAGES 12

struct page {
	unsigned chunk; /* which mapping it came with; 0: none */
	char perms[5];
	unsigned long off;
	char what;
	bool locked; /* VmFlags */
};

static struct page pages[PAGES];
static int fds[FILES]; /* a file to read and write, the same to read only, a memfd, and closed */
static int segment[2];
static int probe[2];
static int chunks;
static unsigned long stamp, size_at_start;
static char maps[1 << 20];

static void result(const char *what, long r)
{
	printf("%s %s\n", what, r == -1 ? strerrorname_np(errno) : "ok");
}

/* ---- what is there ---- */

static char kind_of(const char *name)
{
	static const struct {
		const char *part;
		char kind;
	} kinds[] = {{"mapped-file", 'f'}, {"memfd:", 'm'}, {"SYSV", 's'}, {"/dev/zero", 'z'}};

	for (int i = 0; i < 4; i++) {
		if (strstr(name, kinds[i].part))
			return kinds[i].kind;
	}
	return *name ? '?' : 'a';
}

static void take_flags(unsigned long from, unsigned long to, bool locked)
{
	for (unsigned long at = from; at < to; at += PAGE) {
		unsigned long i = (at - (unsigned long)WINDOW) / PAGE;
		if (at >= (unsigned long)WINDOW && i < PAGES)
			pages[i].locked = locked;
	}
}

static void take_line(const char *line)
{
	static unsigned long last_from, last_to;
	unsigned long from, to, off, inode;
	char perms[5], name[512] = "";

	if (strncmp(line, "VmFlags:", 8) == 0)
		take_flags(last_from, last_to, strstr(line, " lo"));
	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %511[^\n]", &from, &to, perms, &off, &inode,
		   name) < 5)
		return;
	last_from = from;
	last_to = to;
	for (unsigned long at = from; at < to; at += PAGE) {
		unsigned long i = (at - (unsigned long)WINDOW) / PAGE;
		if (at < (unsigned long)WINDOW || i >= PAGES)
			continue;
		memcpy(pages[i].perms, perms, 5);
		pages[i].what = kind_of(name);
		pages[i].off = pages[i].what == 'a' ? 0 : (off + (at - from)) / PAGE;
	}
}

static void take_maps(void)
{
	read_text("/proc/self/smaps", maps, sizeof(maps));
	for (int i = 0; i < PAGES; i++)
		pages[i].what = pages[i].perms[0] = 0;
	for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n"))
		take_line(line);
	for (int i = 0; i < PAGES; i++) {
		if (!pages[i].what)
			pages[i].chunk = 0;
	}
}

/* The first word of a page; -1: a fault. */
static long value_of(int i)
{
	long value = 0;

	if (write(probe[1], WINDOW + (unsigned long)i * PAGE, sizeof(value)) != sizeof(value))
		return -1;
	CHECK(read(probe[0], &value, sizeof(value)) == sizeof(value));
	return value;
}

static long status_of(const char *name)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	long n = read(fd, text, sizeof(text) - 1);

	CHECK(n > 0);
	text[n] = 0;
	close(fd);
	return atol(strstr(text, name) + strlen(name));
}

static void show(void)
{
	take_maps();
	for (int i = 0; i < PAGES; i++) {
		if (pages[i].what)
			printf(" %d%c%s%s+%lx=%ld", i, pages[i].what, pages[i].perms,
			       pages[i].locked ? "L" : "", pages[i].off, value_of(i));
	}
	printf("\n locked %ld mapped %ld\n", status_of("VmLck:"),
	       status_of("VmSize:") - (long)size_at_start);
}

/* ---- steps ---- */

struct range {
	int first, count;
	char *at;
	size_t len;
};

static struct range draw_range(void)
{
	struct range r = {.first = (int)pick(PAGES)};

	r.count = 1 + (int)pick(pick(3) ? 4 : 12);
	if (r.first + r.count > PAGES)
		r.count = PAGES - r.first;
	r.at = WINDOW + (unsigned long)r.first * PAGE;
	r.len = (size_t)r.count * PAGE;
	return r;
}

/* Linux has mappings apart by what was advised, and how they were locked. */
static void set_apart(struct range r)
{
	chunks++;
	for (int i = r.first; i < r.first + r.count; i++)
		pages[i].chunk = pages[i].chunk * 31 + (unsigned)chunks;
}

static int draw_prot(void)
{
	static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};

	return prots[pick(5)];
}

static void new_chunk(struct range r)
{
	chunks++;
	for (int i = r.first; i < r.first + r.count; i++)
		pages[i].chunk = (unsigned)chunks;
}

/*
 * Locking gives a private mapping its own pages at once natively, and when they are written inside;
 * which is the program's business: it does not know either.
 */
static void own(struct range r)
{
	unsigned long value;

	for (int i = 0; i < r.count; i++) {
		char *at = r.at + (unsigned long)i * PAGE;
		if (write(probe[1], at, sizeof(value)) == sizeof(value) &&
		    read(probe[0], at, sizeof(value)) < 0)
			CHECK(read(probe[0], &value, sizeof(value)) == sizeof(value));
	}
}

static void step_map(void)
{
	struct range r = draw_range();
	static const int types[] = {MAP_PRIVATE, MAP_SHARED,	      MAP_PRIVATE,
				    MAP_SHARED,	 MAP_SHARED_VALIDATE, 0};
	int flags = types[pick(pick(8) ? 4 : 6)] | (pick(4) ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	if (pick(2))
		flags |= MAP_ANONYMOUS;
	bool own_code = (flags & MAP_TYPE) == MAP_PRIVATE && flags & MAP_ANONYMOUS && !pick(4);
	int prot = draw_prot() | (own_code ? PROT_READ | PROT_EXEC : 0), fd = fds[pick(FILES)];
	off_t off = (off_t)(pick(FILE_PAGES) * PAGE);

	if (!pick(8))
		flags |= MAP_LOCKED;
	if (!pick(20))
		flags |= MAP_NORESERVE;
	void *at = mmap(r.at, r.len, prot, flags, fd, off);
	CHECK(at == MAP_FAILED || at == r.at);
	if (at != MAP_FAILED)
		new_chunk(r);
	int error = errno;
	if (at != MAP_FAILED && flags & MAP_LOCKED)
		own(r);
	errno = error;
	printf("mmap %d+%d flags %x prot %x: ", r.first, r.count, flags, prot);
	result("", at == MAP_FAILED ? -1 : 0);
}

static void step_unmap(void)
{
	struct range r = draw_range();

	printf("%d+%d ", r.first, r.count);
	result("munmap", munmap(r.at, pick(4) ? r.len : r.len - 1 - pick(4000)));
}

static void step_protect(void)
{
	struct range r = draw_range();
	bool code = !pick(4);

	/* Not what others can write, see docs/determinism.md, nor what has stubs of ours. */
	for (int i = r.first; i < r.first + r.count; i++)
		code = code && (pages[i].what == 'a' || !pages[i].what);
	int prot = draw_prot() | (code ? PROT_READ | PROT_EXEC : 0);
	printf("%d+%d %x ", r.first, r.count, prot);
	result("mprotect", mprotect(r.at, r.len, prot));
	own(r);
}

/* Makes every page of what is mapped once, so that nothing depends on when. */
static void step_store(void)
{
	struct range r = draw_range();

	for (int i = 0; i < r.count; i++) {
		stamp++;
		CHECK(write(probe[1], &stamp, sizeof(stamp)) == sizeof(stamp));
		long n = read(probe[0], r.at + (unsigned long)i * PAGE, sizeof(stamp));
		if (n < 0) {
			unsigned long drop;
			printf("%d: %s ", r.first + i, strerrorname_np(errno));
			CHECK(read(probe[0], &drop, sizeof(drop)) == sizeof(drop));
		}
	}
	printf("%d+%d stored\n", r.first, r.count);
}

static bool is_alike(const struct page *a, const struct page *b)
{
	return a->chunk && a->chunk == b->chunk && a->what == b->what &&
	       !strcmp(a->perms, b->perms) && a->locked == b->locked;
}

/* As much as is alike from page i on. */
static int alike_from(int i)
{
	int n = 1;

	while (i + n < PAGES && is_alike(&pages[i], &pages[i + n]) &&
	       pages[i + n].off == pages[i].off + (pages[i].what == 'a' ? 0 : (unsigned long)n))
		n++;
	return n;
}

/* Back into the window what went elsewhere. */
static void bring_back(char *at, size_t len)
{
	struct range r = draw_range();

	if (r.first + (int)(len / PAGE) > PAGES)
		r.first = PAGES - (int)(len / PAGE);
	r.count = (int)(len / PAGE);
	r.at = WINDOW + (unsigned long)r.first * PAGE;
	void *back = mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, r.at);
	printf("went elsewhere, back to %d: ", r.first);
	result("", back == MAP_FAILED ? -1 : 0);
	if (back == MAP_FAILED)
		munmap(at, len);
	else
		new_chunk(r);
	if (back != MAP_FAILED)
		own(r);
}

static void step_remap(void)
{
	static const int flags_of[] = {0,
				       MREMAP_MAYMOVE,
				       MREMAP_MAYMOVE,
				       MREMAP_MAYMOVE | MREMAP_FIXED,
				       MREMAP_MAYMOVE | MREMAP_FIXED,
				       MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
				       MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
				       MREMAP_FIXED,
				       8};
	int flags = flags_of[pick(pick(4) ? 6 : 9)];
	struct range from = draw_range(), to = draw_range();
	int alike = alike_from(from.first);
	size_t old = (size_t)from.count * PAGE, fresh = to.len;

	if (from.count > alike)
		old = (size_t)alike * PAGE;
	if (!pick(12))
		old = 0;
	if (!pick(3) || flags & MREMAP_DONTUNMAP)
		fresh = old;
	/* What lies beside it forgets the lock, too, and is counted on. */
	if (flags & MREMAP_DONTUNMAP && pages[from.first].locked)
		return;
	/* Code does not move, and a segment is not longer than it is; see docs/determinism.md. */
	if (pages[from.first].perms[2] == 'x')
		return;
	if (pages[from.first].what == 's' && fresh > old)
		fresh = old;
	char *at = mremap(from.at, old, fresh, flags, to.at);
	printf("mremap %d+%lu to %d+%lu flags %x: ", from.first, old / PAGE, to.first, fresh / PAGE,
	       flags);
	result("", at == MAP_FAILED ? -1 : 0);
	if (at == MAP_FAILED)
		return;
	if (at < WINDOW || at >= WINDOW + PAGES * PAGE) {
		bring_back(at, fresh);
		return;
	}
	to.at = at;
	to.first = (int)((at - WINDOW) / (long)PAGE);
	to.count = (int)(fresh / PAGE);
	if (to.first + to.count > PAGES) {
		munmap(WINDOW + PAGES * PAGE, fresh);
		to.count = PAGES - to.first;
	}
	new_chunk(to);
	own(to);
}

static void step_advise(void)
{
	static const int advice[] = {
		MADV_NORMAL,   MADV_RANDOM,	MADV_SEQUENTIAL, MADV_WILLNEED,	  MADV_DONTNEED,
		MADV_DONTNEED, MADV_DONTNEED,	MADV_REMOVE,	 MADV_REMOVE,	  MADV_DONTFORK,
		MADV_DOFORK,   MADV_WIPEONFORK, MADV_DONTDUMP,	 MADV_KEEPONFORK, MADV_DODUMP,
		MADV_COLD,     MADV_PAGEOUT,	MADV_FREE};
	struct range r = draw_range();
	int which = advice[pick(sizeof(advice) / sizeof(advice[0]))];

	printf("madvise %d+%d %d: ", r.first, r.count, which);
	result("", madvise(r.at, pick(10) ? r.len : r.len - pick(PAGE), which));
	set_apart(r);
	/* When the kernel takes the pages is its secret. */
	if (which == MADV_FREE)
		result("madvise", madvise(r.at, r.len, MADV_DONTNEED));
}

static void step_lock(void)
{
	struct range r = draw_range();
	unsigned what = pick(12);

	printf("lock %d+%d %u: ", r.first, r.count, what);
	if (what < 4)
		result("mlock", mlock(r.at + pick(PAGE), r.len - PAGE + 1));
	else if (what < 6)
		result("mlock2", mlock2(r.at, r.len, MLOCK_ONFAULT));
	else if (what < 11)
		result("munlock", munlock(r.at, r.len));
	else
		result("munlockall", munlockall());
	set_apart(r);
	if (what < 6)
		own(r);
}

static void step_rest(void)
{
	struct range r = draw_range();
	static unsigned char there[PAGES];

	printf("%d+%d ", r.first, r.count);
	switch (pick(4)) {
	case 0:
		result("mincore", mincore(r.at, r.len, there));
		break;
	case 1:
		result("msync", msync(r.at, r.len, (int)pick(8)));
		break;
	case 2:
		result("ftruncate",
		       ftruncate(fds[pick(2) ? 0 : 2], (off_t)(pick(FILE_PAGES + 1) * PAGE)));
		break;
	default:
		stamp++;
		result("pwrite", pwrite(fds[pick(2) ? 0 : 2], &stamp, sizeof(stamp),
					(off_t)(pick(FILE_PAGES) * PAGE)));
	}
}

static void step_segment(void)
{
	struct range r = draw_range();
	static const int flags[] = {0, SHM_REMAP, SHM_REMAP, SHM_RDONLY | SHM_REMAP, SHM_RND};
	int how = flags[pick(5)], which = (int)pick(2);
	struct shmid_ds ds;

	if (pick(3)) {
		CHECK(shmctl(segment[which], IPC_STAT, &ds) == 0);
		r.count = (int)((ds.shm_segsz + PAGE - 1) / PAGE);
		if (r.first + r.count > PAGES)
			return;
		char *at = shmat(segment[which], r.at + (how & SHM_RND ? pick(PAGE) : 0), how);
		printf("shmat %d %x: ", r.first, how);
		result("", at == (void *)-1 ? -1 : 0);
		if (at != (void *)-1)
			new_chunk(r);
	} else {
		int i = (int)pick(PAGES);
		unsigned long off = pages[i].what == 's' ? pages[i].off : 0;
		char *at = WINDOW + ((unsigned long)i - off) * PAGE;
		printf("%d ", i);
		result("shmdt", shmdt(at));
	}
	for (int i = 0; i < 2; i++) {
		CHECK(shmctl(segment[i], IPC_STAT, &ds) == 0);
		/* How often depends on which pieces of one the kernel makes one again. */
		printf(" attached %d\n", ds.shm_nattch > 0);
	}
}

/* What a child finds. */
static void step_fork(void)
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		printf("child");
		show();
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void set_up(bool user)
{
	struct rlimit limit = {LOCK_PAGES * PAGE, LOCK_PAGES * PAGE};

	CHECK(pipe2(probe, O_NONBLOCK) == 0);
	fds[0] = open("mapped-file", O_RDWR | O_CREAT | O_TRUNC, 0666);
	fds[1] = open("mapped-file", O_RDONLY);
	fds[2] = memfd_create("x", 0);
	fds[3] = 999;
	CHECK(fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0);
	CHECK(ftruncate(fds[0], FILE_PAGES * PAGE) == 0);
	CHECK(ftruncate(fds[2], FILE_PAGES * PAGE) == 0);
	CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	CHECK(!user || geteuid() || setuid(61234) == 0);
	segment[0] = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	segment[1] = shmget(IPC_PRIVATE, 6 * PAGE - 5, 0600);
	CHECK(segment[0] >= 0 && segment[1] >= 0);
	size_at_start = (unsigned long)status_of("VmSize:");
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	static void (*const steps[])(void) = {
		step_map,   step_map,	step_map,    step_map,	   step_map,  step_unmap,
		step_store, step_store, step_store,  step_protect, step_lock, step_advise,
		step_remap, step_remap, step_advise, step_segment, step_rest, step_fork};

	CHECK(argc >= 3);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	state = strtoul(argv[1], NULL, 10);
	set_up(argc > 3);
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		printf("%ld ", i);
		steps[pick(sizeof(steps) / sizeof(steps[0]))]();
		show();
	}
	for (int i = 0; i < 2; i++)
		CHECK(shmctl(segment[i], IPC_RMID, NULL) == 0);
	return 0;
}
