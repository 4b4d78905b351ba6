/*
 * Classic BPF as seccomp filters use it: which programs are let in, and what one says of a call.
 * Pure: knows neither tasks nor the region, and is tested with made-up programs.
 */
#ifndef SHADOW_BPF_H
#define SHADOW_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include "../shim/shim_abi.h"

/*
 * Whether Linux would take the program as a filter (kernel/seccomp.c, seccomp_check_filter;
 * net/core/filter.c, bpf_check_classic): 1 to BPF_MAXINSNS instructions, all known, operands and
 * jumps within range, cells of the scratch memory written before they are read, a return at the
 * end.  Jumps lead forwards only, so such a program ends.  0, or -EINVAL.
 */
long bpf_check(const struct sock_filter *program, u64 length);

/* Runs a program that bpf_check accepted; its return value (SECCOMP_RET_*). */
u32 bpf_run(const struct sock_filter *program, const struct seccomp_data *data);

#endif
