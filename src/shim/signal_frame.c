/*
 * The frame of a signal handler, as Linux lays it out on x86-64 (arch/x86/kernel/signal_64.c,
 * fpu/signal.c), and its way back.
 *
 *	sp of the app (or top of the alternate stack)
 *	  -128		red zone, left alone
 *	  -836 or -512	FPU image, aligned to 64: xsave of the baseline's components and a closing
 *			magic word (836 bytes with x87, SSE and AVX); fxsave if there is no AVX
 *	  -440		struct rt_frame: return address, ucontext, siginfo; then aligned to 16,
 *			minus 8
 *
 * The image has the layout of the container's CPU baseline, whatever the host's CPU: frames have
 * the same size and bytes everywhere.  Therefore what a CPU leaves unwritten (components in their
 * initial state) or fills in its own way (x87 pointers, the MXCSR mask) is set to fixed values.
 *
 * The shim never touches vector registers, so those of the app are live while this runs.
 */
#include "shim.h"
#include "patch_table.h"
#include "signal.h"

#define RED_ZONE	    128
#define FP_MAGIC1	    0x46505853u
#define FP_MAGIC2	    0x46505845u
#define XSTATE_SSE	    2
#define FCW_INITIAL	    0x37f
#define MXCSR_INITIAL	    0x1f80
#define MXCSR_VALID	    0xffffu
#define UC_HAS_XSTATE	    1
#define UC_SS_FLAGS	    6 /* UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
#define UC_STRICT_SS	    4
#define SELECTOR_CS	    0x33
#define SELECTOR_SS	    0x2b
#define SELECTOR_INDEX	    0xfffc
#define ALTSTACK_SIZE_LEAST 2048

#define FLAG_DF 0x400
#define FLAG_RF 0x10000
/* AC OF DF SF ZF AF PF CF RF.  Unlike Linux without TF: single steps would end in the shim. */
#define FLAGS_RESTORED 0x50cd5ull

struct fpu_image {
	u16 fcw, fsw, ftw, fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 registers[128 + 256 + 48]; /* st, xmm, unused */
	u32 magic1, extended_size;
	u64 features;
	u32 xstate_size, pad[7];
	/* from here on only with xsave */
	u64 present, compaction, reserved[6];
	u8 components[CPU_XSAVE_MAX - CPU_XSAVE_FIRST + sizeof(u32)]; /* and magic2 */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct fpu_image, magic1) == 464, "sw_reserved");
_Static_assert(offsetof(struct fpu_image, present) == 512, "xsave header");
_Static_assert(offsetof(struct fpu_image, components) == CPU_XSAVE_FIRST, "xsave area");

struct rt_context {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct rt_frame {
	u64 return_address;
	u64 uc_flags, uc_link;
	u64 ss_sp;
	u32 ss_flags, pad;
	u64 ss_size;
	struct rt_context context;
	u64 mask;
	struct k_siginfo info;
};
_Static_assert(sizeof(struct rt_context) == 256, "kernel layout");
_Static_assert(offsetof(struct rt_frame, info) == 312, "kernel layout");
_Static_assert(sizeof(struct rt_frame) == 440, "kernel layout");

/* ---- vector state ---- */

static const struct region_cpu *cpu(void)
{
	return &HEAD->config.cpu;
}

static bool has_xsave(void)
{
	return cpu()->components & CPU_AVX;
}

/* The word behind the components. */
static u32 *magic2(struct fpu_image *i)
{
	return (u32 *)((u8 *)i + cpu()->xsave_bytes);
}

/* Bytes of the image that belong to the frame. */
static u64 fpu_size(void)
{
	return has_xsave() ? cpu()->xsave_bytes + sizeof(u32) : offsetof(struct fpu_image, present);
}

static void fpu_save(struct fpu_image *i)
{
	u32 components = cpu()->components, size = cpu()->xsave_bytes;

	memset(i, 0, fpu_size());
	if (has_xsave()) {
		__asm__ volatile("xsave64 %0" : "+m"(*i) : "a"(components), "d"(0) : "memory");
		if (!(i->present & 1))
			i->fcw = FCW_INITIAL;
		i->present = components;
		i->magic1 = FP_MAGIC1;
		i->extended_size = size + sizeof(u32);
		i->features = components;
		i->xstate_size = size;
		*magic2(i) = FP_MAGIC2;
	} else {
		__asm__ volatile("fxsave64 %0" : "+m"(*i) : : "memory");
	}
	i->fop = 0;
	i->fip = i->fdp = 0;
	i->mxcsr_mask = MXCSR_VALID;
}

static void fpu_load(const struct fpu_image *i)
{
	if (has_xsave())
		__asm__ volatile("xrstor64 %0"
				 :
				 : "m"(*i), "a"(cpu()->components), "d"(0)
				 : "memory");
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(*i) : "memory");
}

/* A handler starts with the state of a new program. */
static void fpu_reset(void)
{
	struct fpu_image i;

	memset(&i, 0, fpu_size());
	i.fcw = FCW_INITIAL;
	i.mxcsr = MXCSR_INITIAL;
	fpu_load(&i);
}

/*
 * Whether the extended part counts (check_xstate_in_sigframe), else only the fxsave part: the app
 * may say it is smaller, and uc_flags say nothing.  -EFAULT.
 */
static long fpu_is_extended(const struct fpu_image *i, u64 addr)
{
	u32 size = i->xstate_size, end;

	if (!has_xsave() || i->magic1 != FP_MAGIC1 || size < CPU_XSAVE_FIRST ||
	    size > cpu()->xsave_bytes || size > i->extended_size)
		return false;
	if (user_get(end, addr + size) < 0)
		return -EFAULT;
	return end == FP_MAGIC2;
}

/* Whether xrstor would answer with a fault inside the shim. */
static bool fpu_is_broken(const struct fpu_image *i)
{
	u64 reserved = i->compaction;

	for (u32 k = 0; k < sizeof(i->reserved) / sizeof(i->reserved[0]); k++)
		reserved |= i->reserved[k];
	return i->present & ~(u64)cpu()->components || reserved != 0;
}

/* What the app says is not there starts anew. */
static void fpu_forget(struct fpu_image *i)
{
	i->present &= i->features;
	if (!(i->features & XSTATE_SSE))
		i->mxcsr = MXCSR_INITIAL;
}

static long fpu_restore(u64 addr)
{
	u64 basic = offsetof(struct fpu_image, present);
	struct fpu_image i;

	if (addr == 0) {
		fpu_reset();
		return 0;
	}
	memset(&i, 0, fpu_size());
	if (addr % 64 != 0 || user_copy_in(&i, addr, basic) < 0)
		return -EFAULT;
	long extended = fpu_is_extended(&i, addr);
	if (extended < 0 || i.mxcsr & ~MXCSR_VALID)
		return -EFAULT;
	if (extended) {
		if (user_copy_in(&i.present, addr + basic, cpu()->xsave_bytes - basic) < 0 ||
		    fpu_is_broken(&i))
			return -EFAULT;
		fpu_forget(&i);
	} else {
		i.present = CPU_X87_SSE;
	}
	fpu_load(&i);
	return 0;
}

/* ---- alternate stack ---- */

static bool within_altstack(const struct signal_task *s, u64 sp)
{
	return sp > s->alt_sp && sp - s->alt_sp <= s->alt_size;
}

/* With SS_AUTODISARM one is never on it: entering a handler has taken it away. */
static bool on_altstack(const struct signal_task *s, u64 sp)
{
	return !(s->alt_flags & SIG_SS_AUTODISARM) && within_altstack(s, sp);
}

u32 signal_altstack_flags(struct task *t, u64 sp)
{
	const struct signal_task *s = signal_task_of(t);
	u32 mode;

	if (s->alt_size == 0)
		mode = SIG_SS_DISABLE;
	else
		mode = on_altstack(s, sp) ? SIG_SS_ONSTACK : 0;
	return mode | (s->alt_flags & SIG_SS_AUTODISARM);
}

long signal_altstack_set(struct task *t, u64 ss_sp, u32 ss_flags, u64 ss_size, u64 sp)
{
	struct signal_task *s = signal_task_of(t);
	u32 mode = ss_flags & ~SIG_SS_AUTODISARM;

	if (on_altstack(s, sp))
		return -EPERM;
	if (mode != 0 && mode != SIG_SS_DISABLE && mode != SIG_SS_ONSTACK)
		return -EINVAL;
	if (mode == SIG_SS_DISABLE)
		ss_sp = ss_size = 0;
	else if (ss_size < ALTSTACK_SIZE_LEAST)
		return -ENOMEM;
	s->alt_sp = ss_sp;
	s->alt_size = ss_size;
	s->alt_flags = ss_flags;
	return 0;
}

/* ---- building ---- */

/* Where the frame goes; 0 if it would leave the alternate stack or the app's addresses. */
static u64 frame_place(struct task *t, u64 sp, bool wants_altstack, u64 *ret_fpu)
{
	const struct signal_task *s = signal_task_of(t);
	bool on_alt = on_altstack(s, sp);

	sp -= RED_ZONE;
	if (wants_altstack && s->alt_size != 0 && !on_altstack(s, sp)) {
		sp = s->alt_sp + s->alt_size;
		on_alt = true;
	}
	*ret_fpu = (sp - fpu_size()) & ~63ull;
	u64 frame = ((*ret_fpu - sizeof(struct rt_frame)) & ~15ull) - 8;
	if ((on_alt && !within_altstack(s, frame)) || sp > APP_ADDR_MAX || frame < APP_MIN_ADDR)
		return 0;
	return frame;
}

static void context_fill(struct rt_context *c, struct task *t, const struct frame *f)
{
	const struct signal_task *s = signal_task_of(t);

	*c = (struct rt_context){
		.r8 = f->arg[4],
		.r9 = f->arg[5],
		.r10 = f->arg[3],
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.di = f->arg[0],
		.si = f->arg[1],
		.bp = f->rbp,
		.bx = f->rbx,
		.dx = f->arg[2],
		.ax = f->rax,
		.cx = f->rcx,
		.sp = f->rsp,
		.ip = f->rip,
		.flags = f->rflags,
		.cs = SELECTOR_CS,
		.ss = SELECTOR_SS,
		.err = s->err,
		.trapno = s->trapno,
		.cr2 = s->cr2,
	};
}

static void enter_handler(struct frame *f, const struct k_sigaction *action, int sig, u64 frame)
{
	f->arg[0] = (u64)sig;
	f->arg[1] = frame + offsetof(struct rt_frame, info);
	f->arg[2] = frame + offsetof(struct rt_frame, uc_flags);
	f->rax = 0;
	f->rsp = frame;
	f->rip = f->resume = action->handler;
	f->rflags &= ~(u64)(FLAG_DF | FLAG_RF | FLAG_TF);
	f->nr = ~0ull;
}

long signal_frame_build(struct task *t, struct frame *f, const struct k_sigaction *action,
			const struct k_siginfo *info, u64 mask)
{
	struct signal_task *s = signal_task_of(t);
	struct fpu_image fpu;
	struct rt_frame r;
	u64 fpu_addr, addr = frame_place(t, f->rsp, action->flags & SIG_SA_ONSTACK, &fpu_addr);
	bool told = action->flags & SIG_SA_SIGINFO;

	if (addr == 0 || !(action->flags & SIG_SA_RESTORER))
		return -EFAULT;
	memset(&r, 0, sizeof(r));
	r.return_address = action->restorer;
	r.uc_flags = UC_SS_FLAGS | (has_xsave() ? UC_HAS_XSTATE : 0);
	r.ss_sp = s->alt_sp;
	r.ss_flags = s->alt_flags;
	r.ss_size = s->alt_size;
	context_fill(&r.context, t, f);
	r.context.oldmask = r.mask = mask;
	r.context.fpstate = fpu_addr;
	r.info = *info;
	fpu_save(&fpu);
	/* As Linux, siginfo is written only for handlers that asked for it. */
	if (user_copy_out(fpu_addr, &fpu, fpu_size()) < 0 ||
	    user_copy_out(addr, &r, told ? sizeof(r) : offsetof(struct rt_frame, info)) < 0)
		return -EFAULT;
	if (s->alt_flags & SIG_SS_AUTODISARM) {
		s->alt_sp = s->alt_size = 0;
		s->alt_flags = SIG_SS_DISABLE;
	}
	enter_handler(f, action, info->signo, addr);
	fpu_reset();
	return 0;
}

/* ---- returning ---- */

/* Where the shim lies the app has no code. */
static bool is_of_shim(u64 addr)
{
	return addr >= SHIM_BASE && addr < SHIM_LIMIT;
}

static void context_apply(struct frame *f, const struct rt_context *c)
{
	f->arg[4] = c->r8;
	f->arg[5] = c->r9;
	f->arg[3] = c->r10;
	f->r11 = c->r11;
	f->r12 = c->r12;
	f->r13 = c->r13;
	f->r14 = c->r14;
	f->r15 = c->r15;
	f->arg[0] = c->di;
	f->arg[1] = c->si;
	f->rbp = c->bp;
	f->rbx = c->bx;
	f->arg[2] = c->dx;
	f->rax = c->ax;
	f->rcx = c->cx;
	f->rsp = c->sp;
	f->rip = c->ip;
	f->rflags = (f->rflags & ~FLAGS_RESTORED) | (c->flags & FLAGS_RESTORED);
}

/* What iretq would answer with a fault: selectors other than those of 64-bit programs, no address.
 */
static void check_return(struct task *t, const struct rt_frame *r)
{
	u32 cs = r->context.cs | 3u, ss = r->context.ss | 3u;

	if (cs != SELECTOR_CS)
		signal_force_protection(t, cs & SELECTOR_INDEX);
	else if (ss != SELECTOR_SS && r->uc_flags & UC_STRICT_SS)
		signal_force_protection(t, ss & SELECTOR_INDEX);
	else if (!signal_may_resume(r->context.ip))
		signal_force_protection(t, 0);
}

long signal_frame_restore(struct task *t, struct frame *f)
{
	struct signal_task *s = signal_task_of(t);
	struct rt_frame r;

	/* The app's `ret` to the restorer has taken the return address off. */
	if (user_copy_in(&r, f->rsp - 8, offsetof(struct rt_frame, info)) < 0)
		return -EFAULT;
	/* Not the vectors: what a program leaves there may be approximations, which processors
	 * differ in, and of no consequence. */
	digest_bytes(t, &r, offsetof(struct rt_frame, info));
	s->restart = NULL;
	signal_set_mask(t, r.mask);
	/* As Linux since 6.12: judged by the handler's own stack pointer; what it does not like is
	 * passed over. */
	signal_altstack_set(t, r.ss_sp, r.ss_flags, r.ss_size, f->rsp);
	if (is_of_shim(r.context.ip) || fpu_restore(r.context.fpstate) < 0)
		return -EFAULT;
	context_apply(f, &r.context);
	f->resume = patch_resume(t, f->rip);
	f->nr = ~0ull;
	check_return(t, &r);
	return 0;
}
