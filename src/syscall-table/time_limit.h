/* Time limits of the poll family: virtual deadlines, and the rest that is written back. */
#ifndef SHADOW_TIME_LIMIT_H
#define SHADOW_TIME_LIMIT_H

#include "files.h"

enum time_limit_unit { LIMIT_MICRO = 1000, LIMIT_NANO = 1 }; /* timeval or timespec */

struct time_limit {
	u64 deadline_ns; /* SCHED_NEVER: without limit */
	u64 addr;	 /* where the app keeps it, 0: nowhere */
	u32 unit;	 /* enum time_limit_unit */
	bool is_zero;	 /* as given: nothing is waited for or written back */
};

/* Milliseconds from now; negative: without limit. */
struct time_limit time_limit_ms(s32 ms);
/* Takes a timeval or timespec of the app; addr 0: without limit.  0, -EFAULT, -EINVAL. */
long time_limit_in(struct task *t, u64 addr, u32 unit, struct time_limit *ret);
/* Writes the rest to where the limit came from.  The result the call has then: `result`, or -EINTR
 * instead of a restart if the rest could not be written (fs/select.c, poll_select_finish). */
long time_limit_out(struct task *t, const struct time_limit *limit, long result);

#endif
