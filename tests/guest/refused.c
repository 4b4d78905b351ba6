/*
 * Calls the container refuses, each with an error its manual page allows, and 32-bit entry, which
 * must end the program rather than reach the kernel. Not run on bare Linux, where they work.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

static void check_refused(void)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {{"io_uring_setup", SYS_io_uring_setup},
		     {"ptrace", SYS_ptrace},
		     {"perf_event_open", SYS_perf_event_open},
		     {"bpf", SYS_bpf},
		     {"userfaultfd", SYS_userfaultfd},
		     {"kexec_load", SYS_kexec_load},
		     {"reboot", SYS_reboot},
		     {"mount", SYS_mount},
		     {"unshare", SYS_unshare},
		     {"unknown", 400},
		     {"far beyond", 100000}};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		CHECK(syscall(calls[i].number, 1L << 28, 0, 0, 0, 0, 0) == -1);
		printf("%s: %s\n", calls[i].name, strerror(errno));
	}
}

/* What is refused of shared memory and queues: code in it, growth into nothing, telling by a
 * thread.
 */
static void check_shared(void)
{
	const size_t page = 4096;
	char *anonymous =
		mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int id = shmget(IPC_PRIVATE, page, 0700);
	char *segment = shmat(id, NULL, 0);

	CHECK(mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0) ==
		      MAP_FAILED &&
	      errno == EACCES);
	CHECK(mprotect(anonymous, page, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	CHECK(shmat(id, NULL, SHM_EXEC) == (void *)-1 && errno == EACCES);
	CHECK(mprotect(segment, page, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	CHECK(mremap(segment, page, 2 * page, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	printf("shared: refused\n");
}

/* Code of a file stays where it was mapped. */
static void check_moved_code(void)
{
	const size_t page = 4096;
	int fd = open("/proc/self/exe", O_RDONLY);
	char *room = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	CHECK(fd >= 0 && code != MAP_FAILED && room != MAP_FAILED);
	CHECK(mremap(code, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, room) == MAP_FAILED &&
	      errno == ENOMEM);
	CHECK(memcmp(code, "\177ELF", 4) == 0 && close(fd) == 0);
}

/* Futexes that inherit priorities: by operation, not by call. */
static void check_futex(void)
{
	static const int ops[] = {FUTEX_LOCK_PI,	 FUTEX_UNLOCK_PI,      FUTEX_TRYLOCK_PI,
				  FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI, 13};
	unsigned word = 0, other = 0;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		CHECK(syscall(SYS_futex, &word, ops[i], 0, NULL, &other, 0) == -1);
		printf("futex %d: %s\n", ops[i], strerror(errno));
	}
}

static int status_of(void (*body)(void))
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		body();
		_exit(99);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

/* The one `syscall` that reaches the kernel (shim.ld), which is nobody's but the shim's. */
static long kernel_call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("call *%5"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(0x7e8000000000)
			 : "rcx", "r11", "memory");
	return result;
}

/* Who jumps there himself still finds no way to the host's network. */
static void check_barred(void)
{
	CHECK(kernel_call(SYS_getuid, 0, 0, 0) >= 0);
	CHECK(kernel_call(SYS_socket, AF_INET, SOCK_STREAM, 0) == -EACCES);
	CHECK(kernel_call(SYS_socket, AF_UNIX, SOCK_STREAM, 0) == -EACCES);
	CHECK(kernel_call(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0) == -EACCES);
	CHECK(kernel_call(SYS_io_uring_setup, 1, 0, 0) == -EACCES);
	printf("sockets of the host: barred\n");
}

/* getpid by the 32-bit door; a real pid in eax would be 1 at least. */
static void enter_32bit(void)
{
	long result = 20;

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	_exit(result > 0 ? 98 : 97);
}

static void enter_x32(void)
{
	_exit(syscall(0x40000000 + SYS_getpid) > 0 ? 98 : 97);
}

int main(void)
{
	int status;

	check_refused();
	check_shared();
	check_moved_code();
	check_futex();
	check_barred();
	fflush(stdout);
	status = status_of(enter_32bit);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 97);
	status = status_of(enter_x32);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 97);
	printf("refused ok\n");
	return 0;
}
