/*
 * The listed instructions: those that let the host into a program. Freestanding, so that the
 * shim can share it: a patched site tells the shim by an instruction code which one it was.
 */
#ifndef SHADOW_TRACER_INSN_KIND_H
#define SHADOW_TRACER_INSN_KIND_H

enum insn_kind {
	INSN_SYSCALL,
	INSN_CPUID,
	INSN_RDTSC,
	INSN_RDTSCP,
	INSN_XGETBV,
	INSN_RDRAND,
	INSN_RDSEED,
	INSN_RDPID,
	INSN_RDFSBASE,
	INSN_RDGSBASE,
	INSN_WRFSBASE,
	INSN_WRGSBASE,
	INSN_TPAUSE,
	INSN_UMWAIT,
	INSN_LSL,      /* of a descriptor in which the kernel keeps the processor's number */
	INSN_XBEGIN,   /* patched without the shim: always aborts with status 0 */
	INSN_INT80,    /* refused: seccomp stops it by its architecture */
	INSN_SYSENTER, /* refused, likewise */
	INSN_PAUSE,    /* "I am spinning": the task gives up its turn, docs/decisions/0011 */
	INSN_YIELD,    /* no instruction: behind one, the task gives up its turn */
	INSN_KIND_COUNT,
};

/*
 * Instruction code: kind, register number of the register operand (0..15; 0 if none), its size
 * in bytes (0 if none), length of the instruction.
 */
#define INSN_CODE(kind, reg, size, length)                                  \
	((unsigned)(kind) | (unsigned)(reg) << 8 | (unsigned)(size) << 16 | \
	 (unsigned)(length) << 24)
#define INSN_CODE_KIND(code)   ((code)&0xffu)
#define INSN_CODE_REG(code)    ((code) >> 8 & 0xfu)
#define INSN_CODE_SIZE(code)   ((code) >> 16 & 0xffu)
#define INSN_CODE_LENGTH(code) ((code) >> 24 & 0xffu)

#endif
