/*
 * What handlers are told of every kind of fault (signal, code, exception, error code), where a
 * handler or a changed context cannot be gone to, and what of a changed frame counts.  Then calls
 * with the flag AC set and with garbage above the number.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

#define PAGE	  4096
#define KERNEL	  0xffffffff81000000ul
#define NOWHERE	  0xdead000000000000ul
#define FLAG_AC	  "0x40000"
#define ALT_BYTES 65536
#define FX_MXCSR  24
#define FX_XMM	  160
#define SW_MAGIC1 464
#define SW_STATES 472
#define HEAD_YMM  576

static char alternate[ALT_BYTES];
static sigjmp_buf way_out;
static char *pages; /* readable; no rights; not there */
static char *file;  /* one page of it is there */
static volatile int zero;
static const int faults[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV};
#define FAULTS (sizeof(faults) / sizeof(*faults))

/* ---- what handlers are told ---- */

static const char *place(uintptr_t address, uintptr_t rip)
{
	if (address == rip)
		return "there";
	if (address - (uintptr_t)pages < 3 * PAGE || address - (uintptr_t)file < 2 * PAGE)
		return "page";
	return address == 0 ? "none" : "elsewhere";
}

static void tell(const siginfo_t *info, const ucontext_t *context)
{
	const greg_t *g = context->uc_mcontext.gregs;

	printf(" signal %d code %d trap %lld error %llx at %s flag %d", info->si_signo,
	       info->si_code, g[REG_TRAPNO], (unsigned long long)g[REG_ERR],
	       place((uintptr_t)info->si_addr, (uintptr_t)g[REG_RIP]), (int)(g[REG_EFL] >> 16 & 1));
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	tell(info, context);
	siglongjmp(way_out, 1);
}

static void catch (void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t stack = {.ss_sp = alternate, .ss_size = ALT_BYTES};

	CHECK(sigaltstack(&stack, NULL) == 0);
	for (unsigned i = 0; i < FAULTS; i++)
		CHECK(sigaction(faults[i], &action, NULL) == 0);
}

#define TRY(name, ...)                            \
	do {                                      \
		printf("%s:", name);              \
		if (sigsetjmp(way_out, 1) == 0) { \
			__VA_ARGS__;              \
			printf(" nothing");       \
		}                                 \
		printf("\n");                     \
	} while (0)
#define READ(address)  ((void)*(volatile char *)(address))
#define WRITE(address) (*(volatile char *)(address) = 1)
#define CALL(address)  (((void (*)(void))(address))())

static void control(unsigned mxcsr)
{
	__asm__ volatile("ldmxcsr %0; fninit" : : "m"(mxcsr));
}

static void x87_divide(uint16_t word)
{
	__asm__ volatile("fldcw %0; fldz; fld1; fdivp; fwait" : : "m"(word));
}

static void sse_divide(unsigned unmasked, double by)
{
	volatile double d = by;

	control(0x1f80 & ~unmasked);
	d = d / zero;
}

static void map(void)
{
	int fd = memfd_create("file", 0);

	pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED && fd >= 0 && ftruncate(fd, 100) == 0);
	memset(pages, 0xc3, 3 * PAGE);
	CHECK(mprotect(pages, PAGE, PROT_READ) == 0);
	CHECK(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
	CHECK(munmap(pages + 2 * PAGE, PAGE) == 0);
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
}

static void check_pages(void)
{
	TRY("read no rights", READ(pages + PAGE + 5));
	TRY("read unmapped", READ(pages + 2 * PAGE));
	TRY("write read-only", WRITE(pages));
	TRY("write no rights", WRITE(pages + PAGE));
	TRY("execute data", CALL(pages));
	TRY("execute no rights", CALL(pages + PAGE));
	TRY("execute unmapped", CALL(pages + 2 * PAGE));
	TRY("read behind a file", READ(file + PAGE));
	TRY("write behind a file", WRITE(file + PAGE));
	TRY("read the kernel", READ(KERNEL));
	TRY("write the kernel", WRITE(KERNEL));
	TRY("execute the kernel", CALL(KERNEL));
	TRY("read nowhere", READ(NOWHERE));
	TRY("execute nowhere", CALL(NOWHERE));
}

/* `code` with rax, rsi, rdi and the stack at the page without rights, or one of them. */
#define ACCESS(name, code)                                                                       \
	TRY(name, __asm__ volatile(code                                                          \
				   :                                                             \
				   : "a"(pages + PAGE + 64), "S"(pages), "D"(pages + PAGE + 64), \
				     "c"(1), "d"(0)                                              \
				   : "memory"))
#define ON_STACK(name, code) ACCESS(name, "mov %%rax, %%rsp; mov %%rsi, %%rax;" code)

/* Which of them write: the error code says it, for whoever watches memory by its faults. */
static void check_accesses(void)
{
	ON_STACK("push", "push %%rcx");
	ON_STACK("pop", "pop %%rcx");
	ON_STACK("call", "call 1f; 1:");
	ON_STACK("ret", "ret");
	ON_STACK("pushf", "pushf");
	ON_STACK("enter", "enter $16, $0");
	ON_STACK("push of memory", "push (%%rax)");
	ACCESS("push of that memory", "push (%%rax)");
	ON_STACK("pop to memory", "pop (%%rsi)");
	ACCESS("pop to that memory", "pop (%%rax)");
	ACCESS("compare", "cmpl $1, (%%rax)");
	ACCESS("test", "testl $1, (%%rax)");
	ACCESS("add", "addl $1, (%%rax)");
	ACCESS("rotate", "roll $1, (%%rax)");
	ACCESS("set", "sete (%%rax)");
	ACCESS("bit test", "btl $1, (%%rax)");
	ACCESS("bit set", "btsl $1, (%%rax)");
	ACCESS("compare and exchange", "lock cmpxchgl %%ecx, (%%rax)");
	ACCESS("move bytes there", "rep movsb");
	ACCESS("move bytes from there", "xchg %%rsi, %%rdi; rep movsb");
	ACCESS("store bytes", "rep stosb");
	ACCESS("scan bytes", "repne scasb");
	ACCESS("load vector", "movups (%%rax), %%xmm0");
	ACCESS("store vector", "movups %%xmm0, (%%rax)");
	ACCESS("load half", "movq (%%rax), %%xmm0");
	ACCESS("store half", "movq %%xmm0, (%%rax)");
	ACCESS("store past caches", "movnti %%ecx, (%%rax)");
	ACCESS("store float", "fldz; fstps (%%rax)");
	ACCESS("load float", "fninit; flds (%%rax)");
	ACCESS("store control word", "fnstcw (%%rax)");
	ACCESS("store mxcsr", "stmxcsr (%%rax)");
}

/* An instruction that begins where it may be executed, and does not end there. */
static void check_torn(void)
{
	char *code =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(code != MAP_FAILED);
	memcpy(code + PAGE - 3, "\x48\x8b\x80", 3); /* mov x(%rax), %rax */
	CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
	TRY("execute into data", CALL(code + PAGE - 3));
	CHECK(mprotect(code + PAGE, PAGE, PROT_NONE) == 0);
	TRY("execute into no rights", CALL(code + PAGE - 3));
	CHECK(munmap(code + PAGE, PAGE) == 0);
	TRY("execute into unmapped", CALL(code + PAGE - 3));
}

static void check_instructions(void)
{
	TRY("divide", zero = 77 / zero);
	TRY("ud2", __asm__ volatile("ud2"));
	TRY("hlt", __asm__ volatile("hlt"));
	TRY("int3", __asm__ volatile("int3"));
	TRY("int1", __asm__ volatile(".byte 0xf1"));
	TRY("wrmsr", __asm__ volatile("wrmsr"));
	TRY("movaps", __asm__ volatile("movaps %%xmm0, 1(%%rsp)" : : : "memory"));
	TRY("stack", __asm__ volatile("xchg %0, %%rbp; mov (%%rbp), %0; xchg %0, %%rbp"
				      :
				      : "r"(1ul << 63)));
	TRY("sse divide", sse_divide(0x200, 1));
	TRY("sse invalid", sse_divide(0x80, 0));
	control(0x1f80);
	TRY("x87 divide", x87_divide(0x37b));
	control(0x1f80);
	TRY("mxcsr", control(0xffffff));
}

/* ---- where nobody can go ---- */

enum change { TO_RIP, TO_CS, TO_SS, TO_MXCSR, TO_RSP };

static enum change change;
static uint64_t value;

static void on_change(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *g = u->uc_mcontext.gregs;

	(void)number;
	(void)info;
	if (change == TO_RIP)
		g[REG_RIP] = (greg_t)value;
	if (change == TO_RSP)
		g[REG_RSP] = (greg_t)value;
	if (change == TO_CS || change == TO_SS)
		memcpy((char *)&g[REG_CSGSFS] + (change == TO_CS ? 0 : 6), &value, 2);
	if (change == TO_MXCSR)
		memcpy((char *)u->uc_mcontext.fpregs + FX_MXCSR, &value, 4);
}

static void on_end(int number, siginfo_t *info, void *context)
{
	(void)number;
	tell(info, context);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static void raise_with(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	raise(SIGUSR1);
	printf(" back\n");
	fflush(stdout);
	_exit(0);
}

static void in_child(const char *name, void (*handler)(int, siginfo_t *, void *), int is_caught)
{
	int status;

	printf("%s:", name);
	fflush(stdout);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (unsigned i = 0; i < FAULTS; i++)
			signal(faults[i], SIG_DFL);
		if (is_caught)
			catch (on_end);
		raise_with(handler);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		printf(" killed by %d\n", WTERMSIG(status));
}

static void check_returns(void)
{
	static const struct {
		enum change change;
		uint64_t value;
	} changes[] = {
		{TO_RIP, NOWHERE}, {TO_RIP, 1ul << 63}, {TO_RIP, KERNEL},   {TO_RIP, 0},
		{TO_RIP, 0x1000},  {TO_RSP, NOWHERE},	{TO_RSP, 0x1000},   {TO_CS, 0x1000},
		{TO_CS, 0x33},	   {TO_CS, 0x30},	{TO_CS, 0},	    {TO_SS, 0x2b},
		{TO_SS, 0x1000},   {TO_SS, 0},		{TO_MXCSR, 0x1fa0},
	};

	for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		change = changes[i].change;
		value = changes[i].value;
		for (int is_caught = 0; is_caught < 2; is_caught++)
			in_child("return", on_change, is_caught);
	}
	for (int is_caught = 0; is_caught < 2; is_caught++) {
		in_child("handler nowhere", (void (*)(int, siginfo_t *, void *))NOWHERE, is_caught);
		in_child("handler in the kernel", (void (*)(int, siginfo_t *, void *))KERNEL,
			 is_caught);
		in_child("handler unmapped", (void (*)(int, siginfo_t *, void *))0x1000, is_caught);
	}
}

/* ---- what of a frame counts ---- */

enum frame_change { NOTHING, NO_FLAGS, NO_MAGIC, NO_SSE, NO_X87, NO_FPU };

static enum frame_change frame_change;

static void on_frame(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	char *fpu = (char *)u->uc_mcontext.fpregs;

	(void)number;
	(void)info;
	fpu[FX_XMM]++;
	fpu[SW_STATES] &= (char)~(frame_change == NO_SSE ? 2 : frame_change == NO_X87 ? 1 : 0);
	if (frame_change == NO_FLAGS)
		u->uc_flags = 0;
	if (frame_change == NO_MAGIC)
		fpu[SW_MAGIC1]++;
	if (frame_change == NO_FPU)
		u->uc_mcontext.fpregs = NULL;
}

static void show_frame(enum frame_change how)
{
	unsigned mxcsr = 0x5f80, after;
	uint16_t word = 0x77f, word_after;
	uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};
	long result;

	frame_change = how;
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(word));
	__asm__ volatile("movdqu (%2), %%xmm0; movdqu 16(%2), %%xmm7\n"
			 "mov %1, %%edi; mov %4, %%esi; mov $62, %%eax; syscall\n"
			 "movdqu %%xmm0, (%3); movdqu %%xmm7, 16(%3)"
			 : "=&a"(result)
			 : "r"(getpid()), "r"(in), "r"(out), "i"(SIGUSR1)
			 : "rdi", "rsi", "rcx", "r11", "xmm0", "xmm7", "memory");
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(after), "=m"(word_after));
	control(0x1f80);
	printf("frame %d: %ld mxcsr %x word %x xmm %lu %lu %lu\n", how, result, after, word_after,
	       out[0], out[1], out[2]);
}

/* The upper halves of vectors, where there are any. */
static void show_upper(enum frame_change how)
{
	uint64_t in[4] = {1, 2, 3, 4}, out[4] = {1, 2, 3, 4};
	long result = 0;

	frame_change = how;
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vmovdqu (%2), %%ymm9\n"
				 "mov %1, %%edi; mov %4, %%esi; mov $62, %%eax; syscall\n"
				 "vmovdqu %%ymm9, (%3); vzeroupper"
				 : "=&a"(result)
				 : "r"(getpid()), "r"(in), "r"(out), "i"(SIGUSR1)
				 : "rdi", "rsi", "rcx", "r11", "xmm9", "memory");
	else if (how >= NO_MAGIC)
		out[2] = out[3] = 0;
	printf("upper %d: %ld %lu %lu\n", how, result, out[1], out[3]);
}

static void check_frames(void)
{
	struct sigaction action = {.sa_sigaction = on_frame, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int how = NOTHING; how <= NO_FPU; how++)
		show_frame((enum frame_change)how);
	show_upper(NOTHING);
	show_upper(NO_FLAGS);
	show_upper(NO_MAGIC);
}

/* ---- calls ---- */

static void check_calls(void)
{
	long result;

	__asm__ volatile("pushf; orl $" FLAG_AC ", (%%rsp); popf\n"
			 "syscall; mov %%rax, %%rbx\n"
			 "mov $"
			 "63"
			 ", %%eax; lea 1(%2), %%rdi; syscall\n"
			 "pushf; andl $~" FLAG_AC ", (%%rsp); popf\n"
			 : "=&a"(result)
			 : "0"((long)SYS_getppid), "r"(alternate)
			 : "rbx", "rcx", "rdi", "r11", "memory");
	printf("unaligned: %ld %.5s\n", result, alternate + 1);
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_getpid | 0x12345ul << 32)
			 : "rcx", "r11", "memory");
	printf("number: %d\n", result == getpid());
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	map();
	catch (on_fault);
	check_pages();
	check_accesses();
	check_torn();
	check_instructions();
	check_returns();
	check_frames();
	check_calls();
	printf("signal_faults ok\n");
	return 0;
}
