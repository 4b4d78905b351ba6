/*
 * Time limits of poll, select, epoll_wait and their variants.  Owns nothing.
 */
#include "time_limit.h"
#include "../shim/signal.h"

#define SECOND_NS   1000000000ull
#define MS_NS	    1000000ull
#define SECONDS_MAX 8000000000ll /* more is as good as never, and would overflow */

struct time_limit time_limit_ms(s32 ms)
{
	struct time_limit limit = {.deadline_ns = SCHED_NEVER, .is_zero = ms == 0};

	if (ms >= 0)
		limit.deadline_ns = now_ns() + (u64)ms * MS_NS;
	return limit;
}

long time_limit_in(struct task *t, u64 addr, u32 unit, struct time_limit *ret)
{
	struct time_limit limit = {.deadline_ns = SCHED_NEVER, .addr = addr, .unit = unit};
	s64 given[2];

	if (addr) {
		if (user_get(given, addr))
			return -EFAULT;
		digest_bytes(t, given, sizeof(given));
		s64 per_second = (s64)SECOND_NS / (s64)unit;
		/* select takes more than a second of microseconds, the others no such thing. */
		if (unit == LIMIT_MICRO && given[1] >= per_second) {
			given[0] += given[1] / per_second;
			given[1] %= per_second;
		}
		if (given[0] < 0 || given[1] < 0 || given[1] >= per_second)
			return -EINVAL;
		limit.is_zero = !given[0] && !given[1];
		if (given[0] <= SECONDS_MAX)
			limit.deadline_ns =
				now_ns() + (u64)given[0] * SECOND_NS + (u64)given[1] * unit;
	}
	*ret = limit;
	return 0;
}

long time_limit_out(struct task *t, const struct time_limit *limit, long result)
{
	if (!limit->addr || limit->is_zero || limit->deadline_ns == SCHED_NEVER)
		return result;
	u64 rest = limit->deadline_ns > now_ns() ? limit->deadline_ns - now_ns() : 0;
	u64 left[2] = {rest / SECOND_NS, rest % SECOND_NS / limit->unit};
	digest_bytes(t, left, sizeof(left));
	if (user_put(limit->addr, left) && result == -ERESTARTNOHAND)
		return -EINTR;
	return result;
}
