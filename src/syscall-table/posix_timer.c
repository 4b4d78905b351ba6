/*
 * POSIX timers: timer_create and its like (kernel/time/posix-timers.c of Linux 6.18).
 *
 *	idle --settime--> armed --due--> sent: its signal is queued, or would be but is ignored
 *	armed <--the signal is taken; periods that passed meanwhile are overruns-- sent (repeating)
 *
 * A timer has one signal at most; settime and delete make the one that is queued void: it stays
 * pending, but whoever would take it finds nothing.  A repeating timer whose signal is ignored
 * waits until it no longer is.  Timers of SIGEV_NONE are never armed: they only tell time.
 *
 * Owns the timers of a process, in the heap, by number.  Invariant: timer->node is the queued node
 * whose `timer` is this one, or NULL.
 */
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"
#include "timer.h"
#include "wait.h"

#define NUMBER_MASK   0x7fffffffu /* numbers are not negative */
#define OVERRUN_FIRST (-1)	  /* the first period is the signal itself */
#define OVERRUN_MAX   INT32_MAX	  /* DELAYTIMER_MAX */
#define ABSOLUTE      1u	  /* TIMER_ABSTIME */

enum notify {
	NOTIFY_SIGNAL, /* SIGEV_SIGNAL, SIGEV_THREAD: to the process */
	NOTIFY_NONE,
	NOTIFY_THREAD, /* what libc makes of SIGEV_THREAD never comes here */
	NOTIFY_TASK = 4
};

enum timer_state { STATE_IDLE, STATE_ARMED, STATE_SENT };

struct posix_timer {
	struct timer timer; /* first: found again by its address */
	struct posix_timer *next;
	struct signal_node *node; /* its signal in a queue */
	struct signal_user *user; /* charged with that */
	u32 number;
	u32 notify; /* enum notify */
	u32 tid;    /* of NOTIFY_TASK */
	u32 state;  /* enum timer_state */
	s32 signal;
	bool is_ignored; /* sent, but nobody was to hear it */
	u64 value;
	s64 overrun, overrun_told;
};

/* The kernel's struct sigevent. */
struct app_event {
	u64 value;
	s32 signal, notify, tid, unused[11];
};
_Static_assert(sizeof(struct app_event) == 64, "kernel layout");

static struct posix_timer **bucket_of(u32 proc, u32 number)
{
	return &SIGNALS->procs[proc].posix_timers[number % POSIX_TIMER_BUCKETS];
}

static struct posix_timer *timer_find(const struct task *t, u64 number)
{
	struct posix_timer *p;

	if (signal_proc_of(t)->posix_timers == NULL)
		return NULL;
	p = *bucket_of(t->proc, (u32)number);
	while (p != NULL && p->number != (u32)number)
		p = p->next;
	return p;
}

/* ---- the signal ---- */

static void send(struct posix_timer *p)
{
	u32 proc = p->timer.owner;
	struct task *target = p->notify == NOTIFY_TASK ? proc_find_tid(proc, p->tid) : NULL;
	struct k_siginfo info = {
		.signo = p->signal, .code = SIG_SI_TIMER, .pid = (s32)p->number, .value = p->value};

	p->is_ignored = false;
	if (p->node != NULL)
		p->node->is_void = false;
	else if (p->notify != NOTIFY_TASK || target != NULL)
		p->is_ignored = !signal_send_timer(p, proc, target, &info, &p->node);
}

void posix_timer_due(struct timer *timer)
{
	struct posix_timer *p = (struct posix_timer *)timer;

	p->state = timer->interval_ns != 0 ? STATE_SENT : STATE_IDLE;
	send(p);
}

void posix_timer_taken(struct posix_timer *p, struct k_siginfo *info)
{
	p->node = NULL;
	if (p->state != STATE_SENT)
		return;
	p->overrun += (s64)timer_forward(&p->timer);
	p->overrun_told = p->overrun;
	p->overrun = OVERRUN_FIRST;
	p->state = STATE_ARMED;
	timer_arm(&p->timer);
	info->overrun = (s32)(p->overrun_told < OVERRUN_MAX ? p->overrun_told : OVERRUN_MAX);
}

void posix_timer_dropped(struct posix_timer *p, bool for_good)
{
	p->node = NULL;
	p->is_ignored = p->state == STATE_SENT && !for_good;
}

void posix_timers_unignored(u32 proc, int sig)
{
	struct posix_timer **buckets = SIGNALS->procs[proc].posix_timers;

	for (u32 i = 0; buckets != NULL && i < POSIX_TIMER_BUCKETS; i++) {
		for (struct posix_timer *p = buckets[i]; p != NULL; p = p->next) {
			if (p->is_ignored && p->signal == sig && p->state == STATE_SENT)
				send(p);
		}
	}
}

/* ---- life ---- */

static void timer_free(struct posix_timer *p)
{
	timer_disarm(&p->timer);
	if (p->node != NULL) {
		p->node->is_void = true;
		p->node->timer = NULL;
	}
	signal_uncharge(p->user);
	heap_free(p);
}

void posix_timers_drop(u32 proc)
{
	struct signal_proc *state = &SIGNALS->procs[proc];

	for (u32 i = 0; state->posix_timers != NULL && i < POSIX_TIMER_BUCKETS; i++) {
		while (state->posix_timers[i] != NULL) {
			struct posix_timer *p = state->posix_timers[i];

			state->posix_timers[i] = p->next;
			timer_free(p);
		}
	}
	heap_free(state->posix_timers);
	state->posix_timers = NULL;
}

static void timer_link(struct posix_timer *p)
{
	struct signal_proc *state = &SIGNALS->procs[p->timer.owner];
	struct posix_timer **bucket;

	if (state->posix_timers == NULL)
		state->posix_timers = heap_alloc(POSIX_TIMER_BUCKETS * sizeof(*bucket));
	bucket = bucket_of(p->timer.owner, p->number);
	p->next = *bucket;
	*bucket = p;
}

/* ---- timer_create, timer_delete ---- */

/* What the app wants to be told of; without an event SIGALRM with the timer's number. */
static long event_in(struct task *t, u64 addr, struct app_event *ret)
{
	if (addr == 0) {
		*ret = (struct app_event){.signal = SIG_ALRM};
		return 0;
	}
	if (user_get(*ret, addr) < 0)
		return -EFAULT;
	digest_bytes(t, ret, offsetof(struct app_event, unused));
	return 0;
}

static bool event_is_good(const struct task *t, const struct app_event *event)
{
	switch (event->notify) {
	case NOTIFY_TASK:
		if (event->tid <= 0 || proc_find_tid(t->proc, (u32)event->tid) == NULL)
			return false;
		__attribute__((fallthrough));
	case NOTIFY_SIGNAL:
	case NOTIFY_THREAD:
		return event->signal > 0 && event->signal <= SIG_MAX;
	default:
		return event->notify == NOTIFY_NONE;
	}
}

/* A number is used up even if the timer then is not made. */
static u32 next_number(struct task *t)
{
	struct signal_proc *state = signal_proc_of(t);
	u32 number;

	do
		number = state->timer_number++ & NUMBER_MASK;
	while (timer_find(t, number) != NULL);
	return number;
}

static void timer_make(struct task *t, u32 number, const struct clock *clock,
		       const struct app_event *event, struct signal_user *user)
{
	struct posix_timer *p = heap_alloc(sizeof(*p));

	p->timer.use = TIMER_OF_POSIX;
	p->timer.owner = t->proc;
	p->timer.clock = *clock;
	p->user = user;
	p->number = number;
	p->notify = (u32)event->notify;
	p->signal = event->signal;
	p->tid = (u32)event->tid;
	p->value = event->value;
	p->overrun = OVERRUN_FIRST;
	timer_link(p);
}

static long timer_create(struct task *t, const struct clock *clock, struct app_event *event,
			 bool by_default, u64 number_addr)
{
	struct signal_user *user = signal_charge(t->proc, false);
	long error = 0;

	if (user == NULL)
		return -EAGAIN;
	u32 number = next_number(t);
	if (by_default)
		event->value = number;
	if (!event_is_good(t, event))
		error = -EINVAL;
	else if (user_put(number_addr, number) < 0)
		error = -EFAULT;
	else
		digest_u64(t, number);
	/* Known of an alarm clock only now: it needs an RTC. */
	if (error == 0 && clock->use & CLOCK_HIDDEN)
		error = -EOPNOTSUPP;
	if (error < 0) {
		signal_uncharge(user);
		return error;
	}
	timer_make(t, number, clock, event, user);
	return 0;
}

long sys_timer_create(struct task *t, struct frame *f)
{
	struct app_event event;
	struct clock clock;
	long error = event_in(t, f->arg[1], &event);

	if (error == 0)
		error = clock_find_for(t, (s32)f->arg[0], CLOCK_TIMES | CLOCK_HIDDEN, &clock);
	if (error < 0)
		return error;
	return timer_create(t, &clock, &event, f->arg[1] == 0, f->arg[2]);
}

long sys_timer_delete(struct task *t, struct frame *f)
{
	struct posix_timer *p = timer_find(t, f->arg[0]), **link;

	if (p == NULL)
		return -EINVAL;
	link = bucket_of(t->proc, p->number);
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	timer_free(p);
	return 0;
}

/* ---- timer_settime and what it tells ---- */

static bool is_deadline_set(const struct posix_timer *p)
{
	return p->state != STATE_IDLE || (p->notify == NOTIFY_NONE && p->timer.deadline_ns != 0);
}

static struct timer_spec timer_value(struct posix_timer *p)
{
	struct timer_spec now = {p->timer.interval_ns, 0};

	if (!is_deadline_set(p))
		return now;
	if (p->timer.interval_ns != 0 && p->state != STATE_ARMED)
		p->overrun += (s64)timer_forward(&p->timer);
	now.value_ns = timer_left_ns(&p->timer);
	/* Due, but the event is not over: not yet 0. */
	if (now.value_ns == 0 && p->notify != NOTIFY_NONE)
		now.value_ns = 1;
	return now;
}

static void timer_set(struct posix_timer *p, const struct timer_spec *new, bool absolute)
{
	struct timer *timer = &p->timer;

	timer_disarm(timer);
	if (p->node != NULL)
		p->node->is_void = true;
	p->state = STATE_IDLE;
	p->overrun = OVERRUN_FIRST;
	p->overrun_told = 0;
	timer->interval_ns = new->value_ns != 0 ? new->interval_ns : 0;
	/* As in Linux, one that only tells time goes on to do so when it is disarmed. */
	if (new->value_ns != 0 || clock_is_cpu(&timer->clock))
		timer->deadline_ns = new->value_ns;
	if (new->value_ns == 0)
		return;
	if (!absolute)
		timer->deadline_ns = timer_add_ns(timer_clock_ns(timer), new->value_ns);
	if (p->notify == NOTIFY_NONE)
		return;
	p->state = STATE_ARMED;
	timer_arm(timer);
}

long sys_timer_settime(struct task *t, struct frame *f)
{
	struct timer_spec new, old;
	struct posix_timer *p;
	long error = f->arg[2] == 0 ? -EINVAL : timer_spec_in(t, f->arg[2], &new);

	if (error < 0)
		return error;
	p = timer_find(t, f->arg[0]);
	if (p == NULL)
		return -EINVAL;
	old = timer_value(p);
	timer_set(p, &new, f->arg[1] & ABSOLUTE);
	return f->arg[3] != 0 ? timer_spec_out(t, f->arg[3], &old) : 0;
}

long sys_timer_gettime(struct task *t, struct frame *f)
{
	struct posix_timer *p = timer_find(t, f->arg[0]);

	if (p == NULL)
		return -EINVAL;
	struct timer_spec now = timer_value(p);
	return timer_spec_out(t, f->arg[1], &now);
}

long sys_timer_getoverrun(struct task *t, struct frame *f)
{
	struct posix_timer *p = timer_find(t, f->arg[0]);

	if (p == NULL)
		return -EINVAL;
	return p->overrun_told < OVERRUN_MAX ? p->overrun_told : OVERRUN_MAX;
}
