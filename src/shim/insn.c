/*
 * The listed instructions, answered from container state: time stamps from virtual time, random
 * numbers from the epoch's seed, CPUID from the chosen baseline (cpu_features.h).
 *
 * The baseline shows itself as a plain machine with its features: no topology beyond config.cpus,
 * family, model and name always the same, no hypervisor leaf.  Cache sizes are fixed (32 KiB, 256
 * KiB, 8 MiB) because libraries size their copy loops by them.  Source: Intel SDM vol. 2A, CPUID.
 */
#include "insn.h"
#include "digest.h"
#include "../syscall-table/event_record.h"
#include "../tracer/insn_kind.h"

struct cpuid_answer {
	u32 a, b, c, d;
};

#define FEATURE_HT (1u << 28) /* leaf 1, edx */

static const struct region_cpu *cpu(void)
{
	return &HEAD->config.cpu;
}

static struct cpuid_answer leaf1(void)
{
	u32 cpus = HEAD->config.cpus & 0xff;

	return (struct cpuid_answer){0x000306c3, 0x00000800 | cpus << 16, cpu()->words[CPU_1C],
				     cpu()->words[CPU_1D] | (cpus > 1 ? FEATURE_HT : 0)};
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

static struct cpuid_answer leaf7(u32 sub)
{
	const u32 *w = cpu()->words;
	bool more = w[CPU_71A] != 0 || w[CPU_71D] != 0;

	switch (sub) {
	case 0:
		return (struct cpuid_answer){more, w[CPU_7B], w[CPU_7C], w[CPU_7D]};
	case 1:
		return (struct cpuid_answer){w[CPU_71A], 0, 0, w[CPU_71D]};
	default:
		return (struct cpuid_answer){0, 0, 0, 0};
	}
}

/* Bytes of xsave's compacted format; all components we know are aligned to 8 by their sizes alone.
 */
static u32 compacted_bytes(void)
{
	u32 bytes = CPU_XSAVE_FIRST;

	for (u32 n = 2; n < CPU_COMPONENT_NR; n++)
		bytes += cpu()->component[n].size_bytes;
	return bytes;
}

static struct cpuid_answer leafd(u32 sub)
{
	const struct region_cpu *c = cpu();

	if (!(c->components & CPU_AVX))
		return (struct cpuid_answer){0, 0, 0, 0};
	if (sub == 0)
		return (struct cpuid_answer){c->components, c->xsave_bytes, c->xsave_bytes, 0};
	/*
	 * XSAVEOPT and XSAVEC: XSAVE itself would write every component the real processor has
	 * enabled, also those beyond this baseline's area; XSAVEC leaves out what is in its initial
	 * state (docs/decisions/0004).
	 */
	if (sub == 1)
		return (struct cpuid_answer){c->words[CPU_D1A], compacted_bytes(), 0, 0};
	if (sub >= CPU_COMPONENT_NR)
		return (struct cpuid_answer){0, 0, 0, 0};
	return (struct cpuid_answer){c->component[sub].size_bytes, c->component[sub].offset, 0, 0};
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
		r.c = cpu()->words[CPU_81C];
		r.d = cpu()->words[CPU_81D];
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
		return leaf7(sub);
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
		f->rax = cpu()->components;
		f->arg[2] = 0;
		return EVENT_XGETBV;
	default:
		upcall(UPCALL_REFUSED_INSN, code, f->rip, 0);
		shim_bug("instruction that is not supported", code);
	}
}
