/*
 * The printers behind arg_kinds.def.
 *
 * Owns nothing. Every printer gets a struct place: where to write, which argument of which event,
 * and which recorded bytes to use. Invariant: a printer reads recorded bytes only through fetch or
 * an item that event_item_find gave it, so never beyond what the record holds; what is missing
 * falls back to the plain address.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "arg_print.h"
#include "arg_place.h"
#include "flag_names.h"

/* Structures of more elements than this are shortened. */
#define ELEMENTS_MAX 32

/* The kernel's struct sigaction; libc's has another order. */
struct kernel_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

static void print_hex(const struct place *at)
{
	fprintf(at->out, at->value ? "%#" PRIx64 : "%" PRIx64, at->value);
}

void print_ptr(const struct place *at)
{
	if (at->value)
		fprintf(at->out, "%#" PRIx64, at->value);
	else
		fputs("NULL", at->out);
}

bool fetch_item(const struct place *at, struct event_item_view *ret_item)
{
	if (event_item_find(at->event, at->arg, at->kind, ret_item))
		return true;
	print_ptr(at);
	return false;
}

bool fetch(const struct place *at, void *ret_bytes, size_t size_bytes)
{
	struct event_item_view item;

	if (!fetch_item(at, &item))
		return false;
	if (item.head.stored_bytes < size_bytes) {
		print_ptr(at);
		return false;
	}
	memcpy(ret_bytes, item.bytes, size_bytes);
	return true;
}

/* Element `index` of a recorded array, false past its stored or its shown end. */
static bool fetch_element(const struct event_item_view *item, size_t index, void *ret_bytes,
			  size_t size_bytes)
{
	if (index >= ELEMENTS_MAX || (index + 1) * size_bytes > item->head.stored_bytes)
		return false;
	memcpy(ret_bytes, item->bytes + index * size_bytes, size_bytes);
	return true;
}

/* Closes an array of which `shown` elements were printed. */
static void close_array(const struct place *at, const struct event_item_view *item, size_t shown,
			size_t size_bytes)
{
	if (item->head.full_bytes >= (shown + 1) * size_bytes)
		fputs(shown ? ", ..." : "...", at->out);
	fputc(']', at->out);
}

/* Numbers. */

void print_int(const struct place *at)
{
	fprintf(at->out, "%d", (int)at->value);
}

static void print_uint(const struct place *at)
{
	fprintf(at->out, "%u", (unsigned int)at->value);
}

static void print_long(const struct place *at)
{
	fprintf(at->out, "%" PRId64, (int64_t)at->value);
}

static void print_size(const struct place *at)
{
	fprintf(at->out, "%" PRIu64, at->value);
}

static void print_octal(const struct place *at)
{
	fprintf(at->out, "%#03o", (unsigned int)at->value);
}

static void print_dirfd(const struct place *at)
{
	if ((int)at->value == AT_FDCWD)
		fputs("AT_FDCWD", at->out);
	else
		print_int(at);
}

/* Names. */

static void print_set32(const struct place *at)
{
	flag_set_print(at->out, at->flags, (uint32_t)at->value);
}

static void print_set64(const struct place *at)
{
	flag_set_print(at->out, at->flags, at->value);
}

/* Flags and, in the low bits, a mode. */
static void print_ipc_flags(const struct place *at)
{
	uint32_t flags = (uint32_t)at->value & ~0777u, mode = at->value & 0777;

	if (flags)
		flag_set_print(at->out, at->flags, flags);
	fprintf(at->out, flags ? "|%#03o" : "%#03o", mode);
}

void arg_print_signal(FILE *out, int signal)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		fprintf(out, "SIG%s", name);
	else if (signal >= 32 && signal <= 64)
		fprintf(out, "SIGRT_%d", signal - 32);
	else
		fprintf(out, "%d", signal);
}

void print_signal(const struct place *at)
{
	arg_print_signal(at->out, (int)at->value);
}

/* The low byte of clone's flags is the signal the parent gets. */
static void print_clone_flags(const struct place *at)
{
	int signal = at->value & 0xff;

	if (at->value & ~(uint64_t)0xff || !signal)
		flag_set_print(at->out, at->flags, at->value & ~(uint64_t)0xff);
	if (!signal)
		return;
	if (at->value & ~(uint64_t)0xff)
		fputc('|', at->out);
	arg_print_signal(at->out, signal);
}

static void put_mode(FILE *out, unsigned int mode)
{
	if (mode & S_IFMT) {
		flag_set_print(out, &flags_file_type, mode & S_IFMT);
		fputc('|', out);
	}
	fprintf(out, "%#03o", mode & ~S_IFMT);
}

static void print_mknod_mode(const struct place *at)
{
	put_mode(at->out, (unsigned int)at->value);
}

/* Strings and bytes. */

static void put_byte(FILE *out, unsigned char byte)
{
	static const char plain[] = "\n\t\r\v\f\\\"";
	static const char letter[] = "ntrvf\\\"";
	const char *found = byte ? strchr(plain, byte) : NULL;

	if (found)
		fprintf(out, "\\%c", letter[found - plain]);
	else if (byte < 0x20 || byte > 0x7e)
		fprintf(out, "\\%03o", byte);
	else
		fputc(byte, out);
}

void put_quoted(FILE *out, const uint8_t *bytes, size_t stored, size_t full, size_t max)
{
	size_t shown = stored < max ? stored : max;
	size_t i;

	fputc('"', out);
	for (i = 0; i < shown; i++)
		put_byte(out, bytes[i]);
	fputs(shown < full ? "\"..." : "\"", out);
}

static void print_bytes(const struct place *at)
{
	struct event_item_view item;

	if (fetch_item(at, &item))
		put_quoted(at->out, item.bytes, item.head.stored_bytes, item.head.full_bytes,
			   at->string_max);
}

/* Paths are short and the point of the call: they are shown whole. */
static void print_string(const struct place *at)
{
	struct event_item_view item;

	if (fetch_item(at, &item))
		put_quoted(at->out, item.bytes, item.head.stored_bytes, item.head.full_bytes,
			   SIZE_MAX);
}

/* The length of the string at `bytes`, without the NUL that may be missing at the end. */
static size_t string_length(const uint8_t *bytes, size_t left)
{
	const uint8_t *end = memchr(bytes, 0, left);

	return end ? (size_t)(end - bytes) : left;
}

static void print_strings(const struct place *at)
{
	struct event_item_view item;
	size_t offset = 0;
	size_t count = 0;

	if (!event_item_find(at->event, at->arg, EVENT_ITEM_STRINGS, &item)) {
		print_ptr(at);
		return;
	}
	fputc('[', at->out);
	while (offset < item.head.stored_bytes && count < ELEMENTS_MAX) {
		size_t length = string_length(item.bytes + offset, item.head.stored_bytes - offset);

		fputs(count++ ? ", " : "", at->out);
		put_quoted(at->out, item.bytes + offset, length, length, at->string_max);
		offset += length + 1;
	}
	fputs(offset < item.head.full_bytes ? ", ...]" : "]", at->out);
}

static void print_string_count(const struct place *at)
{
	struct event_item_view item;
	size_t count = 0;
	size_t i;

	print_ptr(at);
	if (!event_item_find(at->event, at->arg, EVENT_ITEM_STRINGS, &item))
		return;
	for (i = 0; i < item.head.stored_bytes; i++)
		count += !item.bytes[i];
	fprintf(at->out, " /* %zu%s vars */", count,
		item.head.stored_bytes < item.head.full_bytes ? " or more" : "");
}

/* Single numbers in memory. */

void print_int_at(const struct place *at)
{
	int32_t value;

	if (fetch(at, &value, sizeof(value)))
		fprintf(at->out, "[%" PRId32 "]", value);
}

static void print_uint_at(const struct place *at)
{
	uint32_t value;

	if (fetch(at, &value, sizeof(value)))
		fprintf(at->out, "[%" PRIu32 "]", value);
}

static void print_long_at(const struct place *at)
{
	int64_t value;

	if (fetch(at, &value, sizeof(value)))
		fprintf(at->out, "[%" PRId64 "]", value);
}

static void print_pipefds(const struct place *at)
{
	int32_t fds[2];

	if (fetch(at, fds, sizeof(fds)))
		fprintf(at->out, "[%" PRId32 ", %" PRId32 "]", fds[0], fds[1]);
}

static void print_groups(const struct place *at)
{
	struct event_item_view item;
	uint32_t group;
	size_t i;

	if (!fetch_item(at, &item))
		return;
	fputc('[', at->out);
	for (i = 0; fetch_element(&item, i, &group, sizeof(group)); i++)
		fprintf(at->out, "%s%" PRIu32, i ? ", " : "", group);
	close_array(at, &item, i, sizeof(group));
}

/* Time. */

static void put_timespec(FILE *out, const struct timespec *time)
{
	if (time->tv_nsec == UTIME_NOW || time->tv_nsec == UTIME_OMIT)
		fputs(time->tv_nsec == UTIME_NOW ? "UTIME_NOW" : "UTIME_OMIT", out);
	else
		fprintf(out, "{tv_sec=%jd, tv_nsec=%ld}", (intmax_t)time->tv_sec, time->tv_nsec);
}

static void put_timeval(FILE *out, const struct timeval *time)
{
	fprintf(out, "{tv_sec=%jd, tv_usec=%jd}", (intmax_t)time->tv_sec, (intmax_t)time->tv_usec);
}

static void print_timespec(const struct place *at)
{
	struct timespec time;

	if (fetch(at, &time, sizeof(time)))
		put_timespec(at->out, &time);
}

static void print_timeval(const struct place *at)
{
	struct timeval time;

	if (fetch(at, &time, sizeof(time)))
		put_timeval(at->out, &time);
}

static void print_timespecs(const struct place *at)
{
	struct timespec times[2];

	if (!fetch(at, times, sizeof(times)))
		return;
	fputc('[', at->out);
	put_timespec(at->out, &times[0]);
	fputs(", ", at->out);
	put_timespec(at->out, &times[1]);
	fputc(']', at->out);
}

static void print_timevals(const struct place *at)
{
	struct timeval times[2];

	if (!fetch(at, times, sizeof(times)))
		return;
	fputc('[', at->out);
	put_timeval(at->out, &times[0]);
	fputs(", ", at->out);
	put_timeval(at->out, &times[1]);
	fputc(']', at->out);
}

static void print_itimerval(const struct place *at)
{
	struct itimerval timer;

	if (!fetch(at, &timer, sizeof(timer)))
		return;
	fputs("{it_interval=", at->out);
	put_timeval(at->out, &timer.it_interval);
	fputs(", it_value=", at->out);
	put_timeval(at->out, &timer.it_value);
	fputc('}', at->out);
}

static void print_itimerspec(const struct place *at)
{
	struct itimerspec timer;

	if (!fetch(at, &timer, sizeof(timer)))
		return;
	fputs("{it_interval=", at->out);
	put_timespec(at->out, &timer.it_interval);
	fputs(", it_value=", at->out);
	put_timespec(at->out, &timer.it_value);
	fputc('}', at->out);
}

/* Signals. */

static void print_sigevent(const struct place *at)
{
	struct sigevent event;

	if (!fetch(at, &event, sizeof(event)))
		return;
	fprintf(at->out,
		"{sigev_value=%#" PRIx64 ", sigev_signo=", (uint64_t)event.sigev_value.sival_ptr);
	arg_print_signal(at->out, event.sigev_signo);
	fputs(", sigev_notify=", at->out);
	flag_set_print(at->out, &flags_sigev_notify, (uint32_t)event.sigev_notify);
	if (event.sigev_notify == SIGEV_THREAD_ID)
		fprintf(at->out, ", sigev_notify_thread_id=%d", event._sigev_un._tid);
	fputc('}', at->out);
}

static void put_sigset(FILE *out, uint64_t set)
{
	const char *separator = "";
	bool inverted = __builtin_popcountll(set) > 32;
	int signal;

	fputs(inverted ? "~[" : "[", out);
	for (signal = 1; signal <= 64; signal++) {
		if ((set >> (signal - 1) & 1) == inverted)
			continue;
		fputs(separator, out);
		arg_print_signal(out, signal);
		separator = " ";
	}
	fputc(']', out);
}

static void print_sigset(const struct place *at)
{
	uint64_t set;

	if (fetch(at, &set, sizeof(set)))
		put_sigset(at->out, set);
}

static void put_handler(FILE *out, uint64_t handler)
{
	if (handler == (uint64_t)SIG_DFL)
		fputs("SIG_DFL", out);
	else if (handler == (uint64_t)SIG_IGN)
		fputs("SIG_IGN", out);
	else
		fprintf(out, "%#" PRIx64, handler);
}

static void print_sigaction(const struct place *at)
{
	struct kernel_sigaction action;

	if (!fetch(at, &action, sizeof(action)))
		return;
	fputs("{sa_handler=", at->out);
	put_handler(at->out, action.handler);
	fputs(", sa_mask=", at->out);
	put_sigset(at->out, action.mask);
	fputs(", sa_flags=", at->out);
	flag_set_print(at->out, &flags_sa_flags, (uint32_t)action.flags);
	fputc('}', at->out);
}

/* Codes above 0, but SI_KERNEL, are the signal's own. */
static const struct flag_set *si_codes_of(const siginfo_t *info)
{
	static const struct flag_set *const own[] = {
		[SIGCHLD] = &flags_cld_code,
		[SIGSEGV] = &flags_segv_code,
		[SIGBUS] = &flags_bus_code,
		[SIGFPE] = &flags_fpe_code,
	};
	unsigned int signal = (unsigned int)info->si_signo;
	bool is_own = info->si_code > 0 && info->si_code < SI_KERNEL;

	if (is_own && signal < sizeof(own) / sizeof(own[0]) && own[signal])
		return own[signal];
	return &flags_si_code;
}

static void put_value(FILE *out, union sigval value)
{
	fprintf(out, ", si_value={sival_int=%d, sival_ptr=%#" PRIx64 "}", value.sival_int,
		(uint64_t)value.sival_ptr);
}

static void put_siginfo_rest(FILE *out, const siginfo_t *info)
{
	bool is_own = info->si_code > 0 && info->si_code < SI_KERNEL;

	if (info->si_code == SI_TIMER) {
		fprintf(out, ", si_timerid=%#x, si_overrun=%d", (unsigned int)info->si_timerid,
			info->si_overrun);
		put_value(out, info->si_value);
		return;
	}
	if (is_own && info->si_signo != SIGCHLD) {
		fprintf(out, ", si_addr=%#" PRIx64, (uint64_t)info->si_addr);
		return;
	}
	fprintf(out, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
	if (is_own)
		fprintf(out, ", si_status=%d", info->si_status);
	else if (info->si_code < 0 && info->si_code != SI_TKILL)
		put_value(out, info->si_value);
}

static void print_siginfo(const struct place *at)
{
	siginfo_t info;

	if (!fetch(at, &info, sizeof(info)))
		return;
	fputs("{si_signo=", at->out);
	arg_print_signal(at->out, info.si_signo);
	fputs(", si_code=", at->out);
	flag_set_print(at->out, si_codes_of(&info), (uint32_t)info.si_code);
	put_siginfo_rest(at->out, &info);
	fputc('}', at->out);
}

static void print_stack(const struct place *at)
{
	stack_t stack;

	if (!fetch(at, &stack, sizeof(stack)))
		return;
	fprintf(at->out, "{ss_sp=%#" PRIx64 ", ss_flags=", (uint64_t)stack.ss_sp);
	flag_set_print(at->out, &flags_ss_flags, (uint32_t)stack.ss_flags);
	fprintf(at->out, ", ss_size=%zu}", stack.ss_size);
}

/* Processes. */

static void put_wstatus(FILE *out, int status)
{
	if (WIFEXITED(status))
		fprintf(out, "exited %d", WEXITSTATUS(status));
	else if (WIFCONTINUED(status))
		fputs("continued", out);
	else if (WIFSTOPPED(status))
		fputs("stopped by ", out);
	else
		fputs("killed by ", out);
	if (WIFSTOPPED(status) && !WIFCONTINUED(status))
		arg_print_signal(out, WSTOPSIG(status));
	else if (WIFSIGNALED(status))
		arg_print_signal(out, WTERMSIG(status));
	if (WIFSIGNALED(status) && WCOREDUMP(status))
		fputs(", core dumped", out);
}

static void print_wstatus(const struct place *at)
{
	int status;

	if (!fetch(at, &status, sizeof(status)))
		return;
	fputc('[', at->out);
	put_wstatus(at->out, status);
	fputc(']', at->out);
}

static void put_limit(FILE *out, const char *name, uint64_t limit)
{
	if (limit == RLIM_INFINITY)
		fprintf(out, "%s=RLIM_INFINITY", name);
	else
		fprintf(out, "%s=%" PRIu64, name, limit);
}

static void print_rlimit(const struct place *at)
{
	struct rlimit limit;

	if (!fetch(at, &limit, sizeof(limit)))
		return;
	put_limit(at->out, "{rlim_cur", limit.rlim_cur);
	put_limit(at->out, ", rlim_max", limit.rlim_max);
	fputc('}', at->out);
}

static void print_rusage(const struct place *at)
{
	struct rusage usage;

	if (!fetch(at, &usage, sizeof(usage)))
		return;
	fputs("{ru_utime=", at->out);
	put_timeval(at->out, &usage.ru_utime);
	fputs(", ru_stime=", at->out);
	put_timeval(at->out, &usage.ru_stime);
	fprintf(at->out, ", ru_maxrss=%ld, ...}", usage.ru_maxrss);
}

static void print_clone_args(const struct place *at)
{
	struct clone_args args;

	if (!fetch(at, &args, CLONE_ARGS_SIZE_VER0))
		return;
	fputs("{flags=", at->out);
	flag_set_print(at->out, &flags_clone_flags, args.flags);
	fputs(", exit_signal=", at->out);
	arg_print_signal(at->out, (int)args.exit_signal);
	fprintf(at->out, ", stack=%#" PRIx64 ", stack_size=%#" PRIx64 ", tls=%#" PRIx64 "}",
		(uint64_t)args.stack, (uint64_t)args.stack_size, (uint64_t)args.tls);
}

static void print_uname(const struct place *at)
{
	struct utsname name;

	if (!fetch(at, &name, sizeof(name)))
		return;
	fputs("{sysname=", at->out);
	put_quoted(at->out, (const uint8_t *)name.sysname, strnlen(name.sysname, 65), 0, SIZE_MAX);
	fputs(", nodename=", at->out);
	put_quoted(at->out, (const uint8_t *)name.nodename, strnlen(name.nodename, 65), 0,
		   SIZE_MAX);
	fputs(", release=", at->out);
	put_quoted(at->out, (const uint8_t *)name.release, strnlen(name.release, 65), 0, SIZE_MAX);
	fputs(", ...}", at->out);
}

/* Files. */

static void print_stat(const struct place *at)
{
	struct stat stat;

	if (!fetch(at, &stat, sizeof(stat)))
		return;
	fprintf(at->out, "{st_ino=%ju, st_mode=", (uintmax_t)stat.st_ino);
	put_mode(at->out, stat.st_mode);
	fprintf(at->out,
		", st_nlink=%ju, st_uid=%u, st_gid=%u, st_size=%jd, st_mtime=%jd.%09ld, ...}",
		(uintmax_t)stat.st_nlink, stat.st_uid, stat.st_gid, (intmax_t)stat.st_size,
		(intmax_t)stat.st_mtim.tv_sec, stat.st_mtim.tv_nsec);
}

static void print_statx(const struct place *at)
{
	struct statx stat;

	if (!fetch(at, &stat, sizeof(stat)))
		return;
	fputs("{stx_mask=", at->out);
	flag_set_print(at->out, &flags_statx_mask, stat.stx_mask);
	fprintf(at->out, ", stx_ino=%" PRIu64 ", stx_mode=", (uint64_t)stat.stx_ino);
	put_mode(at->out, stat.stx_mode);
	fprintf(at->out, ", stx_nlink=%u, stx_uid=%u, stx_gid=%u, stx_size=%" PRIu64,
		stat.stx_nlink, stat.stx_uid, stat.stx_gid, (uint64_t)stat.stx_size);
	fprintf(at->out, ", stx_mtime=%" PRId64 ".%09u, ...}", (int64_t)stat.stx_mtime.tv_sec,
		stat.stx_mtime.tv_nsec);
}

static void print_statfs(const struct place *at)
{
	struct statfs stat;

	if (!fetch(at, &stat, sizeof(stat)))
		return;
	fprintf(at->out, "{f_type=%#lx, f_bsize=%ld, f_blocks=%ju, f_bfree=%ju, f_bavail=%ju, ...}",
		(unsigned long)stat.f_type, (long)stat.f_bsize, (uintmax_t)stat.f_blocks,
		(uintmax_t)stat.f_bfree, (uintmax_t)stat.f_bavail);
}

static void print_open_how(const struct place *at)
{
	struct open_how how;

	if (!fetch(at, &how, sizeof(how)))
		return;
	fputs("{flags=", at->out);
	flag_set_print(at->out, &flags_open_flags, how.flags);
	fprintf(at->out, ", mode=%#03" PRIo64 ", resolve=", (uint64_t)how.mode);
	flag_set_print(at->out, &flags_resolve, how.resolve);
	fputc('}', at->out);
}

static void print_flock(const struct place *at)
{
	struct flock lock;

	if (!fetch(at, &lock, sizeof(lock)))
		return;
	fputs("{l_type=", at->out);
	flag_set_print(at->out, &flags_lock_type, (uint64_t)lock.l_type);
	fputs(", l_whence=", at->out);
	flag_set_print(at->out, &flags_whence, (uint64_t)lock.l_whence);
	fprintf(at->out, ", l_start=%jd, l_len=%jd}", (intmax_t)lock.l_start, (intmax_t)lock.l_len);
}

/* The third argument of fcntl, by the command in the second. */
static void print_fcntl_arg(const struct place *at)
{
	switch ((int)at->event->head.args[1]) {
	case F_SETFD:
		flag_set_print(at->out, &flags_fd_flags, (uint32_t)at->value);
		break;
	case F_SETFL:
		flag_set_print(at->out, &flags_open_flags, (uint32_t)at->value);
		break;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		print_flock(at);
		break;
	default:
		print_int(at);
	}
}

/* The fourth argument of futex: a time for the calls that wait, a second count for the others. */
static void print_futex_timeout(const struct place *at)
{
	switch (at->event->head.args[1] & FUTEX_CMD_MASK) {
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_WAKE_OP:
		print_uint(at);
		break;
	default:
		print_timespec(at);
	}
}

/* Waiting. */

static void print_pollfds(const struct place *at)
{
	struct event_item_view item;
	struct pollfd entry;
	size_t i;

	if (!fetch_item(at, &item))
		return;
	fputc('[', at->out);
	for (i = 0; fetch_element(&item, i, &entry, sizeof(entry)); i++) {
		fprintf(at->out, "%s{fd=%d, events=", i ? ", " : "", entry.fd);
		flag_set_print(at->out, &flags_poll_events, (uint16_t)entry.events);
		if (at->kind == EVENT_ITEM_OUT) {
			fputs(", revents=", at->out);
			flag_set_print(at->out, &flags_poll_events, (uint16_t)entry.revents);
		}
		fputc('}', at->out);
	}
	close_array(at, &item, i, sizeof(entry));
}

static void print_fdset(const struct place *at)
{
	struct event_item_view item;
	const char *separator = "";
	size_t fd;

	if (!fetch_item(at, &item))
		return;
	fputc('[', at->out);
	for (fd = 0; fd < (size_t)item.head.stored_bytes * 8; fd++) {
		if (!(item.bytes[fd / 8] >> (fd % 8) & 1))
			continue;
		fprintf(at->out, "%s%zu", separator, fd);
		separator = " ";
	}
	fputs(item.head.stored_bytes < item.head.full_bytes ? " ...]" : "]", at->out);
}

static void put_epoll_event(FILE *out, const struct epoll_event *event)
{
	fputs("{events=", out);
	flag_set_print(out, &flags_epoll_events, event->events);
	fprintf(out, ", data=%#" PRIx64 "}", (uint64_t)event->data.u64);
}

static void print_epoll_event(const struct place *at)
{
	struct epoll_event event;

	if (fetch(at, &event, sizeof(event)))
		put_epoll_event(at->out, &event);
}

static void print_epoll_events(const struct place *at)
{
	struct event_item_view item;
	struct epoll_event event;
	size_t i;

	if (!fetch_item(at, &item))
		return;
	fputc('[', at->out);
	for (i = 0; fetch_element(&item, i, &event, sizeof(event)); i++) {
		fputs(i ? ", " : "", at->out);
		put_epoll_event(at->out, &event);
	}
	close_array(at, &item, i, sizeof(event));
}

/* System V IPC. */

static void print_sembufs(const struct place *at)
{
	struct event_item_view item;
	struct sembuf op;
	size_t i;

	if (!fetch_item(at, &item))
		return;
	fputc('[', at->out);
	for (i = 0; fetch_element(&item, i, &op, sizeof(op)); i++) {
		fprintf(at->out, "%s{%u, %d, ", i ? ", " : "", op.sem_num, op.sem_op);
		flag_set_print(at->out, at->flags, (uint16_t)op.sem_flg);
		fputc('}', at->out);
	}
	close_array(at, &item, i, sizeof(op));
}

static void print_msgbuf(const struct place *at)
{
	struct event_item_view item;
	int64_t type;

	if (!fetch_item(at, &item))
		return;
	if (item.head.stored_bytes < sizeof(type)) {
		fputs("{}", at->out);
		return;
	}
	memcpy(&type, item.bytes, sizeof(type));
	fprintf(at->out, "{mtype=%" PRId64 ", mtext=", type);
	put_quoted(at->out, item.bytes + sizeof(type), item.head.stored_bytes - sizeof(type),
		   item.head.full_bytes - sizeof(type), at->string_max);
	fputc('}', at->out);
}

static const struct {
	enum arg_flow flow;
	void (*print)(const struct place *at);
	const struct flag_set *flags;
} kinds[] = {
#define ARG_KIND(kind, flow, printer, flags) \
	[ARG_##kind] = {FLOW_##flow, print_##printer, &flags_##flags},
#include "arg_kinds.def"
#undef ARG_KIND
};

static enum event_item_kind item_kind(enum arg_flow flow)
{
	switch (flow) {
	case FLOW_PATH:
	case FLOW_STR:
		return EVENT_ITEM_STRING;
	case FLOW_OUT:
	case FLOW_BUF_OUT:
		return EVENT_ITEM_OUT;
	default:
		return EVENT_ITEM_IN;
	}
}

enum arg_flow arg_flow(enum arg_kind kind)
{
	return kinds[kind].flow;
}

void arg_print(FILE *out, const struct event_view *event, unsigned int arg, enum arg_kind kind,
	       size_t string_max)
{
	struct event_item_view item;
	struct place at = {
		.out = out,
		.event = event,
		.flags = kinds[kind].flags,
		.value = event->head.args[arg],
		.arg = arg,
		.kind = item_kind(kinds[kind].flow),
		.string_max = string_max,
	};

	kinds[kind].print(&at);
	if (kinds[kind].flow != FLOW_INOUT)
		return;
	at.kind = EVENT_ITEM_OUT;
	if (!event_item_find(event, arg, at.kind, &item))
		return;
	fputs(" => ", out);
	kinds[kind].print(&at);
}

size_t arg_struct_size(enum arg_kind kind)
{
	static const uint16_t sizes[] = {
		[ARG_TIMESPEC_IN] = sizeof(struct timespec),
		[ARG_TIMESPECS_IN] = 2 * sizeof(struct timespec),
		[ARG_TIMEVAL_IN] = sizeof(struct timeval),
		[ARG_TIMEVALS_IN] = 2 * sizeof(struct timeval),
		[ARG_ITIMERVAL_IN] = sizeof(struct itimerval),
		[ARG_ITIMERSPEC_IN] = sizeof(struct itimerspec),
		[ARG_SIGEVENT_IN] = sizeof(struct sigevent),
		[ARG_SIGSET_IN] = sizeof(uint64_t),
		[ARG_SIGACTION_IN] = sizeof(struct kernel_sigaction),
		[ARG_SIGINFO_IN] = sizeof(siginfo_t),
		[ARG_STACK_IN] = sizeof(stack_t),
		[ARG_RLIMIT_IN] = sizeof(struct rlimit),
		[ARG_EPOLL_EVENT_IN] = sizeof(struct epoll_event),
		[ARG_OPEN_HOW_IN] = sizeof(struct open_how),
		[ARG_CLONE_ARGS_IN] = CLONE_ARGS_SIZE_VER0,
		[ARG_STAT_OUT] = sizeof(struct stat),
		[ARG_STATX_OUT] = sizeof(struct statx),
		[ARG_STATFS_OUT] = sizeof(struct statfs),
		[ARG_PIPEFDS_OUT] = 2 * sizeof(int),
		[ARG_WSTATUS_OUT] = sizeof(int),
		[ARG_INT_OUT] = sizeof(int),
		[ARG_UINT_OUT] = sizeof(unsigned int),
		[ARG_LONG_OUT] = sizeof(long),
		[ARG_TIMESPEC_OUT] = sizeof(struct timespec),
		[ARG_TIMEVAL_OUT] = sizeof(struct timeval),
		[ARG_ITIMERVAL_OUT] = sizeof(struct itimerval),
		[ARG_ITIMERSPEC_OUT] = sizeof(struct itimerspec),
		[ARG_SIGSET_OUT] = sizeof(uint64_t),
		[ARG_SIGACTION_OUT] = sizeof(struct kernel_sigaction),
		[ARG_SIGINFO_OUT] = sizeof(siginfo_t),
		[ARG_STACK_OUT] = sizeof(stack_t),
		[ARG_RLIMIT_OUT] = sizeof(struct rlimit),
		[ARG_RUSAGE_OUT] = sizeof(struct rusage),
		[ARG_UNAME_OUT] = sizeof(struct utsname),
	};

	return kind < sizeof(sizes) / sizeof(*sizes) ? sizes[kind] : 0;
}
