/*
 * The listed instructions, answered from container state: time stamps from virtual time, random
 * numbers from the epoch's seed, CPUID from the chosen baseline (x86-64-v1, v2 or v3).
 *
 * The baseline shows itself as a plain machine of its level: no topology beyond config.cpus, no
 * rdrand, no AVX-512, no TSX, no hypervisor leaf.  Cache sizes are fixed (32 KiB, 256 KiB, 8 MiB)
 * because libraries size their copy loops by them.  Source: Intel SDM vol. 2A, CPUID.
 */
#include "insn.h"
#include "digest.h"
#include "../syscall-table/event_record.h"
#include "../tracer/insn_kind.h"

struct cpuid_answer {
	u32 a, b, c, d;
};

#define FEAT1_D	   0x0f8bfbff /* fpu..fxsr sse sse2 htt=0 clfsh mmx, without mce-only leaks */
#define FEAT1_C_V2 ((1u << 0) | (1u << 9) | (1u << 13) | (1u << 19) | (1u << 20) | (1u << 23))
#define FEAT1_C_V3 ((1u << 12) | (1u << 22) | (1u << 26) | (1u << 27) | (1u << 28) | (1u << 29))
#define FEAT7_B_V3 ((1u << 3) | (1u << 5) | (1u << 8))
#define FEAT8_C_V2 (1u << 0)
#define FEAT8_C_V3 (1u << 5)
#define FEAT8_D	   ((1u << 11) | (1u << 20) | (1u << 27) | (1u << 29))

static u32 level(void)
{
	return HEAD->config.cpu_level;
}

static struct cpuid_answer leaf1(void)
{
	u32 cpus = HEAD->config.cpus & 0xff;
	u32 c = (level() >= 2 ? FEAT1_C_V2 : 0) | (level() >= 3 ? FEAT1_C_V3 : 0);

	return (struct cpuid_answer){0x000306c3, 0x00000800 | cpus << 16, c,
				     FEAT1_D | (cpus > 1 ? 1u << 28 : 0)};
}

static struct cpuid_answer leaf4(u32 sub)
{
	u32 cores = (HEAD->config.cpus - 1) & 0x3f;

	switch (sub) {
	case 0: /* L1 data 32 KiB: 8 ways, 64 sets */
		return (struct cpuid_answer){0x00000121 | cores << 26, 0x01c0003f, 63, 0};
	case 1: /* L1 code 32 KiB */
		return (struct cpuid_answer){0x00000122 | cores << 26, 0x01c0003f, 63, 0};
	case 2: /* L2 256 KiB: 8 ways, 512 sets */
		return (struct cpuid_answer){0x00000143 | cores << 26, 0x01c0003f, 511, 0};
	case 3: /* L3 8 MiB: 16 ways, 8192 sets */
		return (struct cpuid_answer){0x00000163 | cores << 26 | cores << 14, 0x03c0003f,
					     8191, 6};
	default:
		return (struct cpuid_answer){0, 0, 0, 0};
	}
}

static struct cpuid_answer leafd(u32 sub)
{
	if (level() < 3)
		return (struct cpuid_answer){0, 0, 0, 0};
	switch (sub) {
	case 0:
		return (struct cpuid_answer){7, 832, 832, 0};
	case 1:
		/*
		 * XSAVEOPT and XSAVEC: XSAVE itself would write every component the real processor
		 * has enabled, also those beyond this baseline's area; XSAVEC leaves out what is
		 * in its initial state.  Every processor with more than AVX has it.
		 */
		return (struct cpuid_answer){3, 832, 0, 0};
	case 2:
		return (struct cpuid_answer){256, 576, 0, 0};
	default:
		return (struct cpuid_answer){0, 0, 0, 0};
	}
}

static struct cpuid_answer leaf_extended(u32 leaf)
{
	static const char brand[48] = "Shadow deterministic x86-64 processor";
	struct cpuid_answer r = {0, 0, 0, 0};

	switch (leaf) {
	case 0x80000000:
		r.a = 0x80000008;
		break;
	case 0x80000001:
		r.c = (level() >= 2 ? FEAT8_C_V2 : 0) | (level() >= 3 ? FEAT8_C_V3 : 0);
		r.d = FEAT8_D;
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		memcpy(&r, brand + (leaf - 0x80000002) * 16, 16);
		break;
	case 0x80000006:
		r.c = 0x01006040;
		break;
	case 0x80000007:
		r.d = 1u << 8;
		break;
	case 0x80000008:
		r.a = 0x3030;
		break;
	default:
		break;
	}
	return r;
}

static struct cpuid_answer cpuid_answer(u32 leaf, u32 sub)
{
	if (leaf >= 0x80000000)
		return leaf_extended(leaf);
	switch (leaf) {
	case 0:
		return (struct cpuid_answer){0xd, 0x756e6547, 0x6c65746e, 0x49656e69};
	case 1:
		return leaf1();
	case 2:
		return (struct cpuid_answer){0x76036301, 0x00f0b5ff, 0, 0x00c10000};
	case 4:
		return leaf4(sub);
	case 7:
		return (struct cpuid_answer){0, sub == 0 && level() >= 3 ? FEAT7_B_V3 : 0, 0, 0};
	case 0xd:
		return leafd(sub);
	default:
		return (struct cpuid_answer){0, 0, 0, 0};
	}
}

static s64 do_cpuid(struct frame *f, u64 *word)
{
	struct cpuid_answer r = cpuid_answer((u32)f->rax, (u32)f->rcx);

	*word = (f->rax & 0xffffffff) << 32 | (f->rcx & 0xffffffff);
	f->rax = r.a;
	f->rbx = r.b;
	f->rcx = r.c;
	f->arg[2] = r.d;
	return EVENT_CPUID;
}

/* 1 GHz since the container's boot, which lies 1000 s before its start. */
static u64 tsc(void)
{
	return now_ns() - HEAD->config.start_time_ns + 1000000000000ull;
}

static s64 do_rdtsc(struct frame *f, bool p, u64 *word)
{
	u64 v = tsc();

	f->rax = v & 0xffffffff;
	f->arg[2] = v >> 32;
	if (p)
		f->rcx = 0;
	*word = v;
	return p ? EVENT_RDTSCP : EVENT_RDTSC;
}

/* The register of x86 number n within the frame. */
static u64 *frame_reg(struct frame *f, u32 n)
{
	u64 *regs[16] = {&f->rax,    &f->rcx,	 &f->arg[2], &f->rbx,	 &f->rsp,    &f->rbp,
			 &f->arg[1], &f->arg[0], &f->arg[4], &f->arg[5], &f->arg[3], &f->r11,
			 &f->r12,    &f->r13,	 &f->r14,    &f->r15};

	return regs[n & 15];
}

static void set_reg(struct frame *f, u32 code, u64 value)
{
	u64 *reg = frame_reg(f, INSN_CODE_REG(code));

	switch (INSN_CODE_SIZE(code)) {
	case 2:
		*reg = (*reg & ~0xffffull) | (value & 0xffff);
		break;
	case 4:
		*reg = value & 0xffffffff;
		break;
	default:
		*reg = value;
	}
}

#define FLAGS_CLEARED_BY_RDRAND 0x8d4 /* OF SF ZF AF PF */

static s64 do_random(struct frame *f, u32 code, s64 event, u64 *word)
{
	u64 v;

	random_fill(&v, sizeof(v));
	set_reg(f, code, v);
	f->rflags = (f->rflags & ~(u64)FLAGS_CLEARED_BY_RDRAND) | 1;
	*word = v;
	return event;
}

s64 insn_emulate(struct task *t, struct frame *f, u32 code, u64 *ret_word)
{
	(void)t;
	switch (INSN_CODE_KIND(code)) {
	case INSN_CPUID:
		return do_cpuid(f, ret_word);
	case INSN_RDTSC:
		return do_rdtsc(f, false, ret_word);
	case INSN_RDTSCP:
		return do_rdtsc(f, true, ret_word);
	case INSN_RDRAND:
		return do_random(f, code, EVENT_RDRAND, ret_word);
	case INSN_RDSEED:
		return do_random(f, code, EVENT_RDSEED, ret_word);
	case INSN_RDPID:
		set_reg(f, code, 0);
		return EVENT_RDPID;
	case INSN_XGETBV:
		*ret_word = f->rcx & 0xffffffff;
		f->rax = level() >= 3 ? 7 : 3;
		f->arg[2] = 0;
		return EVENT_XGETBV;
	default:
		upcall(UPCALL_REFUSED_INSN, code, f->rip, 0);
		shim_bug("instruction that is not supported", code);
	}
}
