/*
 * The frames of signal handlers: what a fault tells, changes of the context that take effect,
 * vector registers across a handler, alternate stacks under an overflow, jumps out of a parked
 * call, the order of several signals. Says the size of a frame, which is the same on every host.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

#define ALTERNATE_SIZE 65536

static sigjmp_buf way_out;
static char alternate[ALTERNATE_SIZE] __attribute__((aligned(64)));
static volatile uintptr_t context_at;
static volatile int code, order[4], count;
static volatile uintptr_t address, registers[NGREG];
static volatile unsigned control_in_handler;

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static void note_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	CHECK(info->si_signo == number);
	code = info->si_code;
	address = (uintptr_t)info->si_addr;
	for (int i = 0; i < NGREG; i++)
		registers[i] = (uintptr_t)u->uc_mcontext.gregs[i];
	siglongjmp(way_out, 1);
}

/* Lets the program go on behind a ud2, with another value in rbx. */
static void skip(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	CHECK(number == SIGILL &&
	      (uintptr_t)info->si_addr == (uintptr_t)u->uc_mcontext.gregs[REG_RIP]);
	CHECK(info->si_code == ILL_ILLOPN && u->uc_mcontext.gregs[REG_TRAPNO] == 6);
	u->uc_mcontext.gregs[REG_RIP] += 2;
	u->uc_mcontext.gregs[REG_RBX] = 4711;
}

static void check_access_faults(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	install(SIGSEGV, note_fault, 0);
	if (sigsetjmp(way_out, 1) == 0)
		*(volatile char *)(page + 77) = 1;
	CHECK(code == SEGV_ACCERR && address == (uintptr_t)page + 77);
	CHECK(registers[REG_TRAPNO] == 14 && registers[REG_CR2] == address);
	CHECK((registers[REG_ERR] & 6) == 6);
	CHECK(munmap(page, 4096) == 0);
	if (sigsetjmp(way_out, 1) == 0)
		(void)*(volatile char *)(page + 5);
	CHECK(code == SEGV_MAPERR && address == (uintptr_t)page + 5);
	CHECK(registers[REG_ERR] == 4);
	if (sigsetjmp(way_out, 1) == 0)
		(void)*(volatile char *)0x8000000000000000;
	CHECK(code == SI_KERNEL && address == 0);
}

static void check_other_faults(void)
{
	volatile int zero = 0;
	uintptr_t rbx = 0;

	install(SIGFPE, note_fault, 0);
	if (sigsetjmp(way_out, 1) == 0)
		zero = 77 / zero;
	CHECK(code == FPE_INTDIV && address == registers[REG_RIP] && registers[REG_TRAPNO] == 0);
	install(SIGILL, skip, 0);
	__asm__ volatile("mov $1, %%ebx; ud2; mov %%rbx, %0" : "=r"(rbx) : : "rbx");
	CHECK(rbx == 4711);
}

static void scramble(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	__asm__ volatile("stmxcsr %0" : "=m"(control_in_handler));
	__asm__ volatile("pcmpeqd %%xmm3, %%xmm3; pcmpeqd %%xmm15, %%xmm15; fldz; fldz; fninit"
			 :
			 :
			 : "xmm3", "xmm15");
}

static void check_vectors(void)
{
	uint64_t in[4] = {1, 2, 3, 4}, out[4] = {0, 0, 0, 0};

	install(SIGUSR1, scramble, 0);
	unsigned control = 0x5f80, after; /* rounds upward */

	__asm__ volatile("ldmxcsr %0" : : "m"(control));
	long pid = getpid(), result;
	__asm__ volatile("movdqu (%2), %%xmm3\n movdqu 16(%2), %%xmm15\n"
			 "mov $62, %%eax; mov %1, %%rdi; mov $10, %%esi; syscall\n"
			 "movdqu %%xmm3, (%3)\n movdqu %%xmm15, 16(%3)\n"
			 : "=&a"(result)
			 : "r"(pid), "r"(in), "r"(out)
			 : "rdi", "rsi", "rcx", "r11", "xmm3", "xmm15", "memory");
	CHECK(result == 0 && memcmp(in, out, sizeof(in)) == 0);
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	CHECK(control_in_handler == 0x1f80 && after == control);
	control = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(control));
}

static void note_context(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	context_at = (uintptr_t)context;
}

static void check_size(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = ALTERNATE_SIZE};

	CHECK(sigaltstack(&stack, NULL) == 0);
	install(SIGUSR1, note_context, SA_ONSTACK);
	CHECK(raise(SIGUSR1) == 0);
	printf("frame %lu\n", (unsigned long)((uintptr_t)alternate + ALTERNATE_SIZE - context_at));
	stack.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
	CHECK(sigaltstack(&stack, NULL) == 0 && raise(SIGUSR1) == 0);
	CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_sp == alternate);
	stack.ss_flags = 0;
	CHECK(sigaltstack(&stack, NULL) == 0);
}

/* Deeper than any stack limit, in more steps than it takes. */
static int overflow(volatile char *from, long depth)
{
	volatile char block[4096];

	block[0] = from[0];
	return depth == 0 ? 0 : overflow(block, depth - 1) + block[0];
}

static void check_overflow(void)
{
	char first = 0;

	install(SIGSEGV, note_fault, SA_ONSTACK);
	for (int i = 0; i < 2; i++) {
		address = 0;
		if (sigsetjmp(way_out, 1) == 0)
			overflow(&first, 1l << 40);
		CHECK(address < (uintptr_t)&first && address > (uintptr_t)&first - (64l << 20));
	}
}

static void jump(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	siglongjmp(way_out, number);
}

static void check_jumps(void)
{
	struct itimerval timer = {{0, 0}, {0, 5000}};
	int ends[2];
	char byte;

	CHECK(pipe(ends) == 0);
	install(SIGALRM, jump, SA_RESTART);
	for (int i = 0; i < 50; i++) {
		if (sigsetjmp(way_out, 1) == 0) {
			CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
			CHECK(i % 2 ? pause() : (int)read(ends[0], &byte, 1));
			CHECK(!"the signal came");
		}
	}
	CHECK(write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1 && byte == 'x');
}

static void note_order(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	order[count++] = number;
}

/* Frames are stacked in order of numbers, so the highest number runs first. */
static void check_order(void)
{
	sigset_t set, old;

	install(SIGUSR1, note_order, 0);
	install(SIGUSR2, note_order, 0);
	install(SIGTERM, note_order, 0);
	sigfillset(&set);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	CHECK(raise(SIGTERM) == 0 && raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR2) == 0);
	CHECK(count == 0 && sigprocmask(SIG_SETMASK, &old, NULL) == 0 && count == 3);
	CHECK(order[0] == SIGUSR2 && order[1] == SIGTERM && order[2] == SIGUSR1);
}

int main(void)
{
	check_access_faults();
	check_other_faults();
	check_vectors();
	check_order();
	check_size();
	check_overflow();
	check_jumps();
	printf("signal frames ok\n");
	return 0;
}
