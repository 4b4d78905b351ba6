/*
 * Sending on behalf of the current task, permissions checked: what kill, pidfd_send_signal and
 * their like share.
 */
#ifndef SHADOW_SIGNAL_SEND_H
#define SHADOW_SIGNAL_SEND_H

#include "../shim/signal.h"

/*
 * Each sends `sig` (0: only checks) with `info`, or with NULL as kill and tkill do.  0, -EPERM,
 * -EINVAL for no signal, -EAGAIN as signal_send_proc, -ESRCH.
 */
long signal_to_process(const struct task *t, u32 proc, u64 sig, const struct k_siginfo *info);
/* To all of a process group: succeeds if it reached one. */
long signal_to_group(const struct task *t, u32 pgid, u64 sig, const struct k_siginfo *info);
/* To the task `tid` of process `tgid`, of any if that is 0. */
long signal_to_thread(const struct task *t, u32 tgid, u32 tid, u64 sig,
		      const struct k_siginfo *info);

/* A siginfo of the app's making, for signal `sig`.  Linux keeps what it could mean; of unknown ones
 * it must be all (-E2BIG). */
long signal_info_in(struct task *t, u64 addr, s32 sig, struct k_siginfo *ret_info);
/* Codes of the kernel's and of tkill are the app's to fake only to itself. */
bool signal_may_fake(const struct k_siginfo *info, bool to_self);

#endif
