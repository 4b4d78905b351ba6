/*
 * Of signal_storm: what the context of a handler shows, and changes of it that sigreturn must carry
 * out, or must refuse as the kernel does.
 */
#ifndef GUEST_STORM_CONTEXT_H
#define GUEST_STORM_CONTEXT_H

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include "draw.h"
#include "storm_probe.h"

#define FLAG_TRAP	 0x100ul   /* each instruction would be a signal */
#define FLAG_ALIGNMENT	 0x40000ul /* libc's copies in a handler would fault */
#define MXCSR_ROUNDING	 0x2000u
#define CONTROL_ROUNDING 0x400u
#define PRESENT_X87	 1u
#define PRESENT_SSE	 2u
#define PRESENT_AVX	 4u
#define UC_OF_SS	 6ul /* the rest of uc_flags says whether there is xsave */
#define IMAGE_BASIC	 576u
#define IMAGE_AVX	 832u
#define STACK_TOO_SMALL	 100

/* The floating-point part of the frame; behind magic1 only with AVX. */
struct image {
	uint16_t control, x87[11];
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[128], xmm[256], unused[48];
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t size, pad[7];
	uint64_t present, reserved[7];
	uint8_t high[256]; /* halves of ymm */
};
_Static_assert(offsetof(struct image, magic1) == 464, "kernel layout");
_Static_assert(offsetof(struct image, high) == IMAGE_BASIC, "kernel layout");
_Static_assert(sizeof(struct image) == IMAGE_AVX, "kernel layout");

/* The signals of it, all with a handler. */
static const int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGURG, SIGCHLD, SIGCONT,
			      SIGTSTP, SIGALRM, 34,	 35,	 64};
#define NUMBERS (unsigned)(sizeof(numbers) / sizeof(*numbers))

static unsigned long pick_set(void)
{
	unsigned long set = 0;

	for (unsigned i = 0; i < NUMBERS; i++)
		if (pick(4) == 0)
			set |= 1ul << (numbers[i] - 1);
	return set;
}

/* Values that are not the same everywhere, by name. */
static uint64_t storm_self; /* our pid, with a mark */
static unsigned long storm_set;

static void show_value(uint64_t value)
{
	if (value == (uintptr_t)storm_ip)
		printf(" ip");
	else if (value == storm_sp)
		printf(" sp");
	else if (value == storm_self)
		printf(" self");
	else if (value == (uintptr_t)&storm_set)
		printf(" set");
	else
		printf(" %lx", value);
}

static struct image *image_of(const ucontext_t *u)
{
	return (struct image *)u->uc_mcontext.fpregs;
}

static void show_context(const ucontext_t *u)
{
	const struct image *i = image_of(u);
	unsigned long mask;

	for (int k = 0; k < NGREG; k++)
		show_value((uint64_t)u->uc_mcontext.gregs[k]);
	printf(" xmm %x", sum_of((const char *)i->xmm, sizeof(i->xmm)));
	if (storm_has_avx)
		printf(" high %x", sum_of((const char *)i->high, sizeof(i->high)));
	memcpy(&mask, &u->uc_sigmask, sizeof(mask));
	printf(" mxcsr %x control %x mask %lx uc %lx stack %x", i->mxcsr, i->control, mask,
	       u->uc_flags & UC_OF_SS, (unsigned)u->uc_stack.ss_flags);
}

/* ---- what comes back as it was changed ---- */

static void change_registers(ucontext_t *u)
{
	/* Not the stack pointer: nothing else tells the way back. */
	static const int registers[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI,
					REG_RDI, REG_RBP, REG_R8,  REG_R9,  REG_R10,
					REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	for (unsigned n = pick(4); n > 0; n--) {
		int which = registers[pick(PROBE_GENERAL)];
		u->uc_mcontext.gregs[which] = (greg_t)pick64();
	}
}

static void change_flags(ucontext_t *u)
{
	u->uc_mcontext.gregs[REG_EFL] = (greg_t)(pick64() & ~(FLAG_TRAP | FLAG_ALIGNMENT));
}

/* A component in its initial state may be left out, and then nothing of it is read. */
static void say_present(ucontext_t *u, unsigned component)
{
	if (image_of(u)->magic1 == FP_XSTATE_MAGIC1)
		image_of(u)->present |= component;
}

static void change_xmm(ucontext_t *u)
{
	image_of(u)->xmm[pick(sizeof(image_of(u)->xmm))] ^= 1;
	say_present(u, PRESENT_SSE);
}

static void change_high(ucontext_t *u)
{
	if (!storm_has_avx)
		return;
	image_of(u)->high[pick(sizeof(image_of(u)->high))] ^= 1;
	say_present(u, PRESENT_AVX);
}

static void change_mxcsr(ucontext_t *u)
{
	image_of(u)->mxcsr ^= MXCSR_ROUNDING;
}

static void change_control(ucontext_t *u)
{
	image_of(u)->control ^= CONTROL_ROUNDING;
	say_present(u, PRESENT_X87);
}

static void change_mask(ucontext_t *u)
{
	unsigned long mask = pick_set();

	memcpy(&u->uc_sigmask, &mask, sizeof(mask));
}

static const struct {
	unsigned one_in;
	void (*make)(ucontext_t *u);
} changes[] = {
	{1, change_registers}, {3, change_flags},   {3, change_xmm},  {3, change_high},
	{4, change_mxcsr},     {4, change_control}, {6, change_mask},
};

/* ---- what the kernel judges ---- */

static void odd_uc_flags(ucontext_t *u)
{
	u->uc_flags = pick(8);
}

static void odd_no_image(ucontext_t *u)
{
	u->uc_mcontext.fpregs = NULL;
}

static void odd_stack(ucontext_t *u)
{
	u->uc_stack.ss_flags = (int)pick(3);
	if (pick(2))
		u->uc_stack.ss_size = STACK_TOO_SMALL;
}

static void odd_no_magic1(ucontext_t *u)
{
	image_of(u)->magic1 = 0;
}

static uint32_t *word_at(ucontext_t *u, uint32_t offset)
{
	return (uint32_t *)((char *)image_of(u) + offset);
}

static void odd_no_magic2(ucontext_t *u)
{
	*word_at(u, image_of(u)->size) = 0;
}

static void odd_features(ucontext_t *u)
{
	image_of(u)->features &= ~(uint64_t)pick(8);
}

static void odd_present(ucontext_t *u)
{
	image_of(u)->present &= ~(uint64_t)pick(8);
}

/* Smaller than it is, with a closing word there too (in ymm0, where it is smallest). */
static void odd_size(ucontext_t *u)
{
	image_of(u)->size = pick(2) ? IMAGE_BASIC : IMAGE_AVX;
	*word_at(u, image_of(u)->size) = FP_XSTATE_MAGIC2;
	say_present(u, PRESENT_AVX);
}

static const struct {
	const char *name;
	void (*make)(ucontext_t *u);
} oddities[] = {
	{"uc_flags", odd_uc_flags},
	{"no image", odd_no_image},
	{"stack", odd_stack},
	/* from here on with AVX */
	{"no magic1", odd_no_magic1},
	{"no magic2", odd_no_magic2},
	{"features", odd_features},
	{"present", odd_present},
	{"size", odd_size},
};
#define ODDITIES	     (unsigned)(sizeof(oddities) / sizeof(*oddities))
#define ODDITIES_WITHOUT_AVX 3u

static void change_context(ucontext_t *u)
{
	for (unsigned k = 0; k < sizeof(changes) / sizeof(*changes); k++)
		if (pick(changes[k].one_in) == 0)
			changes[k].make(u);
	if (pick(2))
		return;
	unsigned odd = pick(storm_has_avx ? ODDITIES : ODDITIES_WITHOUT_AVX);
	printf("odd %s\n", oddities[odd].name);
	oddities[odd].make(u);
}

#endif
