/*
 * Finding the listed instructions.
 *
 * Bytes first: all of them contain one of a few two-byte sequences, which SSE2 finds at some
 * GB/s. Each hit is then confirmed by decoding from the start of its function; without known
 * starts, from many places before it (x86 decoding falls into step within a few instructions).
 *
 * Owns nothing after the call. Invariant: hits are visited in ascending order and a function is
 * decoded at most once, so the time is linear in the size whatever the bytes are.
 *
 * Where data lies among code that a program made (constants between functions, numbers behind a
 * trap), bytes before a hit prove little. So such a hit must be followed by code, too, and a decode
 * does not take what a trap is followed by for code. This matters: a breakpoint in what is loaded
 * as data is a wrong value.
 *
 * What remains: an instruction reached only by a jump into another instruction's middle is taken
 * for a part of the latter and not reported.  A pause with a prefix between f3 and its opcode,
 * which no assembler makes, is not found.
 */
#include "insn_scan.h"

#include <emmintrin.h>
#include <errno.h>
#include <stdlib.h>

/* Decodes begin at this many places, the last this far before the instruction in question. */
#define AGREE_STARTS   24
#define AGREE_DISTANCE 48
#define AGREE_MIN      8
/* So far behind a hit what follows must look like code, unless the flow leaves it before. */
#define FOLLOW_DISTANCE 24
/* A branch around a trap goes no farther than this: the trap and the numbers its handler reads. */
#define TRAP_MAX 16
#define INT3	 0xcc

/* What a decode that came to the place in question found. */
enum verdict {
	VERDICT_HIT,	 /* an instruction with its opcode there */
	VERDICT_MISS,	 /* the place is inside of an instruction */
	VERDICT_UNKNOWN, /* could not be decoded up to there */
};

/* A decode in progress, kept from one hit to the next of the same function. */
struct cursor {
	size_t begin; /* start of the function, SIZE_MAX before the first */
	size_t at;    /* an instruction boundary */
	bool failed;  /* the instruction at `at` cannot be decoded */
};

struct site_list {
	struct insn_site *sites;
	size_t count;
	size_t room;
};

static const char *const kind_names[INSN_KIND_COUNT] = {
	[INSN_SYSCALL] = "syscall",   [INSN_CPUID] = "cpuid",	    [INSN_RDTSC] = "rdtsc",
	[INSN_RDTSCP] = "rdtscp",     [INSN_XGETBV] = "xgetbv",	    [INSN_RDRAND] = "rdrand",
	[INSN_RDSEED] = "rdseed",     [INSN_RDPID] = "rdpid",	    [INSN_RDFSBASE] = "rdfsbase",
	[INSN_RDGSBASE] = "rdgsbase", [INSN_WRFSBASE] = "wrfsbase", [INSN_WRGSBASE] = "wrgsbase",
	[INSN_TPAUSE] = "tpause",     [INSN_UMWAIT] = "umwait",	    [INSN_LSL] = "lsl",
	[INSN_XBEGIN] = "xbegin",     [INSN_INT80] = "int80",	    [INSN_SYSENTER] = "sysenter",
	[INSN_PAUSE] = "pause",
};

const char *insn_kind_name(unsigned kind)
{
	return kind < INSN_KIND_COUNT ? kind_names[kind] : "?";
}

/* Group 9 with a register: rdrand, rdseed, rdpid. With f3, /6 is senduipi. */
static int classify_random(const struct insn *insn)
{
	unsigned reg = insn->modrm >> 3 & 7;
	bool rep = insn->prefixes & INSN_PREFIX_F3;

	if (insn->modrm < 0xc0 || reg < 6)
		return -ENOENT;
	if (reg == 6)
		return rep ? -ENOENT : INSN_RDRAND;
	return rep ? INSN_RDPID : INSN_RDSEED;
}

/* Group 15 with a register: the segment bases and the waiting instructions. */
static int classify_group15(const struct insn *insn)
{
	static const uint8_t bases[4] = {INSN_RDFSBASE, INSN_RDGSBASE, INSN_WRFSBASE,
					 INSN_WRGSBASE};
	unsigned reg = insn->modrm >> 3 & 7;

	if (insn->modrm < 0xc0)
		return -ENOENT;
	if (reg < 4 && (insn->prefixes & INSN_PREFIX_F3))
		return bases[reg];
	if (reg == 6 && (insn->prefixes & INSN_PREFIX_F2))
		return INSN_UMWAIT;
	if (reg == 6 && insn->prefixes == INSN_PREFIX_66)
		return INSN_TPAUSE;
	return -ENOENT;
}

static int classify_0f(const struct insn *insn)
{
	switch (insn->opcode) {
	case 0x01:
		if (insn->modrm == 0xf9)
			return INSN_RDTSCP;
		return insn->modrm == 0xd0 ? INSN_XGETBV : -ENOENT;
	case 0x03:
		return INSN_LSL;
	case 0x05:
		return INSN_SYSCALL;
	case 0x31:
		return INSN_RDTSC;
	case 0x34:
		return INSN_SYSENTER;
	case 0xa2:
		return INSN_CPUID;
	case 0xae:
		return classify_group15(insn);
	case 0xc7:
		return classify_random(insn);
	default:
		return -ENOENT;
	}
}

/* A nop with f3; with REX.B it exchanges r8 and rax, with lock it faults. */
static bool is_pause(const struct insn *insn)
{
	return insn->opcode == 0x90 && insn->prefixes == INSN_PREFIX_F3 && !(insn->rex & 1);
}

/* The kind of an instruction, or -ENOENT. */
static int classify(const uint8_t *bytes, const struct insn *insn)
{
	if (insn->map == INSN_MAP_0F)
		return classify_0f(insn);
	if (insn->map != INSN_MAP_ONE)
		return -ENOENT;
	if (insn->opcode == 0xc7 && insn->modrm == 0xf8)
		return INSN_XBEGIN;
	if (insn->opcode == 0xcd && bytes[insn->length - 1] == 0x80)
		return INSN_INT80;
	return is_pause(insn) ? INSN_PAUSE : -ENOENT;
}

static uint8_t operand_size(unsigned kind, const struct insn *insn)
{
	if (kind == INSN_RDPID)
		return 8;
	if (insn->rex & 8)
		return 8;
	return (kind == INSN_RDRAND || kind == INSN_RDSEED) && (insn->prefixes & INSN_PREFIX_66)
		       ? 2
		       : 4;
}

static bool has_register(unsigned kind)
{
	return kind >= INSN_RDRAND && kind <= INSN_UMWAIT;
}

int insn_classify(const uint8_t *bytes, size_t available, struct insn_site *ret_site)
{
	struct insn_site site = {.confirmed = true};
	struct insn insn;
	int kind;
	int r = insn_decode(bytes, available, &insn);

	if (r < 0)
		return r;
	kind = classify(bytes, &insn);
	if (kind < 0)
		return kind;
	site.kind = (uint8_t)kind;
	site.length = insn.length;
	if (has_register(site.kind)) {
		site.reg = (uint8_t)((insn.modrm & 7) | (insn.rex & 1) << 3);
		site.operand_size = operand_size(site.kind, &insn);
	}
	*ret_site = site;
	return 0;
}

/* Decode on from *at until past `opcode`; *at is left at the instruction that covers it. */
static enum verdict decode_to(const struct code_view *code, size_t *at, size_t opcode)
{
	for (;;) {
		struct insn insn;

		if (insn_decode(code->bytes + *at, code->size - *at, &insn) < 0)
			return VERDICT_UNKNOWN;
		if (*at + insn.length > opcode)
			return *at + insn.opcode_offset == opcode ? VERDICT_HIT : VERDICT_MISS;
		*at += insn.length;
	}
}

/* A trap that is no padding: neither after the end of a flow nor one of a row. */
static bool is_trap(const struct code_view *code, size_t at, bool ended)
{
	const uint8_t *bytes = code->bytes;

	return bytes[at] == INT3 && !ended && (at == 0 || bytes[at - 1] != INT3) &&
	       (at + 1 == code->size || bytes[at + 1] != INT3);
}

/*
 * Goes to the instruction after the one at *at, if it is known. A trap's handler may read numbers
 * that lie behind the trap: a branch around both says where code goes on.
 */
static bool step_over(const struct code_view *code, size_t *at, const struct insn *insn,
		      bool *ended)
{
	size_t next = *at + insn->length;
	bool trap_next = next < code->size && code->bytes[next] == INT3;

	if (is_trap(code, *at, *ended))
		return false;
	*ended = code->bytes[*at] == INT3 || insn_ends_flow(insn);
	*at = next;
	if (trap_next && insn->flow == INSN_FLOW_BRANCH && insn->relative > 0 &&
	    insn->relative <= TRAP_MAX)
		*at += (size_t)insn->relative;
	return true;
}

/* add %al, (%rax) is what zeros are, and nothing else that is made is. */
static bool is_zeros(const uint8_t *bytes)
{
	return bytes[0] == 0 && bytes[1] == 0;
}

/* Zeros are data, or nothing: code begins behind them. */
static size_t zeros_end(const struct code_view *code, size_t at)
{
	while (at < code->size && code->bytes[at] == 0)
		at++;
	return at;
}

/* decode_to for code that may have data in it, from a place that may be none of an instruction. */
static enum verdict decode_from(const struct code_view *code, size_t *at, size_t opcode)
{
	bool ended = false;
	struct insn insn;

	while (*at <= opcode) {
		if (insn_decode(code->bytes + *at, code->size - *at, &insn) < 0)
			return VERDICT_UNKNOWN;
		if (*at + insn.length > opcode)
			return *at + insn.opcode_offset == opcode ? VERDICT_HIT : VERDICT_MISS;
		if (insn.length == 2 && is_zeros(code->bytes + *at))
			*at = zeros_end(code, *at);
		else if (!step_over(code, at, &insn, &ended))
			return VERDICT_UNKNOWN;
	}
	return VERDICT_MISS;
}

/* Whether the instruction at `at` is followed by code: words of data, if small, hold zeros. */
static bool code_follows(const struct code_view *code, size_t at)
{
	size_t end = at + FOLLOW_DISTANCE;
	struct insn insn;
	int r;

	while (at < end) {
		r = insn_decode(code->bytes + at, code->size - at, &insn);
		if (r < 0)
			return r == -ENODATA;
		if (insn.length == 2 && is_zeros(code->bytes + at))
			return false;
		if (insn_ends_flow(&insn) || insn.flow == INSN_FLOW_CALL ||
		    insn.flow == INSN_FLOW_CALL_INDIRECT || code->bytes[at] == INT3)
			return true;
		at += insn.length;
	}
	return true;
}

/* What the decodes from many places say together. */
static enum verdict agreement(unsigned hits, unsigned misses, size_t opcode)
{
	if (hits && !misses)
		return hits >= AGREE_MIN || opcode < AGREE_DISTANCE + AGREE_MIN ? VERDICT_HIT
										: VERDICT_UNKNOWN;
	return hits ? VERDICT_UNKNOWN : VERDICT_MISS;
}

/* Decode from many places before: *ret_at is the instruction's first byte after a hit. */
static enum verdict decode_around(const struct code_view *code, size_t opcode, size_t *ret_at)
{
	size_t distance = opcode < AGREE_DISTANCE ? opcode : AGREE_DISTANCE;
	unsigned hits = 0;
	unsigned misses = 0;

	for (size_t i = 0; i < AGREE_STARTS && distance + i <= opcode; i++) {
		size_t at = opcode - distance - i;
		enum verdict verdict = decode_from(code, &at, opcode);

		hits += verdict == VERDICT_HIT;
		misses += verdict == VERDICT_MISS;
		if (verdict == VERDICT_HIT)
			*ret_at = at;
	}
	if (hits && !misses && !code_follows(code, *ret_at))
		return VERDICT_UNKNOWN;
	return agreement(hits, misses, opcode);
}

bool insn_agreed(const struct code_view *code, size_t opcode)
{
	size_t at;

	return decode_around(code, opcode, &at) == VERDICT_HIT;
}

static enum verdict decode_function(const struct code_view *code, struct cursor *cursor,
				    size_t opcode)
{
	enum verdict verdict;
	size_t begin, end;

	if (code_view_function(code, opcode, &begin, &end) < 0)
		return VERDICT_UNKNOWN;
	if (cursor->begin != begin)
		*cursor = (struct cursor){.begin = begin, .at = begin};
	if (cursor->failed)
		return VERDICT_UNKNOWN;
	verdict = decode_to(code, &cursor->at, opcode);
	cursor->failed = verdict == VERDICT_UNKNOWN;
	return verdict;
}

/*
 * Is there an instruction with its opcode byte at `opcode`? *ret_at is its first byte, a guess
 * if the answer is unknown. Both ways must agree to call a hit accidental: data among code
 * brings one of them out of step, seldom both.
 */
static enum verdict confirm(const struct code_view *code, struct cursor *cursor, size_t opcode,
			    size_t *ret_at)
{
	enum verdict around;
	enum verdict verdict = decode_function(code, cursor, opcode);

	if (verdict == VERDICT_HIT) {
		*ret_at = cursor->at;
		return VERDICT_HIT;
	}
	*ret_at = opcode;
	around = decode_around(code, opcode, ret_at);
	if (around == VERDICT_HIT && (verdict == VERDICT_MISS || cursor->failed))
		return VERDICT_UNKNOWN;
	return around;
}

static int list_append(struct site_list *list, const struct insn_site *site)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct insn_site *sites = realloc(list->sites, room * sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		list->sites = sites;
		list->room = room;
	}
	list->sites[list->count++] = *site;
	return 0;
}

/* Where an instruction whose start could not be proven would begin, by its prefixes. */
static size_t guess_start(const uint8_t *bytes, size_t opcode)
{
	size_t at = opcode;

	if (at && (bytes[at - 1] & 0xf0) == 0x40)
		at--;
	if (at && (bytes[at - 1] == 0xf3 || bytes[at - 1] == 0xf2 || bytes[at - 1] == 0x66))
		at--;
	return at;
}

/* Third byte of the pairs that have other uses too; spares decoding for most of them. */
static bool plausible(const uint8_t *bytes, size_t available)
{
	if (bytes[0] != 0x0f)
		return true;
	if (bytes[1] == 0x01)
		return available > 2 && (bytes[2] == 0xf9 || bytes[2] == 0xd0);
	if (bytes[1] == 0xc7 || bytes[1] == 0xae)
		return available > 2 && bytes[2] >= 0xc0;
	return true;
}

/* A candidate, a pair at `opcode`: decide, and append what is wanted. */
static int examine(const struct code_view *code, uint32_t kinds, size_t opcode,
		   struct cursor *cursor, struct site_list *list)
{
	struct insn_site site;
	enum verdict verdict;
	size_t at;

	if (!plausible(code->bytes + opcode, code->size - opcode))
		return 0;
	/* of pause the pair is its prefix and its opcode */
	opcode += code->bytes[opcode] == 0xf3;
	verdict = confirm(code, cursor, opcode, &at);
	if (verdict == VERDICT_MISS)
		return 0;
	if (at == opcode && verdict == VERDICT_UNKNOWN)
		at = guess_start(code->bytes, opcode);
	if (insn_classify(code->bytes + at, code->size - at, &site) < 0 ||
	    !(kinds & INSN_SET(site.kind)))
		return 0;
	site.offset = (uint32_t)at;
	site.confirmed = verdict == VERDICT_HIT;
	return list_append(list, &site);
}

/* The pairs to look for, as the second bytes wanted after 0f, and the three others. */
struct pairs {
	__m128i seconds[8];
	unsigned count;
	bool xbegin;
	bool int80;
	bool pause;
};

static void pairs_init(struct pairs *pairs, uint32_t kinds)
{
	static const struct {
		uint32_t kinds;
		uint8_t second;
	} rows[] = {
		{INSN_SET(INSN_SYSCALL), 0x05},
		{INSN_SET(INSN_CPUID), 0xa2},
		{INSN_SET(INSN_RDTSC), 0x31},
		{INSN_SET(INSN_RDTSCP) | INSN_SET(INSN_XGETBV), 0x01},
		{INSN_SET(INSN_RDRAND) | INSN_SET(INSN_RDSEED) | INSN_SET(INSN_RDPID), 0xc7},
		{INSN_SET(INSN_RDFSBASE) | INSN_SET(INSN_RDGSBASE) | INSN_SET(INSN_WRFSBASE) |
			 INSN_SET(INSN_WRGSBASE) | INSN_SET(INSN_TPAUSE) | INSN_SET(INSN_UMWAIT),
		 0xae},
		{INSN_SET(INSN_SYSENTER), 0x34},
		{INSN_SET(INSN_LSL), 0x03},
	};

	*pairs = (struct pairs){.xbegin = kinds & INSN_SET(INSN_XBEGIN),
				.int80 = kinds & INSN_SET(INSN_INT80),
				.pause = kinds & INSN_SET(INSN_PAUSE)};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (kinds & rows[i].kinds)
			pairs->seconds[pairs->count++] = _mm_set1_epi8((char)rows[i].second);
}

static __m128i match_pair(__m128i first, __m128i second, uint8_t a, uint8_t b)
{
	return _mm_and_si128(_mm_cmpeq_epi8(first, _mm_set1_epi8((char)a)),
			     _mm_cmpeq_epi8(second, _mm_set1_epi8((char)b)));
}

/* Bit i is set if a wanted pair begins at bytes[i]; reads 17 bytes. */
static unsigned match_block(const struct pairs *pairs, const uint8_t *bytes)
{
	__m128i first = _mm_loadu_si128((const __m128i *)bytes);
	__m128i second = _mm_loadu_si128((const __m128i *)(bytes + 1));
	__m128i any = _mm_setzero_si128();

	for (unsigned i = 0; i < pairs->count; i++)
		any = _mm_or_si128(any, _mm_cmpeq_epi8(second, pairs->seconds[i]));
	any = _mm_and_si128(any, _mm_cmpeq_epi8(first, _mm_set1_epi8(0x0f)));
	if (pairs->xbegin)
		any = _mm_or_si128(any, match_pair(first, second, 0xc7, 0xf8));
	if (pairs->int80)
		any = _mm_or_si128(any, match_pair(first, second, 0xcd, 0x80));
	if (pairs->pause)
		any = _mm_or_si128(any, match_pair(first, second, 0xf3, 0x90));
	return (unsigned)_mm_movemask_epi8(any);
}

/* All matches in 16 places from `base`. */
static int examine_block(const struct code_view *code, uint32_t kinds, size_t base, unsigned mask,
			 struct cursor *cursor, struct site_list *list)
{
	while (mask) {
		int r = examine(code, kinds, base + (size_t)__builtin_ctz(mask), cursor, list);

		if (r < 0)
			return r;
		mask &= mask - 1;
	}
	return 0;
}

/* The last places, by way of a copy: match_block reads past the end there. */
static unsigned match_tail(const struct code_view *code, const struct pairs *pairs, size_t base)
{
	uint8_t copy[17] = {0};
	size_t left = code->size - base;

	for (size_t i = 0; i < left && i < sizeof(copy); i++)
		copy[i] = code->bytes[base + i];
	return match_block(pairs, copy);
}

int insn_scan(const struct code_view *code, uint32_t kinds, struct insn_site **ret_sites,
	      size_t *ret_count)
{
	struct cursor cursor = {.begin = SIZE_MAX};
	struct site_list list = {0};
	struct pairs pairs;
	int r = 0;

	if (code->size > UINT32_MAX)
		return -E2BIG;
	pairs_init(&pairs, kinds);
	for (size_t base = 0; base < code->size && r == 0; base += 16) {
		unsigned mask = code->size - base < 17 ? match_tail(code, &pairs, base)
						       : match_block(&pairs, code->bytes + base);

		r = examine_block(code, kinds, base, mask, &cursor, &list);
	}
	if (r < 0) {
		free(list.sites);
		return r;
	}
	*ret_sites = list.sites;
	*ret_count = list.count;
	return 0;
}
