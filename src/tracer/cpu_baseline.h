/*
 * Processor baselines: the levels of the x86-64 ABI, and what this machine has.
 *
 * A baseline is text in the log's configuration ("x86-64-v3"; "native" and its features), a struct
 * region_cpu for the shim, and a question to the machine that replays: does it have all of it?
 */
#ifndef SHADOW_TRACER_CPU_BASELINE_H
#define SHADOW_TRACER_CPU_BASELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "../shim/cpu_features.h"

#define CPU_TEXT_MAX 256 /* of what cpu_baseline_features writes, with its NUL */

/* x86-64-v`level`, from 1 to CPU_LEVEL_MAX. */
void cpu_baseline_level(uint32_t level, struct region_cpu *ret_cpu);

/* This machine's, without what is never shown (cpu_features.def). */
void cpu_baseline_native(struct region_cpu *ret_cpu);

/* The highest level that this machine has all of. */
uint32_t cpu_baseline_machine_level(void);

/*
 * The baseline that the user names: x86-64-v1 to v3, native; NULL: the machine's level.
 * -EINVAL: no such name.
 */
int cpu_baseline_named(const char *name, struct region_cpu *ret_cpu);

/* "x86-64-v3", "native". */
const char *cpu_baseline_name(const struct region_cpu *cpu);

/* Features and layout of a native baseline as text, and back; -EBADMSG: not understood, or with
 * something that is never shown. */
void cpu_baseline_features(const struct region_cpu *cpu, char text[CPU_TEXT_MAX]);
int cpu_baseline_parse(const char *text, struct region_cpu *ret_cpu);

/*
 * Whether this machine lacks anything of the baseline; then `text`, of `size` bytes, has the names
 * of the features, as far as they fit.
 */
bool cpu_baseline_missing(const struct region_cpu *cpu, char *text, size_t size);

#endif
