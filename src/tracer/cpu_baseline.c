/*
 * See cpu_baseline.h.  Source of the numbers: Intel SDM vol. 1, chapter 13 (xsave) and vol. 2A,
 * CPUID.
 */
#include "cpu_baseline.h"

#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct feature {
	uint8_t word, bit, level;
	const char *name;
};

static const struct feature features[] = {
#define CPU_FEATURE(word, bit, name, level) {word, bit, level, name},
#include "../shim/cpu_features.def"
#undef CPU_FEATURE
};
#define FEATURES (sizeof(features) / sizeof(*features))

static const char *const level_names[] = {"", "x86-64-v1", "x86-64-v2", "x86-64-v3", "native"};

static bool has(const struct region_cpu *cpu, const struct feature *f)
{
	return cpu->words[f->word] >> f->bit & 1;
}

/* The bits of a word that belong to levels up to `level`. */
static uint32_t mask_of(unsigned word, unsigned level)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < FEATURES; i++) {
		if (features[i].word == word && features[i].level <= level)
			mask |= 1u << features[i].bit;
	}
	return mask;
}

static void add_component(struct region_cpu *cpu, unsigned number, uint32_t size, uint32_t offset)
{
	cpu->component[number] = (struct cpu_component){size, offset};
	cpu->components |= 1u << number;
	if (cpu->xsave_bytes < offset + size)
		cpu->xsave_bytes = offset + size;
}

/* ---- levels ---- */

void cpu_baseline_level(uint32_t level, struct region_cpu *ret_cpu)
{
	*ret_cpu = (struct region_cpu){.level = level, .components = CPU_X87_SSE};
	for (unsigned w = 0; w < CPU_WORDS; w++)
		ret_cpu->words[w] = mask_of(w, level);
	ret_cpu->xsave_bytes = CPU_XSAVE_FIRST;
	if (level >= 3)
		add_component(ret_cpu, 2, 256, CPU_XSAVE_FIRST);
}

/* ---- this machine ---- */

static uint32_t enabled_components(const struct region_cpu *cpu)
{
	uint32_t low, high;

	if (!(cpu->words[CPU_1C] & bit_OSXSAVE))
		return CPU_X87_SSE;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low & CPU_COMPONENTS;
}

static void read_words(uint32_t words[CPU_WORDS])
{
	static const struct {
		uint32_t leaf, sub;
		uint8_t a, b, c, d; /* the word that a register is; CPU_WORDS: none */
	} leaves[] = {
		{1, 0, CPU_WORDS, CPU_WORDS, CPU_1C, CPU_1D},
		{7, 0, CPU_WORDS, CPU_7B, CPU_7C, CPU_7D},
		{7, 1, CPU_71A, CPU_WORDS, CPU_WORDS, CPU_71D},
		{0xd, 1, CPU_D1A, CPU_WORDS, CPU_WORDS, CPU_WORDS},
		{0x80000001, 0, CPU_WORDS, CPU_WORDS, CPU_81C, CPU_81D},
	};
	uint32_t all[CPU_WORDS + 1] = {0};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(*leaves); i++) {
		uint32_t a = 0, b = 0, c = 0, d = 0;
		if (!__get_cpuid_count(leaves[i].leaf, leaves[i].sub, &a, &b, &c, &d))
			continue;
		all[leaves[i].a] = a;
		all[leaves[i].b] = b;
		all[leaves[i].c] = c;
		all[leaves[i].d] = d;
	}
	memcpy(words, all, CPU_WORDS * sizeof(*words));
}

static bool is_avx512(const struct feature *f)
{
	return strncmp(f->name, "avx512", 6) == 0;
}

/* What needs registers that the kernel has not enabled. */
static void drop_without_registers(struct region_cpu *cpu)
{
	for (size_t i = 0; i < FEATURES; i++) {
		if (is_avx512(&features[i]))
			cpu->words[features[i].word] &= ~(1u << features[i].bit);
	}
}

void cpu_baseline_native(struct region_cpu *ret_cpu)
{
	*ret_cpu = (struct region_cpu){.level = CPU_NATIVE, .components = CPU_X87_SSE};
	read_words(ret_cpu->words);
	uint32_t enabled = enabled_components(ret_cpu);
	for (unsigned w = 0; w < CPU_WORDS; w++)
		ret_cpu->words[w] &= mask_of(w, CPU_NATIVE);
	ret_cpu->xsave_bytes = CPU_XSAVE_FIRST;
	if ((enabled & CPU_AVX512) != CPU_AVX512) {
		enabled &= ~CPU_AVX512;
		drop_without_registers(ret_cpu);
	}
	for (unsigned n = 2; n < CPU_COMPONENT_NR; n++) {
		uint32_t size, offset, c, d;
		if (enabled >> n & 1 && __get_cpuid_count(0xd, n, &size, &offset, &c, &d))
			add_component(ret_cpu, n, size, offset);
	}
}

/*
 * Features that make a level: instructions of programs.  What else CPUID tells under a level
 * (leaf 1 edx, most of it the kernel's affair) is there on every 64-bit machine that boots Linux,
 * even where a hypervisor does not show it.
 */
static bool makes_level(const struct feature *f, unsigned level)
{
	return f->level <= level && f->word != CPU_1D && f->word != CPU_81D;
}

uint32_t cpu_baseline_machine_level(void)
{
	struct region_cpu cpu;
	uint32_t level = CPU_LEVEL_MAX;

	cpu_baseline_native(&cpu);
	for (size_t i = 0; i < FEATURES; i++) {
		while (level > 1 && makes_level(&features[i], level) && !has(&cpu, &features[i]))
			level--;
	}
	return level;
}

/* ---- names ---- */

int cpu_baseline_named(const char *name, struct region_cpu *ret_cpu)
{
	if (name == NULL) {
		cpu_baseline_level(cpu_baseline_machine_level(), ret_cpu);
		return 0;
	}
	for (uint32_t level = 1; level <= CPU_LEVEL_MAX; level++) {
		if (strcmp(name, level_names[level]) == 0) {
			cpu_baseline_level(level, ret_cpu);
			return 0;
		}
	}
	if (strcmp(name, level_names[CPU_NATIVE]) != 0)
		return -EINVAL;
	cpu_baseline_native(ret_cpu);
	return 0;
}

const char *cpu_baseline_name(const struct region_cpu *cpu)
{
	return level_names[cpu->level];
}

/* ---- as text: words in hexadecimal, then "number:size:offset" of each component ---- */

void cpu_baseline_features(const struct region_cpu *cpu, char text[CPU_TEXT_MAX])
{
	size_t len = 0;

	for (unsigned w = 0; w < CPU_WORDS; w++)
		len += (size_t)snprintf(text + len, CPU_TEXT_MAX - len, "%s%08" PRIx32,
					w == 0 ? "" : ",", cpu->words[w]);
	for (unsigned n = 2; n < CPU_COMPONENT_NR; n++) {
		const struct cpu_component *c = &cpu->component[n];
		if (cpu->components >> n & 1)
			len += (size_t)snprintf(text + len, CPU_TEXT_MAX - len,
						" %u:%" PRIu32 ":%" PRIu32, n, c->size_bytes,
						c->offset);
	}
}

static int parse_words(const char **text, struct region_cpu *cpu)
{
	for (unsigned w = 0; w < CPU_WORDS; w++) {
		int n = 0;
		if (sscanf(*text, "%8" SCNx32 "%n", &cpu->words[w], &n) != 1 || n != 8)
			return -EBADMSG;
		if (cpu->words[w] & ~mask_of(w, CPU_NATIVE))
			return -EBADMSG;
		*text += n;
		if (w + 1 < CPU_WORDS && *(*text)++ != ',')
			return -EBADMSG;
	}
	return 0;
}

static int parse_component(const char **text, struct region_cpu *cpu)
{
	unsigned number;
	uint32_t size, offset;
	int n = 0;

	if (sscanf(*text, " %1u:%4" SCNu32 ":%4" SCNu32 "%n", &number, &size, &offset, &n) != 3 ||
	    number < 2 || number >= CPU_COMPONENT_NR || !(CPU_COMPONENTS >> number & 1) ||
	    cpu->components >> number & 1 || offset < CPU_XSAVE_FIRST || size == 0 ||
	    offset + size > CPU_XSAVE_MAX)
		return -EBADMSG;
	add_component(cpu, number, size, offset);
	*text += n;
	return 0;
}

int cpu_baseline_parse(const char *text, struct region_cpu *ret_cpu)
{
	struct region_cpu cpu = {
		.level = CPU_NATIVE, .components = CPU_X87_SSE, .xsave_bytes = CPU_XSAVE_FIRST};

	int error = parse_words(&text, &cpu);
	while (error == 0 && *text != '\0')
		error = parse_component(&text, &cpu);
	/* Without the state of AVX there is none of AVX-512, and that is three components or none.
	 */
	uint32_t wide = cpu.components & CPU_AVX512;
	if (error == 0 && wide != 0 && (wide != CPU_AVX512 || !(cpu.components & CPU_AVX)))
		error = -EBADMSG;
	if (error == 0)
		*ret_cpu = cpu;
	return error;
}

/* ---- what is missing ---- */

static bool same_layout(const struct region_cpu *wanted, const struct region_cpu *machine)
{
	for (unsigned n = 2; n < CPU_COMPONENT_NR; n++) {
		const struct cpu_component *a = &wanted->component[n], *b = &machine->component[n];
		if (wanted->components >> n & 1 &&
		    (!(machine->components >> n & 1) || a->size_bytes != b->size_bytes ||
		     a->offset != b->offset))
			return false;
	}
	return true;
}

static bool is_missing(const struct region_cpu *wanted, const struct region_cpu *machine,
		       const struct feature *f)
{
	if (!has(wanted, f) || has(machine, f))
		return false;
	return wanted->level == CPU_NATIVE || makes_level(f, wanted->level);
}

bool cpu_baseline_missing(const struct region_cpu *cpu, char *text, size_t size)
{
	struct region_cpu machine;
	bool missing = false;
	size_t len = 0;

	text[0] = '\0';
	cpu_baseline_native(&machine);
	for (size_t i = 0; i < FEATURES; i++) {
		if (!is_missing(cpu, &machine, &features[i]))
			continue;
		if (len < size)
			len += (size_t)snprintf(text + len, size - len, "%s%s", missing ? ", " : "",
						features[i].name);
		missing = true;
	}
	if (!missing && !same_layout(cpu, &machine)) {
		snprintf(text, size, "the same layout of vector registers in memory");
		missing = true;
	}
	return missing;
}
