/*
 * Code that a program writes and executes: changed in place, under W^X, in its own page, across
 * pages, by the kernel, after a fork, on the stack; and what must be found in it.
 *
 * With an argument: prints what instructions in such code show of the host.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096u
#define RWX  (PROT_READ | PROT_WRITE | PROT_EXEC)

typedef uint64_t (*code_fn)(uint64_t, uint64_t);

static uint8_t *map(size_t pages, int prot)
{
	uint8_t *at = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static uint64_t run(const uint8_t *at)
{
	return ((code_fn)(uintptr_t)at)(0, 0);
}

/* mov $value, %eax; ret */
static size_t put_constant(uint8_t *at, uint32_t value)
{
	at[0] = 0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = 0xc3;
	return 6;
}

/* push %rbx; mov $leaf, %eax; xor %ecx, %ecx; cpuid; mov %ebx, %eax; pop %rbx; ret */
static size_t put_cpuid(uint8_t *at, uint32_t leaf)
{
	static const uint8_t code[] = {0x53, 0xb8, 0,	 0,    0,    0,	   0x31,
				       0xc9, 0x0f, 0xa2, 0x89, 0xd8, 0x5b, 0xc3};

	memcpy(at, code, sizeof(code));
	memcpy(at + 2, &leaf, 4);
	return sizeof(code);
}

static uint64_t cpuid_ebx(uint32_t leaf)
{
	uint32_t a = leaf, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b;
}

static void test_changed_in_place(void)
{
	uint8_t *at = map(1, RWX);

	for (uint32_t i = 0; i < 50; i++) {
		put_constant(at, i);
		CHECK(run(at) == i && run(at) == i);
	}
	munmap(at, PAGE);
}

static void test_write_xor_execute(void)
{
	uint8_t *at = map(2, PROT_READ | PROT_WRITE);

	for (uint32_t i = 0; i < 5; i++) {
		put_constant(at + 100, i);
		put_cpuid(at + PAGE, 0);
		CHECK(mprotect(at, 2 * PAGE, PROT_READ | PROT_EXEC) == 0);
		CHECK(run(at + 100) == i && run(at + PAGE) == cpuid_ebx(0));
		CHECK(mprotect(at, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
		CHECK(at[PAGE + 8] == 0x0f && at[PAGE + 9] == 0xa2);
	}
	munmap(at, 2 * PAGE);
}

/* What looks like cpuid within another instruction is none. */
static void test_constant(void)
{
	uint8_t *at = map(1, RWX);

	put_constant(at, 0x00a20f);
	CHECK(run(at) == 0xa20f);
	munmap(at, PAGE);
}

/*
 * Words that lie between functions, with the bytes of cpuid, pause, lsl and their like in them, and
 * an address behind a trap whose handler reads what follows it: all of it is loaded as data.
 */
static void test_data_among_code(void)
{
	static const uint64_t words[] = {0x5014ebaf,   0x0fffafa20f, 0x0fffafa24f, 0x500000003,
					 0x10009d90f3, 0x5000000,    0x50149def,   0x5015030f,
					 0x5014739f,   0x1000e1a6c7, 0x1000e2030f, 0x5012239f};
	/* je 1f; int3; .byte 9; 1: lea -0x739(%rip), %r14 */
	static const uint8_t trap[] = {0x48, 0x31, 0xc0, 0x74, 0x02, 0xcc, 0x09, 0x4c,
				       0x8d, 0x35, 0xc7, 0xf8, 0xff, 0xff, 0x4c, 0x89,
				       0x70, 0xfd, 0x48, 0x89, 0x58, 0x05, 0xc3};
	uint8_t *at = map(1, RWX), copy[PAGE];

	for (size_t i = 0; i < PAGE / 2; i += sizeof(words))
		memcpy(at + i, words, sizeof(words));
	for (size_t i = PAGE / 2 + 256; i + sizeof(trap) <= PAGE; i += 64) {
		memset(at + i - 32, 0x90, 32);
		memcpy(at + i, trap, sizeof(trap));
	}
	put_constant(at + PAGE - 16, 7);
	memcpy(copy, at, PAGE);
	CHECK(run(at + PAGE - 16) == 7);
	CHECK(memcmp(copy, at, PAGE) == 0);
	munmap(at, PAGE);
}

/* More of one instruction than a page has room for in our lists; then one that must be found. */
/* Addresses in data beside the code that have the bytes of lsl in them. */
static void test_data_beside(void)
{
	uint8_t *at = map(1, RWX);
	uint64_t value;

	for (uint64_t n = 0; n < 512; n++) {
		uint64_t address = (n & 1 ? 0x555500030f00 : 0x7fff00030f00) + (n >> 1 << 24);
		put_constant(at, (uint32_t)n);
		memset(at + 6, 0x90, 57);
		at[63] = 0xb0; /* with the byte behind it an instruction */
		memcpy(at + 64, &address, sizeof(address));
		CHECK(run(at) == n);
		memcpy(&value, at + 64, sizeof(value));
		CHECK(value == address);
	}
}

static void test_many(void)
{
	uint8_t *at = map(1, RWX);
	size_t n = 0;

	for (; n < PAGE - 64; n += 2)
		memcpy(at + n, "\xf3\x90", 2); /* pause */
	put_cpuid(at + n, 0);
	CHECK(run(at) == cpuid_ebx(0));
	munmap(at, PAGE);
}

static void test_across_pages(void)
{
	uint8_t *at = map(2, RWX);

	for (size_t before = 1; before < 14; before++) {
		put_cpuid(at + PAGE - before, 1);
		CHECK(run(at + PAGE - before) == cpuid_ebx(1));
	}
	/* the first page is executed before the second is written */
	memset(at, 0x90, 2 * PAGE);
	put_cpuid(at + PAGE - 9, 0);
	at[PAGE - 8] = 0xc3;
	run(at + PAGE - 8);
	put_cpuid(at + PAGE - 9, 0);
	CHECK(run(at + PAGE - 9) == cpuid_ebx(0));
	munmap(at, 2 * PAGE);
}

/* Code that stores into the page it stands in. */
static void test_own_page(void)
{
	/* incl count(%rip); mov count(%rip), %eax; ret; the count lies 64 bytes on */
	static const uint8_t count[] = {0xff, 0x05, 58, 0, 0, 0, 0x8b, 0x05, 52, 0, 0, 0, 0xc3};
	/* lea 32(%rip), %rdi; mov $40, %ecx; mov $7, %al; rep stosb; mov -1(%rdi), %al; ret */
	static const uint8_t fill[] = {0x48, 0x8d, 0x3d, 32, 0,	   0,	 0,    0xb9, 40,   0,
				       0,    0,	   0xb0, 7,  0xf3, 0xaa, 0x8a, 0x47, 0xff, 0xc3};
	uint8_t *at = map(1, RWX);

	memcpy(at, count, sizeof(count));
	for (uint64_t i = 1; i <= 20; i++)
		CHECK(run(at) == i);
	memcpy(at + 512, fill, sizeof(fill));
	CHECK((run(at + 512) & 0xff) == 7 && at[512 + 39] == 7 && at[512 + 78] == 7);
	put_cpuid(at + 1024, 0);
	CHECK(run(at + 1024) == cpuid_ebx(0) && run(at) == 21 && run(at + 1024) == cpuid_ebx(0));
	munmap(at, PAGE);
}

/* The kernel stores code where some is executed. */
static void test_read_into(void)
{
	uint8_t *at = map(1, RWX), code[32];
	size_t n = put_cpuid(code, 0);
	char name[] = "jit-XXXXXX";
	int pipes[2], fd = mkstemp(name);

	CHECK(fd >= 0 && unlink(name) == 0 && pipe(pipes) == 0);
	CHECK(write(fd, code, n) == (ssize_t)n && write(pipes[1], code, n) == (ssize_t)n);
	put_cpuid(at, 1);
	CHECK(run(at) == cpuid_ebx(1));
	CHECK(pread(fd, at, n, 0) == (ssize_t)n && run(at) == cpuid_ebx(0));
	put_cpuid(at, 1);
	CHECK(run(at) == cpuid_ebx(1));
	CHECK(read(pipes[0], at, n) == (ssize_t)n && run(at) == cpuid_ebx(0));
	/* and takes it from there */
	CHECK(write(pipes[1], at, n) == (ssize_t)n && read(pipes[0], at + 100, n) == (ssize_t)n);
	CHECK(run(at + 100) == cpuid_ebx(0));
	munmap(at, PAGE);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_fork(void)
{
	uint8_t *at = map(1, RWX);
	int status;

	put_cpuid(at, 1);
	CHECK(run(at) == cpuid_ebx(1));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(run(at) == cpuid_ebx(1));
		put_cpuid(at, 0);
		CHECK(run(at) == cpuid_ebx(0));
		put_constant(at, 3);
		_exit((int)run(at));
	}
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
	CHECK(run(at) == cpuid_ebx(1));
	munmap(at, PAGE);
}

static void test_moved(void)
{
	uint8_t *at = map(1, RWX);

	put_cpuid(at, 0);
	CHECK(run(at) == cpuid_ebx(0));
	uint8_t *to = mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(to != MAP_FAILED && run(to) == cpuid_ebx(0));
	CHECK(to[8] == 0x0f || to[8] == 0xcc);
	CHECK(madvise(to, PAGE, MADV_DONTNEED) == 0 && to[0] == 0 && to[8] == 0);
	put_constant(to, 9);
	CHECK(run(to) == 9);
	munmap(to, 2 * PAGE);
}

static sigjmp_buf back;
static void *volatile fault_addr;
static volatile int fault_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_addr = info->si_addr;
	fault_code = info->si_code;
	siglongjmp(back, 1);
}

/* Faults that are the program's own stay so. */
static void test_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	uint8_t *at = map(2, RWX);

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	put_constant(at, 1);
	CHECK(run(at) == 1 && mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0);
	if (sigsetjmp(back, 1) == 0) {
		*(volatile uint8_t *)at = 0;
		CHECK(!"stored into code that is not writable");
	}
	CHECK(fault_addr == at && fault_code == SEGV_ACCERR && run(at) == 1);
	if (sigsetjmp(back, 1) == 0) {
		*(volatile uint8_t *)(at + 7) = 0;
		CHECK(!"stored into code that is not writable");
	}
	CHECK(fault_addr == at + 7);
	CHECK(mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0);
	if (sigsetjmp(back, 1) == 0) {
		run(at);
		CHECK(!"executed what is not executable");
	}
	CHECK(fault_addr == at && fault_code == SEGV_ACCERR);
	munmap(at, 2 * PAGE);
}

static volatile int handled;

static void on_user(int sig)
{
	handled += sig;
}

/* The frame of a signal on a stack that is executed. */
static void test_stack(void)
{
	uint8_t *at = map(16, RWX);
	stack_t stack = {.ss_sp = at, .ss_size = 16 * PAGE}, none = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_handler = on_user, .sa_flags = SA_ONSTACK};

	for (unsigned i = 0; i < 16; i++) {
		put_constant(at + i * PAGE, i);
		CHECK(run(at + i * PAGE) == i);
	}
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(raise(SIGUSR1) == 0 && handled == SIGUSR1);
	CHECK(run(at) == 0 && sigaltstack(&none, NULL) == 0);
	munmap(at, 16 * PAGE);
}

void alone_in_page(void);
__asm__(".pushsection .text\n"
	".balign 4096\n"
	"alone_in_page: ret\n"
	".balign 4096\n"
	".popsection");

/* Natively the processor's protection keys decide: what may be executed only can be read. */
static void test_readable(void)
{
	uint8_t *at = map(1, PROT_READ | PROT_WRITE);
	volatile uint8_t *file = (volatile uint8_t *)(uintptr_t)alone_in_page;

	at[0] = 0xc3;
	CHECK(mprotect(at, PAGE, PROT_EXEC) == 0 && *(volatile uint8_t *)at == 0xc3);
	run(at);
	CHECK(*(volatile uint8_t *)at == 0xc3);
	CHECK(mprotect((void *)(uintptr_t)alone_in_page, PAGE, PROT_EXEC) == 0 && *file == 0xc3);
	alone_in_page();
	CHECK(*file == 0xc3);
}

static void print_values(void)
{
	/* rdrand %rax; ret   rdtsc; shl $32, %rdx; or %rdx, %rax; ret   xor %ecx; xgetbv; ret */
	static const uint8_t random[] = {0x48, 0x0f, 0xc7, 0xf0, 0xc3};
	static const uint8_t tsc[] = {0x0f, 0x31, 0x48, 0xc1, 0xe2, 32, 0x48, 0x09, 0xd0, 0xc3};
	static const uint8_t xgetbv[] = {0x31, 0xc9, 0x0f, 0x01, 0xd0, 0xc3};
	uint8_t *at = map(1, RWX);

	memcpy(at, random, sizeof(random));
	memcpy(at + 64, tsc, sizeof(tsc));
	memcpy(at + 128, xgetbv, sizeof(xgetbv));
	put_cpuid(at + 192, 1);
	printf("random %016lx %016lx tsc %lu", run(at), run(at), run(at + 64));
	printf(" xcr0 %u cpuid %08x\n", (unsigned)run(at + 128), (unsigned)run(at + 192));
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		test_readable();
		print_values();
		return 0;
	}
	test_changed_in_place();
	test_write_xor_execute();
	test_constant();
	test_data_among_code();
	test_data_beside();
	test_many();
	test_across_pages();
	test_own_page();
	test_read_into();
	test_fork();
	test_moved();
	test_faults();
	test_stack();
	puts("ok");
	return 0;
}
