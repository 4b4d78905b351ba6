/*
 * See insn_write.h.  The kernel keeps the error code of a page fault to itself, and capstone's word
 * on what an operand is accessed for is wrong for every other instruction that stores.  What an
 * instruction reads and then writes faults as a write.
 *
 * Encodings: Intel SDM vol. 2, appendix A.  Compared with a processor: random instructions on
 * pages without rights, its error codes against this table; it lacked movntss and cmpccxadd, and
 * hardly a scatter came about.  Calls with a prefix 66, which processors differ in, do not decode.
 */
#include "insn_write.h"

#include <stddef.h>

#include "insn_decode.h"

#define ALL	  0xffu
#define MAP_5	  (INSN_MAP_VECTOR | 5)
#define ENTER_MAX (65535u + 32 * 8) /* bytes it can take of the stack */

/* The prefix that is part of an opcode; a vector encoding has its number in two bits. */
enum { PP_NONE = 1, PP_66 = 2, PP_F3 = 4, PP_F2 = 8, PP_MMX = PP_NONE | PP_66, PP_ANY = 15 };

struct row {
	uint8_t map;
	uint8_t first, last; /* opcodes */
	uint8_t pp;	     /* with these prefixes */
	uint8_t regs;	     /* and, a bit each, with these values of modrm's middle field */
};

enum {
	ONE = INSN_MAP_ONE,
	M0F = INSN_MAP_0F,
	M38 = INSN_MAP_0F38,
	M3A = INSN_MAP_0F3A,
	V0F = INSN_MAP_VECTOR | INSN_MAP_0F,
	V38 = INSN_MAP_VECTOR | INSN_MAP_0F38,
	V3A = INSN_MAP_VECTOR | INSN_MAP_0F3A,
};

/* The memory operand of modrm is written. */
static const struct row stores[] = {
	{ONE, 0x00, 0x01, PP_ANY, ALL},	  /* add */
	{ONE, 0x08, 0x09, PP_ANY, ALL},	  /* or */
	{ONE, 0x10, 0x11, PP_ANY, ALL},	  /* adc */
	{ONE, 0x18, 0x19, PP_ANY, ALL},	  /* sbb */
	{ONE, 0x20, 0x21, PP_ANY, ALL},	  /* and */
	{ONE, 0x28, 0x29, PP_ANY, ALL},	  /* sub */
	{ONE, 0x30, 0x31, PP_ANY, ALL},	  /* xor */
	{ONE, 0x80, 0x83, PP_ANY, 0x7f},  /* these with a number; not cmp */
	{ONE, 0x86, 0x89, PP_ANY, ALL},	  /* xchg, mov */
	{ONE, 0x8c, 0x8c, PP_ANY, ALL},	  /* mov from a segment register */
	{ONE, 0xc0, 0xc1, PP_ANY, ALL},	  /* shifts */
	{ONE, 0xc6, 0xc7, PP_ANY, 0x01},  /* mov of a number */
	{ONE, 0xd0, 0xd3, PP_ANY, ALL},	  /* shifts */
	{ONE, 0xd9, 0xd9, PP_ANY, 0xcc},  /* fst, fstp, fnstenv, fnstcw */
	{ONE, 0xdb, 0xdb, PP_ANY, 0x8e},  /* fisttp, fist, fistp, fstp */
	{ONE, 0xdd, 0xdd, PP_ANY, 0xce},  /* fisttp, fst, fstp, fnsave, fnstsw */
	{ONE, 0xdf, 0xdf, PP_ANY, 0xce},  /* fisttp, fist, fistp, fbstp, fistp */
	{ONE, 0xf6, 0xf7, PP_ANY, 0x0c},  /* not, neg */
	{ONE, 0xfe, 0xff, PP_ANY, 0x03},  /* inc, dec */
	{M0F, 0x00, 0x00, PP_ANY, 0x03},  /* sldt, str */
	{M0F, 0x01, 0x01, PP_ANY, 0x13},  /* sgdt, sidt, smsw */
	{M0F, 0x11, 0x11, PP_ANY, ALL},	  /* movups, movss, ... */
	{M0F, 0x13, 0x13, PP_MMX, ALL},	  /* movlps */
	{M0F, 0x17, 0x17, PP_MMX, ALL},	  /* movhps */
	{M0F, 0x29, 0x29, PP_MMX, ALL},	  /* movaps */
	{M0F, 0x2b, 0x2b, PP_ANY, ALL},	  /* movntps, movntss */
	{M0F, 0x7e, 0x7e, PP_MMX, ALL},	  /* movd */
	{M0F, 0x7f, 0x7f, PP_ANY, ALL},	  /* movq, movdqa, movdqu */
	{M0F, 0x90, 0x9f, PP_ANY, ALL},	  /* set on condition */
	{M0F, 0xa4, 0xa5, PP_ANY, ALL},	  /* shld */
	{M0F, 0xab, 0xab, PP_ANY, ALL},	  /* bts */
	{M0F, 0xac, 0xad, PP_ANY, ALL},	  /* shrd */
	{M0F, 0xae, 0xae, PP_NONE, 0x59}, /* fxsave, stmxcsr, xsave, xsaveopt */
	{M0F, 0xb0, 0xb1, PP_ANY, ALL},	  /* cmpxchg */
	{M0F, 0xb3, 0xb3, PP_ANY, ALL},	  /* btr */
	{M0F, 0xba, 0xba, PP_ANY, 0xe0},  /* bts, btr, btc with a number */
	{M0F, 0xbb, 0xbb, PP_ANY, ALL},	  /* btc */
	{M0F, 0xc0, 0xc1, PP_ANY, ALL},	  /* xadd */
	{M0F, 0xc3, 0xc3, PP_NONE, ALL},  /* movnti */
	{M0F, 0xc7, 0xc7, PP_ANY, 0x12},  /* cmpxchg8b, xsavec */
	{M0F, 0xd6, 0xd6, PP_66, ALL},	  /* movq */
	{M0F, 0xe7, 0xe7, PP_MMX, ALL},	  /* movntq, movntdq */
	{M38, 0xf1, 0xf1, PP_MMX, ALL},	  /* movbe */
	{M38, 0xf9, 0xf9, PP_NONE, ALL},  /* movdiri */
	{M3A, 0x14, 0x17, PP_66, ALL},	  /* pextrb, pextrw, pextrd, extractps */
	{V0F, 0x11, 0x11, PP_ANY, ALL},	  /* vmovups, vmovss, ... */
	{V0F, 0x13, 0x13, PP_MMX, ALL},	  /* vmovlps */
	{V0F, 0x17, 0x17, PP_MMX, ALL},	  /* vmovhps */
	{V0F, 0x29, 0x29, PP_MMX, ALL},	  /* vmovaps */
	{V0F, 0x2b, 0x2b, PP_MMX, ALL},	  /* vmovntps */
	{V0F, 0x7e, 0x7e, PP_66, ALL},	  /* vmovd */
	{V0F, 0x7f, 0x7f, PP_ANY, ALL},	  /* vmovdqa, vmovdqu */
	{V0F, 0x91, 0x91, PP_ANY, ALL},	  /* kmov */
	{V0F, 0xae, 0xae, PP_NONE, 0x08}, /* vstmxcsr */
	{V0F, 0xd6, 0xd6, PP_66, ALL},	  /* vmovq */
	{V0F, 0xe7, 0xe7, PP_66, ALL},	  /* vmovntdq */
	{V38, 0x10, 0x15, PP_F3, ALL},	  /* narrowing vpmov: saturating unsigned, */
	{V38, 0x20, 0x25, PP_F3, ALL},	  /* saturating, */
	{V38, 0x30, 0x35, PP_F3, ALL},	  /* and cut */
	{V38, 0x2e, 0x2f, PP_66, ALL},	  /* vmaskmovps, vmaskmovpd */
	{V38, 0x49, 0x49, PP_66, ALL},	  /* sttilecfg */
	{V38, 0x4b, 0x4b, PP_F3, ALL},	  /* tilestored */
	{V38, 0x63, 0x63, PP_66, ALL},	  /* vpcompressb */
	{V38, 0x8a, 0x8b, PP_66, ALL},	  /* vcompressps, vpcompressd */
	{V38, 0x8e, 0x8e, PP_66, ALL},	  /* vpmaskmovd */
	{V38, 0xa0, 0xa3, PP_66, ALL},	  /* scatters */
	{V38, 0xe0, 0xef, PP_66, ALL},	  /* compare and add on condition */
	{V3A, 0x14, 0x17, PP_66, ALL},	  /* vpextrb, ... */
	{V3A, 0x19, 0x19, PP_66, ALL},	  /* vextractf128, */
	{V3A, 0x1b, 0x1b, PP_66, ALL},	  /* wider ones, */
	{V3A, 0x39, 0x39, PP_66, ALL},	  /* vextracti128, */
	{V3A, 0x3b, 0x3b, PP_66, ALL},	  /* and wider ones */
	{V3A, 0x1d, 0x1d, PP_66, ALL},	  /* vcvtps2ph */
	{MAP_5, 0x11, 0x11, PP_F3, ALL},  /* vmovsh */
	{MAP_5, 0x7e, 0x7e, PP_66, ALL},  /* vmovw */
};

/* Something is pushed. */
static const struct row pushes[] = {
	{ONE, 0x50, 0x57, PP_ANY, ALL},	 /* push of a register, */
	{ONE, 0x68, 0x68, PP_ANY, ALL},	 /* of a number, */
	{ONE, 0x6a, 0x6a, PP_ANY, ALL},	 /* of a small one, */
	{ONE, 0x9c, 0x9c, PP_ANY, ALL},	 /* of the flags */
	{ONE, 0xe8, 0xe8, PP_ANY, ALL},	 /* call */
	{ONE, 0xff, 0xff, PP_ANY, 0x44}, /* call, push: of an operand that may be in memory */
	{M0F, 0xa0, 0xa0, PP_ANY, ALL},	 /* push of fs, */
	{M0F, 0xa8, 0xa8, PP_ANY, ALL},	 /* of gs */
};

/* The memory is where a register or a number says. */
static const struct row others[] = {
	{ONE, 0xa2, 0xa3, PP_ANY, ALL}, /* mov to an absolute address */
	{ONE, 0xaa, 0xab, PP_ANY, ALL}, /* stos */
	{M0F, 0xf7, 0xf7, PP_MMX, ALL}, /* maskmovq, maskmovdqu */
	{V0F, 0xf7, 0xf7, PP_66, ALL},	/* vmaskmovdqu */
};

static const struct row moves = {ONE, 0xa4, 0xa5, PP_ANY, ALL};
static const struct row enter = {ONE, 0xc8, 0xc8, PP_ANY, ALL};
static const struct row pop = {ONE, 0x8f, 0x8f, PP_ANY, 0x01};

static unsigned pp_of(const uint8_t *bytes, const struct insn *insn)
{
	const uint8_t *vector = bytes + insn->opcode_offset;

	if (insn->map & INSN_MAP_VECTOR)
		return 1u << (vector[vector[0] == 0xc5 ? 1 : 2] & 3);
	if (insn->prefixes & (INSN_PREFIX_F3 | INSN_PREFIX_F2))
		return insn->prefixes & INSN_PREFIX_F3 ? PP_F3 : PP_F2;
	return insn->prefixes & INSN_PREFIX_66 ? PP_66 : PP_NONE;
}

static bool is_of(const struct row *row, const struct insn *insn, unsigned pp)
{
	return insn->map == row->map && insn->opcode >= row->first && insn->opcode <= row->last &&
	       pp & row->pp && (!insn->has_modrm || row->regs & 1u << (insn->modrm >> 3 & 7));
}

static bool is_among(const struct row *rows, size_t count, const struct insn *insn, unsigned pp)
{
	for (size_t i = 0; i < count; i++) {
		if (is_of(&rows[i], insn, pp))
			return true;
	}
	return false;
}

#define IS_AMONG(rows) is_among(rows, sizeof(rows) / sizeof(*(rows)), insn, pp)

/* Of two accesses the first one that can fail is the read. */
bool insn_writes(const uint8_t *bytes, const struct insn *insn, const struct user_regs_struct *regs,
		 uint64_t addr)
{
	unsigned pp = pp_of(bytes, insn);
	bool in_memory = insn->has_modrm && insn->modrm < 0xc0;

	if (is_of(&moves, insn, pp))
		return addr - regs->rdi < 8 && addr - regs->rsi >= 8;
	if (is_of(&pop, insn, pp))
		return addr - regs->rsp >= 8;
	if (is_of(&enter, insn, pp))
		return regs->rsp - addr <= ENTER_MAX;
	if (IS_AMONG(pushes))
		return !in_memory || regs->rsp - addr <= 8;
	return IS_AMONG(others) || (in_memory && IS_AMONG(stores));
}
