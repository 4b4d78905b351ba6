/*
 * Records made by hand, decoded and printed; then the same records damaged in every byte and cut
 * at every length, which must never be read out of bounds (run under ASan) nor print two lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "check.h"
#include "syscall-table/event_print.h"
#include "syscall-table/syscall_row.h"
#include "syscall_nr.h"

/* A record being built; `bytes` is aligned for its header only. */
struct draft {
	union {
		struct event_record head;
		uint8_t bytes[EVENT_RECORD_MAX_BYTES];
	};
};

static void begin(struct draft *d, int32_t nr, int64_t result, const uint64_t args[6])
{
	memset(d, 0, sizeof(*d));
	d->head = (struct event_record){.size_bytes = sizeof(d->head),
					.task = 3,
					.number = 12,
					.time_ns = 2000000000000000000,
					.nr = nr,
					.result = result,
					.digest = 0xabcdef};
	memcpy(d->head.args, args, sizeof(d->head.args));
}

static void add(struct draft *d, uint8_t arg, uint8_t kind, const void *bytes, uint16_t stored,
		uint32_t full)
{
	struct event_item item = {arg, kind, stored, full};

	memcpy(d->bytes + d->head.size_bytes, &item, sizeof(item));
	memcpy(d->bytes + d->head.size_bytes + sizeof(item), bytes, stored);
	d->head.size_bytes += sizeof(item) + ((stored + 7u) & ~7u);
}

/* The line of a record, to be freed; NULL if it is refused. */
static char *line_of(const void *bytes, size_t size_bytes)
{
	struct event_view view;
	char *text = NULL;
	size_t text_bytes;
	FILE *out;

	if (event_decode(bytes, size_bytes, &view) < 0)
		return NULL;
	out = open_memstream(&text, &text_bytes);
	CHECK(event_print(out, &view, EVENT_STRING_MAX) == 0);
	fclose(out);
	return text;
}

static void expect(const struct draft *d, const char *line)
{
	char *text = line_of(d->bytes, d->head.size_bytes);
	bool same =
		text && !strncmp(text, line, strlen(line)) && !strcmp(text + strlen(line), "\n");

	if (!same) {
		fprintf(stderr, "expected: %s\nprinted:  %s", line, text ? text : "nothing\n");
		failures++;
	}
	free(text);
}

#define ARGS(...) ((const uint64_t[6]){__VA_ARGS__})

static void make_openat(struct draft *d)
{
	begin(d, NR_openat, 3, ARGS((uint32_t)AT_FDCWD, 0x1000, O_CLOEXEC));
	add(d, 1, EVENT_ITEM_STRING, "/etc/passwd", 11, 11);
}

static void test_files(void)
{
	static const char text[40] = "abc\n\"\\\001xyz0123456789012345678901234567";
	struct draft d;

	make_openat(&d);
	expect(&d, "12 3 openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3");
	d.head.result = -ENOENT;
	expect(&d, "12 3 openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = "
		   "-1 ENOENT (No such file or directory)");
	begin(&d, NR_open, -EFAULT, ARGS(0x10, O_WRONLY | O_CREAT | O_TRUNC | 1u << 30, 0644));
	expect(&d, "12 3 open(0x10, O_WRONLY|O_CREAT|O_TRUNC|0x40000000, 0644) = "
		   "-1 EFAULT (Bad address)");
	begin(&d, NR_write, 40, ARGS(1, 0x2000, 4096));
	add(&d, 1, EVENT_ITEM_IN, text, 40, 40);
	expect(&d, "12 3 write(1, \"abc\\n\\\"\\\\\\001xyz0123456789012345678901\"..., 4096) = 40");
	begin(&d, NR_read, 0, ARGS(0, 0x2000, 1));
	add(&d, 1, EVENT_ITEM_OUT, "", 0, 0);
	expect(&d, "12 3 read(0, \"\", 1) = 0");
	begin(&d, NR_fcntl, 0, ARGS(4, F_SETFD, FD_CLOEXEC));
	expect(&d, "12 3 fcntl(4, F_SETFD, FD_CLOEXEC) = 0");
	begin(&d, NR_fcntl, 1, ARGS(4, F_GETFD, 77));
	expect(&d, "12 3 fcntl(4, F_GETFD) = 1");
}

static void test_memory(void)
{
	struct draft d;

	begin(&d, NR_mmap, 0x7f0000000000,
	      ARGS(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0));
	expect(&d, "12 3 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
		   " = 0x7f0000000000");
	begin(&d, NR_mprotect, 0, ARGS(0x1000, 4096, PROT_NONE));
	expect(&d, "12 3 mprotect(0x1000, 4096, PROT_NONE) = 0");
}

static void test_structures(void)
{
	struct timespec time = {1, 500};
	struct pollfd fds[2] = {{3, POLLIN, 0}, {4, POLLOUT, POLLOUT}};
	int32_t status = SIGTERM;
	struct draft d;

	begin(&d, NR_clock_gettime, 0, ARGS(CLOCK_MONOTONIC, 0x1000));
	add(&d, 1, EVENT_ITEM_OUT, &time, sizeof(time), sizeof(time));
	expect(&d, "12 3 clock_gettime(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=500}) = 0");
	begin(&d, NR_poll, 1, ARGS(0x1000, 2, (uint64_t)-1));
	add(&d, 0, EVENT_ITEM_IN, fds, sizeof(fds), sizeof(fds));
	add(&d, 0, EVENT_ITEM_OUT, fds + 1, sizeof(fds[0]), sizeof(fds));
	expect(&d, "12 3 poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}] => "
		   "[{fd=4, events=POLLOUT, revents=POLLOUT}, ...], 2, -1) = 1");
	begin(&d, NR_wait4, 7, ARGS((uint64_t)-1, 0x1000, 1, 0));
	add(&d, 1, EVENT_ITEM_OUT, &status, sizeof(status), sizeof(status));
	expect(&d, "12 3 wait4(-1, [killed by SIGTERM], WNOHANG, NULL) = 7");
	begin(&d, NR_futex, 1, ARGS(0x1000, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 5, 5, 5));
	expect(&d, "12 3 futex(0x1000, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1) = 1");
	begin(&d, NR_execve, 0, ARGS(0x1000, 0x2000, 0x3000));
	d.head.flags = EVENT_NO_RESULT;
	add(&d, 0, EVENT_ITEM_STRING, "/bin/ls", 7, 7);
	add(&d, 1, EVENT_ITEM_STRINGS, "ls\0-l", 6, 6);
	add(&d, 2, EVENT_ITEM_STRINGS, "A=1\0B=2", 8, 8);
	expect(&d, "12 3 execve(\"/bin/ls\", [\"ls\", \"-l\"], 0x3000 /* 2 vars */) = ?");
}

static void test_timers(void)
{
	static const struct itimerspec every = {{1, 0}, {0, 500}};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = 34};
	int number = 2;
	struct draft d;

	event._sigev_un._tid = 9;
	event.sigev_value.sival_int = 7;
	begin(&d, NR_timer_create, 0, ARGS(CLOCK_TAI, 0x1000, 0x2000));
	add(&d, 1, EVENT_ITEM_IN, &event, sizeof(event), sizeof(event));
	add(&d, 2, EVENT_ITEM_OUT, &number, sizeof(number), sizeof(number));
	expect(&d, "12 3 timer_create(CLOCK_TAI, {sigev_value=0x7, sigev_signo=SIGRT_2, "
		   "sigev_notify=SIGEV_THREAD_ID, sigev_notify_thread_id=9}, [2]) = 0");
	begin(&d, NR_timerfd_settime, 0, ARGS(4, 1, 0x1000, 0));
	add(&d, 2, EVENT_ITEM_IN, &every, sizeof(every), sizeof(every));
	expect(&d, "12 3 timerfd_settime(4, TFD_TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=0}, "
		   "it_value={tv_sec=0, tv_nsec=500}}, NULL) = 0");
}

static void expect_info(const siginfo_t *info, const char *text)
{
	struct draft d;
	char line[256];

	begin(&d, NR_rt_sigtimedwait, info->si_signo, ARGS(0x1000, 0x2000, 0, 8));
	add(&d, 1, EVENT_ITEM_OUT, info, sizeof(*info), sizeof(*info));
	snprintf(line, sizeof(line), "12 3 rt_sigtimedwait(0x1000, {%s}, NULL, 8) = %d", text,
		 info->si_signo);
	expect(&d, line);
}

static void test_siginfo(void)
{
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_TKILL};

	info.si_pid = 5;
	expect_info(&info, "si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=5, si_uid=0");
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 6;
	expect_info(&info, "si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=5, si_uid=0, "
			   "si_value={sival_int=6, sival_ptr=0x6}");
	info.si_code = SI_TIMER;
	info.si_overrun = 3;
	expect_info(&info, "si_signo=SIGUSR1, si_code=SI_TIMER, si_timerid=0x5, si_overrun=3, "
			   "si_value={sival_int=6, sival_ptr=0x6}");
	info = (siginfo_t){.si_signo = SIGCHLD, .si_code = CLD_EXITED};
	info.si_pid = 5;
	info.si_status = 2;
	expect_info(&info, "si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=5, si_uid=0, si_status=2");
	info = (siginfo_t){.si_signo = SIGSEGV, .si_code = SEGV_ACCERR};
	info.si_addr = (void *)16;
	expect_info(&info, "si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x10");
}

static void test_other_events(void)
{
	struct draft d;

	begin(&d, EVENT_RDTSC, -5, ARGS(0));
	expect(&d, "12 3 rdtsc() = 0xfffffffffffffffb");
	begin(&d, EVENT_CPUID, 0, ARGS(7, 0, 1, 2, 3, 4));
	expect(&d, "12 3 cpuid(0x7, 0) = {eax=0x1, ebx=0x2, ecx=0x3, edx=0x4}");
	begin(&d, EVENT_SIGNAL, 0, ARGS(SIGCHLD, 1, 0x401150, 4));
	expect(&d, "12 3 --- SIGCHLD {si_code=1, pid_or_address=0x4, handler=0x401150} ---");
	begin(&d, NR_clone, 9, ARGS(0x1200011, 0, 0, 0x9000, 0));
	expect(&d, "12 3 clone(CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, NULL, NULL, "
		   "0x9000, NULL) = 9");
	begin(&d, 400, -ENOSYS, ARGS(1));
	expect(&d, "12 3 syscall_400(0x1, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)");
	begin(&d, NR_socket, -EAFNOSUPPORT, ARGS(2, 1, 0));
	d.head.flags = EVENT_REFUSED;
	expect(&d, "12 3 socket(AF_INET, SOCK_STREAM, 0) = -1 EAFNOSUPPORT (Address family not "
		   "supported by protocol) (refused)");
	CHECK(!strcmp(event_name(NR_read), "read") && !strcmp(event_name(EVENT_RDSEED), "rdseed"));
	CHECK(!event_name(400) && !event_name(SYSCALL_NR_END) && !event_name(EVENT_NR_LEAST - 1));
}

static void test_json(void)
{
	struct event_view view;
	struct draft d;
	json_t *json;

	make_openat(&d);
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == 0);
	CHECK(view.head.size_bytes == d.head.size_bytes && view.items_count == 1);
	CHECK(event_to_json(&view, &json) == 0);
	CHECK(!strcmp(json_string_value(json_object_get(json, "name")), "openat"));
	CHECK(json_integer_value(json_object_get(json, "result")) == 3);
	CHECK(!strcmp(json_string_value(json_array_get(json_object_get(json, "args"), 1)),
		      "\"/etc/passwd\""));
	CHECK(!strcmp(json_string_value(json_object_get(json, "digest")), "0000000000abcdef"));
	CHECK(!strcmp(json_string_value(json_object_get(
			      json_array_get(json_object_get(json, "items"), 0), "data")),
		      "2f6574632f706173737764"));
	json_decref(json);
	begin(&d, 400, -ENOSYS, ARGS(1));
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == 0);
	CHECK(event_to_json(&view, &json) == 0);
	CHECK(!json_object_get(json, "name"));
	CHECK(!strcmp(json_string_value(json_object_get(json, "error")), "ENOSYS"));
	json_decref(json);
}

static void test_bounds(void)
{
	struct event_view view;
	struct draft d;
	int i;

	make_openat(&d);
	CHECK(event_decode(d.bytes, sizeof(d.head) - 1, &view) == -ENODATA);
	CHECK(event_decode(d.bytes, d.head.size_bytes - 1, &view) == -ENODATA);
	d.head.size_bytes += 4;
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
	d.head.size_bytes = sizeof(d.head) - 8;
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
	d.head.size_bytes = EVENT_RECORD_MAX_BYTES + 8;
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
	make_openat(&d);
	for (i = 0; i < EVENT_ITEMS_MAX; i++)
		add(&d, 0, EVENT_ITEM_IN, "", 0, 0);
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
	make_openat(&d);
	add(&d, 6, EVENT_ITEM_IN, "", 0, 0);
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
	make_openat(&d);
	add(&d, 5, EVENT_ITEM_IN, "abc", 3, 2);
	CHECK(event_decode(d.bytes, sizeof(d.bytes), &view) == -EBADMSG);
}

/* Exactly-sized copies, so that ASan sees any byte read beyond; a line has one end. */
static void try_damaged(const struct draft *d, size_t size_bytes, size_t at, int bit)
{
	uint8_t *copy = malloc(size_bytes);
	struct event_view view;
	json_t *json;
	char *text;

	if (!copy)
		abort();
	memcpy(copy, d->bytes, size_bytes);
	if (at < size_bytes)
		copy[at] ^= 1 << bit;
	text = line_of(copy, size_bytes);
	CHECK(!text || strchr(text, '\n') == text + strlen(text) - 1);
	free(text);
	if (!event_decode(copy, size_bytes, &view)) {
		CHECK(event_to_json(&view, &json) == 0);
		json_decref(json);
	}
	free(copy);
}

static void test_damage(void)
{
	struct draft d;
	size_t i;

	make_openat(&d);
	add(&d, 0, EVENT_ITEM_OUT, "\n\n\n\n\n\n\n\n", 8, 8);
	for (i = 1; i < d.head.size_bytes; i++)
		try_damaged(&d, i, SIZE_MAX, 0);
	for (i = 0; i < d.head.size_bytes * 8u; i++)
		try_damaged(&d, d.head.size_bytes, i / 8, (int)(i % 8));
}

/* Every call with items too short, fitting, and filled: each printer meets all of them. */
static void test_every_call(void)
{
	static uint8_t bytes[512];
	struct draft d;
	int32_t nr;
	size_t size;

	for (nr = EVENT_NR_LEAST; nr < SYSCALL_NR_END; nr++) {
		for (size = 0; size <= 1100; size += 1 + size * 2) {
			uint8_t arg;

			memset(bytes, size & 1 ? 0xff : 10, sizeof(bytes));
			begin(&d, nr, -(int64_t)size, ARGS(size, size, ~0ull, size, 1, 2));
			for (arg = 0; arg < 6; arg++)
				add(&d, arg, 1 + (arg + size) % 4, bytes,
				    size < 512 ? (uint16_t)size : 512, (uint32_t)size);
			for (arg = 0; arg < 6; arg++)
				add(&d, arg, EVENT_ITEM_OUT, bytes,
				    size < 512 ? (uint16_t)size : 512, (uint32_t)size);
			try_damaged(&d, d.head.size_bytes, SIZE_MAX, 0);
		}
	}
}

int main(void)
{
	test_files();
	test_memory();
	test_structures();
	test_timers();
	test_siginfo();
	test_other_events();
	test_json();
	test_bounds();
	test_damage();
	test_every_call();
	return failures != 0;
}
