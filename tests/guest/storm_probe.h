/*
 * The probe of signal_storm: a system call with all registers and the red zone known before it and
 * noted after it, whatever the handlers that run at its end have done.
 */
#ifndef GUEST_STORM_PROBE_H
#define GUEST_STORM_PROBE_H

/* struct probe_state, for the assembler */
#define PROBE_FLAGS    120
#define PROBE_VECTORS  128
#define PROBE_MXCSR    640
#define PROBE_CONTROL  644
#define PROBE_RED_ZONE 648

#define RED_ZONE_BYTES 128

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum probe_register {
	PROBE_RAX,
	PROBE_RBX,
	PROBE_RCX,
	PROBE_RDX,
	PROBE_RSI,
	PROBE_RDI,
	PROBE_RBP,
	PROBE_R8,
	PROBE_R9,
	PROBE_R10,
	PROBE_R11,
	PROBE_R12,
	PROBE_R13,
	PROBE_R14,
	PROBE_R15,
	PROBE_GENERAL,
};

struct probe_state {
	uint64_t general[PROBE_GENERAL], flags;
	uint8_t vector[16][32]; /* ymm; the low halves alone without AVX */
	uint32_t mxcsr;
	uint16_t control; /* of the x87 */
	uint64_t red_zone[4];
};
_Static_assert(offsetof(struct probe_state, flags) == PROBE_FLAGS, "storm_probe.S");
_Static_assert(offsetof(struct probe_state, vector) == PROBE_VECTORS, "storm_probe.S");
_Static_assert(offsetof(struct probe_state, mxcsr) == PROBE_MXCSR, "storm_probe.S");
_Static_assert(offsetof(struct probe_state, control) == PROBE_CONTROL, "storm_probe.S");
_Static_assert(offsetof(struct probe_state, red_zone) == PROBE_RED_ZONE, "storm_probe.S");

extern struct probe_state storm_in, storm_out;
extern uint32_t storm_has_avx;
extern uint64_t storm_sp;     /* of the probe that runs, as its system call sees it */
extern const char storm_ip[]; /* behind the system call */

/* Loads storm_in, makes its system call, stores what is there then in storm_out. */
void storm_probe(void);
#endif

#endif
