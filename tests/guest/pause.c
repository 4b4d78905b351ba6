/*
 * `pause` gives up the turn, and shows nothing of how: in a stub reached by padding, in one with a
 * moved instruction, by a breakpoint, and in code made at run time.  Registers, flags, vector state
 * and the red zone stay.  The loops count in memory, so they are no fixed points: if pause did
 * nothing they would never end.
 *
 * `pause N` waits for ever in form N.
 */
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "check.h"

typedef void (*pause_fn)(void);

void in_padding(void), moving(void), at_breakpoint(void);
__asm__(".pushsection .text.pause, \"ax\"\n"
	".macro form name\n"
	".type \\name, @function\n"
	"\\name:\n"
	".cfi_startproc\n" /* so that where it begins is known */
	".endm\n"
	".macro ends name\n"
	"ret\n"
	".cfi_endproc\n"
	".size \\name, . - \\name\n"
	".fill 300, 1, 0x50\n" /* push: no padding near */
	".endm\n"
	".fill 300, 1, 0x50\n"
	"form in_padding\n"
	"mov %r12, -8(%rsp)\n pause\n mov -8(%rsp), %r15\n ret\n"
	".size in_padding, . - in_padding\n"
	".cfi_endproc\n"
	".byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0\n"
	".fill 300, 1, 0x50\n"
	"form moving\n"
	"mov %r12, -8(%rsp)\n pause\n mov -8(%rsp), %r15\n"
	"ends moving\n"
	/* what is around it moves the stack, so it stays */
	"form at_breakpoint\n"
	"push %r12\n pause\n pop %r15\n"
	"ends at_breakpoint\n"
	".popsection\n");

static pause_fn jit_form(void)
{
	/* mov %r12, -8(%rsp); pause; mov -8(%rsp), %r15; ret */
	static const uint8_t code[] = {0x4c, 0x89, 0x64, 0x24, 0xf8, 0xf3, 0x90,
				       0x4c, 0x8b, 0x7c, 0x24, 0xf8, 0xc3};
	uint8_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	memcpy(at, code, sizeof(code));
	return (pause_fn)(uintptr_t)at;
}

/* rax rcx rdx rbx rbp rsi rdi r8 to r15, flags */
#define WORDS 16

static uint64_t before[WORDS], after[WORDS];
static __m128i vector_before, vector_after;

/* Calls `form` with everything loaded from `before`, and stores it to `after`. */
void run_form(pause_fn form);
__asm__(".text\n"
	".type run_form, @function\n"
	"run_form:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"push %rdi\n"
	"movdqu vector_before(%rip), %xmm13\n"
	"push before+120(%rip)\n popfq\n"
	"mov before(%rip), %rax\n mov before+8(%rip), %rcx\n mov before+16(%rip), %rdx\n"
	"mov before+24(%rip), %rbx\n mov before+32(%rip), %rbp\n mov before+40(%rip), %rsi\n"
	"mov before+48(%rip), %rdi\n mov before+56(%rip), %r8\n mov before+64(%rip), %r9\n"
	"mov before+72(%rip), %r10\n mov before+80(%rip), %r11\n mov before+88(%rip), %r12\n"
	"mov before+96(%rip), %r13\n mov before+104(%rip), %r14\n mov before+112(%rip), %r15\n"
	"call *(%rsp)\n"
	"mov %rax, after(%rip)\n mov %rcx, after+8(%rip)\n mov %rdx, after+16(%rip)\n"
	"mov %rbx, after+24(%rip)\n mov %rbp, after+32(%rip)\n mov %rsi, after+40(%rip)\n"
	"mov %rdi, after+48(%rip)\n mov %r8, after+56(%rip)\n mov %r9, after+64(%rip)\n"
	"mov %r10, after+72(%rip)\n mov %r11, after+80(%rip)\n mov %r12, after+88(%rip)\n"
	"mov %r13, after+96(%rip)\n mov %r14, after+104(%rip)\n mov %r15, after+112(%rip)\n"
	"pushfq\n pop after+120(%rip)\n cld\n"
	"movdqu %xmm13, vector_after(%rip)\n"
	"pop %rdi\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"ret\n");

/* Carry, parity, adjust, zero, sign, direction and overflow set, and none of them. */
static const uint64_t flag_sets[] = {0xcd5 | 0x202, 0x202, 0x895 | 0x202, 0x400 | 0x202};

static void check_state(pause_fn form)
{
	for (size_t set = 0; set < sizeof(flag_sets) / sizeof(*flag_sets); set++) {
		for (uint64_t i = 0; i < WORDS - 1; i++)
			before[i] = 0x1000200030004001 * (i + 1 + set);
		before[WORDS - 1] = flag_sets[set];
		vector_before = _mm_set_epi64x(0x123456789abcdef, (long long)set);
		run_form(form);
		before[WORDS - 2] = before[WORDS - 5]; /* through the red zone or the stack */
		CHECK(memcmp(before, after, sizeof(before)) == 0);
		CHECK(memcmp(&vector_before, &vector_after, sizeof(vector_before)) == 0);
	}
}

/* ---- it lets others run ---- */

static volatile int turn;
static volatile long rounds;
static pause_fn waits_by;

static void call_form(pause_fn form)
{
	__asm__ volatile("sub $128, %%rsp\n call *%0\n add $128, %%rsp"
			 :
			 : "r"(form)
			 : "r15", "memory");
}

static void wait_turn(int mine)
{
	while (turn != mine) {
		rounds++;
		call_form(waits_by);
	}
}

static void *other(void *arg)
{
	for (int i = 0; i < 20; i++) {
		wait_turn(2 * i + 1);
		turn = 2 * i + 2;
	}
	return arg;
}

static void check_turns(pause_fn form)
{
	pthread_t thread;

	turn = 0;
	waits_by = form;
	CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		turn = 2 * i + 1;
		wait_turn(2 * i + 2);
	}
	pthread_join(thread, NULL);
}

/* ---- nobody else is there: time goes on ---- */

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
	alarmed = sig;
}

static void check_alarm(pause_fn form)
{
	const struct itimerval once = {{0, 0}, {0, 30000}};

	signal(SIGALRM, on_alarm);
	alarmed = 0;
	CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
	while (!alarmed) {
		rounds++;
		call_form(form);
	}
}

/* ---- nobody does anything but pause, and no time is waited for ---- */

static __attribute__((noinline)) void count_pauses(pause_fn form, int count)
{
	for (int i = 0; i < count; i++)
		call_form(form);
}

static void *wait_long(void *form)
{
	while (turn == 0)
		call_form((pause_fn)(uintptr_t)form);
	return NULL;
}

/* Those that wait are parked meanwhile, and wake when they are freed. */
static void check_freed(void)
{
	pthread_t threads[2];

	turn = 0;
	CHECK(pthread_create(&threads[0], NULL, wait_long, (void *)(uintptr_t)in_padding) == 0);
	CHECK(pthread_create(&threads[1], NULL, wait_long, (void *)(uintptr_t)moving) == 0);
	count_pauses(in_padding, 60000);
	turn = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* ---- what never ends ---- */

static __attribute__((noinline)) void wait_for_ever(void)
{
	while (turn >= 0)
		call_form(waits_by);
}

static void *never_freed(void *arg)
{
	wait_for_ever();
	return arg;
}

static void deadlock(pause_fn form)
{
	pthread_t threads[2];

	waits_by = form;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, never_freed, NULL) == 0);
	pthread_join(threads[0], NULL);
}

int main(int argc, char **argv)
{
	const struct {
		const char *name;
		pause_fn form;
	} forms[] = {{"padding", in_padding},
		     {"moving", moving},
		     {"breakpoint", at_breakpoint},
		     {"made", jit_form()}};

	if (argc > 1)
		deadlock(forms[atoi(argv[1])].form);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		check_state(forms[i].form);
		check_turns(forms[i].form);
		check_alarm(forms[i].form);
		printf("%s ok\n", forms[i].name);
	}
	/* looked at twice, and let go on each time */
	count_pauses(in_padding, 140000);
	count_pauses(moving, 140000);
	check_freed();
	printf("long ok\n");
	return 0;
}
