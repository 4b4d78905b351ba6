/*
 * The processor baseline of a container: which features its programs are shown.  A part of the
 * configuration, the same on every replica.  Freestanding.
 */
#ifndef SHADOW_CPU_FEATURES_H
#define SHADOW_CPU_FEATURES_H

#include <stdint.h>

#define CPU_LEVEL_MAX 3 /* x86-64-v1 to v3 */
#define CPU_NATIVE    4 /* in place of a level: what the recording machine had */

/* Words of CPUID with features: leaf, register; 7, d and extended leaves with their subleaf. */
enum cpu_word {
	CPU_1C,
	CPU_1D,
	CPU_7B,
	CPU_7C,
	CPU_7D,
	CPU_71A,
	CPU_71D,
	CPU_D1A,
	CPU_81C,
	CPU_81D,
	CPU_WORDS
};

/* Components of xsave: bits of XCR0. */
#define CPU_X87_SSE    0x3u
#define CPU_AVX	       0x4u
#define CPU_AVX512     0xe0u
#define CPU_COMPONENTS (CPU_X87_SSE | CPU_AVX | CPU_AVX512)

#define CPU_XSAVE_FIRST	 576 /* legacy area and header: where the components begin */
#define CPU_XSAVE_MAX	 2696
#define CPU_COMPONENT_NR 8 /* numbers of components, as bits in XCR0, are below it */

/* In the standard format.  The processor, not the architecture, says where a component lies. */
struct cpu_component {
	uint32_t size_bytes, offset;
};

struct region_cpu {
	uint32_t level; /* 1 to CPU_LEVEL_MAX, or CPU_NATIVE */
	uint32_t words[CPU_WORDS];
	uint32_t components;  /* of XCR0 */
	uint32_t xsave_bytes; /* with all of them, in the standard format */
	struct cpu_component component[CPU_COMPONENT_NR];
};

#endif
