/*
 * signal_storm SEED COUNT [sse]: random signals of one process to itself, with all that the frame
 * of a handler has to carry: handlers inside handlers, alternate stacks, jumps out, forks inside,
 * and contexts changed before sigreturn. Prints what handlers saw and, after each probe, all
 * registers, the vector state and the red zone; the same on bare Linux (since 6.12). With "sse",
 * or without AVX, the upper halves of vectors and what belongs to them are left alone.
 *
 * Signals come from calls of our own, so there is no time in it. A child's SIGCHLD comes before
 * the wait for it is over, and nothing is printed between.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"
#include "storm_context.h"

#define STACKS	     3
#define STACK_SIZE   262144 /* some twenty of the largest frames, and printf */
#define DEPTH	     4
#define WAYS	     6
#define JUMP_ONE_IN  12
#define FORK_ONE_IN  30
#define CHILD_STATUS 3
#define FAULT_AT     16
#define SELF_MARK    0x5e1full /* the calls take the low half as the pid */
#define AUTODISARM   (int)(1u << 31)
#define SET_SIZE     8

#define FLAGS_BASE   0x202ul /* interrupts, and the bit that is always 1 */
#define FLAGS_STATUS 0xcd5ul /* OF DF SF ZF AF PF CF */
#define MXCSR_MASKED 0x1f80u
#define MXCSR_ZEROS  0x8040u /* denormals are zero, and flushed */
#define X87_MASKED   0x37fu

struct probe_state storm_in, storm_out;
uint32_t storm_has_avx;
uint64_t storm_sp;

static char *stacks[STACKS];
static int handlers_on[STACKS + 1]; /* by on_stack */
static int depth, jumps;
static pid_t own_pid;

/* Where handlers may jump to, the innermost last, and what holds there. */
static struct way {
	sigjmp_buf buffer;
	int depth, handlers_on[STACKS + 1];
	uint64_t sp;
} ways[WAYS];
static int ways_open;

static void act(void);

/* 0: the ordinary stack. */
static int on_stack(void)
{
	char here;

	for (int i = 0; i < STACKS; i++)
		if (&here > stacks[i] && &here < stacks[i] + STACK_SIZE)
			return i + 1;
	return 0;
}

static void show_mask(void)
{
	unsigned long set = 0, pending = 0;

	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, SET_SIZE) == 0);
	CHECK(syscall(SYS_rt_sigpending, &pending, SET_SIZE) == 0);
	printf(" mask %lx pending %lx", set, pending);
}

/* ---- handlers ---- */

static void jump_now_and_then(void)
{
	if (ways_open == 0 || pick(JUMP_ONE_IN) != 0)
		return;
	printf("jump\n");
	siglongjmp(ways[ways_open - 1].buffer, 1);
}

static void fork_now_and_then(void)
{
	int status;

	if (pick(FORK_ONE_IN) != 0)
		return;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		printf("forked, stack %d\n", on_stack());
		fflush(stdout);
		_exit(CHILD_STATUS);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	printf("status %x\n", (unsigned)status);
}

static void act_inside(void)
{
	if (depth == DEPTH)
		return;
	depth++;
	for (unsigned n = pick(3); n > 0; n--)
		act();
	depth--;
}

static void handler(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	bool probed = u->uc_mcontext.gregs[REG_RIP] == (greg_t)(uintptr_t)storm_ip;
	int stack = on_stack();

	handlers_on[stack]++;
	printf("<%d code %d own %d value %d", number, info->si_code, info->si_pid == own_pid,
	       info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
	show_mask();
	printf(" stack %d", stack);
	if (probed)
		show_context(u);
	printf("\n");
	act_inside();
	jump_now_and_then();
	if (probed)
		change_context(u);
	fork_now_and_then();
	handlers_on[stack]--;
	printf(">\n");
}

static void handler_plain(int number)
{
	printf("<%d plain", number);
	show_mask();
	printf(" stack %d>\n", on_stack());
	jump_now_and_then();
}

/* ---- actions ---- */

static void install(int number)
{
	static const int flags[] = {SA_ONSTACK, SA_NODEFER, SA_RESTART};
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	unsigned long mask = pick_set();

	if (pick(6) == 0) {
		action.sa_flags = 0;
		action.sa_handler = handler_plain;
	}
	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (pick(2))
			action.sa_flags |= flags[i];
	memcpy(&action.sa_mask, &mask, sizeof(mask));
	CHECK(sigaction(number, &action, NULL) == 0);
}

static void do_action(void)
{
	int number = numbers[pick(NUMBERS)];

	install(number);
	printf("action %d\n", number);
}

static void do_mask(void)
{
	unsigned long set = pick_set();
	int how = (int)pick(3);
	long r = syscall(SYS_rt_sigprocmask, how, &set, NULL, SET_SIZE);

	printf("mask %d %lx = %ld\n", how, set, r);
}

/* Not one that a handler is on: the next frame would be written over it. */
static void do_stack(void)
{
	static const int flags[] = {0, 0, AUTODISARM, SS_DISABLE};
	int which = (int)pick(STACKS);
	stack_t stack = {.ss_sp = stacks[which], .ss_size = STACK_SIZE, .ss_flags = flags[pick(4)]};
	bool in_use = handlers_on[which + 1] > 0;
	int r = in_use ? 0 : sigaltstack(&stack, NULL);

	printf("stack %d in use %d flags %x = %d %d\n", which, in_use, (unsigned)stack.ss_flags, r,
	       r < 0 ? errno : 0);
}

static void do_queue(void)
{
	int number = numbers[pick(NUMBERS)];
	union sigval value = {.sival_int = (int)pick(100)};
	int r = sigqueue(own_pid, number, value);

	printf("queue %d = %d\n", number, r);
}

/* Some of the pending ones; none may be EAGAIN. */
static void do_wait(void)
{
	unsigned long set = 0;
	struct timespec none = {0, 0};
	siginfo_t info = {.si_signo = 0};

	CHECK(syscall(SYS_rt_sigpending, &set, SET_SIZE) == 0);
	set &= pick64();
	long r = syscall(SYS_rt_sigtimedwait, &set, &info, &none, SET_SIZE);
	printf("wait %lx = %ld %d\n", set, r, r < 0 ? errno : info.si_code);
}

static void come_back(const struct way *way)
{
	depth = way->depth;
	memcpy(handlers_on, way->handlers_on, sizeof(handlers_on));
	storm_sp = way->sp;
	jumps++;
	printf("jumped");
	show_mask();
	printf("\n");
}

/* Something that handlers may jump out of. */
static void do_way(void)
{
	if (ways_open == WAYS) {
		printf("no way\n");
		return;
	}
	struct way *way = &ways[ways_open++];
	way->depth = depth;
	memcpy(way->handlers_on, handlers_on, sizeof(handlers_on));
	way->sp = storm_sp;
	if (sigsetjmp(way->buffer, (int)pick(2)) == 0) {
		act();
		act();
	} else {
		come_back(way);
	}
	ways_open = (int)(way - ways);
}

/* ---- probes ---- */

static void fill(struct probe_state *p)
{
	for (int i = 0; i < PROBE_GENERAL; i++)
		p->general[i] = pick64();
	p->flags = FLAGS_BASE | (pick64() & FLAGS_STATUS);
	bool low_only = pick(3) == 0;
	for (int i = 0; i < 16; i++)
		for (int k = 0; k < 32; k++)
			p->vector[i][k] = (uint8_t)(low_only && k >= 16 ? 0 : pick(256));
	p->mxcsr = MXCSR_MASKED | pick(1u << 2) << 13;
	p->mxcsr |= pick(1u << 6);
	p->mxcsr |= pick(3) ? 0 : MXCSR_ZEROS;
	p->control = (uint16_t)(X87_MASKED & ~(pick(1u << 2) << 8));
	p->control |= (uint16_t)(pick(1u << 2) << 10);
	for (int i = 0; i < 4; i++)
		p->red_zone[i] = pick64();
}

static void set_call(struct probe_state *p, long nr, uint64_t a, uint64_t b, uint64_t c)
{
	/* The call's number is a half of its register. */
	p->general[PROBE_RAX] = (uint64_t)nr | (pick(6) ? 0 : pick64() << 32);
	p->general[PROBE_RDI] = a;
	p->general[PROBE_RSI] = b;
	p->general[PROBE_RDX] = c;
	p->general[PROBE_R10] = SET_SIZE;
}

static void call_tgkill(struct probe_state *p)
{
	set_call(p, SYS_tgkill, storm_self, storm_self, (uint64_t)numbers[pick(NUMBERS)]);
}

static void call_kill(struct probe_state *p)
{
	uint64_t number = (uint64_t)numbers[pick(NUMBERS)];

	set_call(p, SYS_kill, storm_self, number, pick64());
}

static void call_mask(struct probe_state *p)
{
	storm_set = pick_set();
	set_call(p, SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&storm_set, 0);
}

static void show_probe(const struct probe_state *p)
{
	for (int i = 0; i < PROBE_GENERAL; i++)
		show_value(p->general[i]);
	printf(" flags %lx vector %x mxcsr %x control %x zone", p->flags,
	       sum_of((const char *)p->vector, sizeof(p->vector)), p->mxcsr, p->control);
	for (int i = 0; i < 4; i++)
		printf(" %lx", p->red_zone[i]);
	printf("\n");
}

static void do_probe(void)
{
	static void (*const calls[])(struct probe_state *) = {call_tgkill, call_kill, call_mask};
	uint64_t outer_sp = storm_sp;

	fill(&storm_in);
	calls[pick(3)](&storm_in);
	storm_probe();
	printf("probe");
	show_probe(&storm_out);
	storm_sp = outer_sp;
}

static void (*const actions[])(void) = {
	do_action, do_mask,  do_stack, do_queue, do_wait,  do_way,
	do_probe,  do_probe, do_probe, do_probe, do_probe, do_probe,
};

static void act(void)
{
	actions[pick(sizeof(actions) / sizeof(*actions))]();
}

static void leave_fault(int number)
{
	(void)number;
	siglongjmp(ways[0].buffer, 1);
}

/* What the kernel keeps in a thread and hands on to children: all frames show it. */
static void forget_parents(void)
{
	static const volatile uintptr_t unmapped = FAULT_AT;
	struct sigaction action = {.sa_handler = leave_fault};
	stack_t none = {.ss_flags = SS_DISABLE};

	CHECK(sigaltstack(&none, NULL) == 0);
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	if (sigsetjmp(ways[0].buffer, 1) == 0)
		(void)*(volatile char *)unmapped;
	CHECK(signal(SIGSEGV, SIG_DFL) == leave_fault);
}

static void prepare(void)
{
	forget_parents();
	own_pid = getpid();
	storm_self = SELF_MARK << 32 | (uint64_t)own_pid;
	for (int i = 0; i < STACKS; i++) {
		stacks[i] = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(stacks[i] != MAP_FAILED);
	}
	for (unsigned i = 0; i < NUMBERS; i++)
		install(numbers[i]);
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 1000;

	state = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	storm_has_avx = argc <= 3 && __builtin_cpu_supports("avx");
	prepare();
	for (long i = 0; i < count; i++) {
		printf("%ld ", i);
		act();
		CHECK(depth == 0 && ways_open == 0);
	}
	printf("signal_storm ok, %d jumps\n", jumps);
	return 0;
}
