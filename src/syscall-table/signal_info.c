/*
 * What the fields of a siginfo mean, by signal and code (kernel/signal.c, siginfo_layout).  Owns
 * nothing.
 */
#include "../shim/signal.h"

#define CODE_KERNEL SIG_SI_KERNEL
#define CODE_SIGIO  -5
#define CODE_LEAST  -7	/* SI_DETHREAD */
#define CODE_LOOKUP -60 /* SI_ASYNCNL */
#define POLL_CODES  6

/* Signals whose positive codes are their own: how many, and what they tell. */
static const struct {
	u8 codes, layout;
} own_codes[SIG_SYS + 1] = {
	[SIG_ILL] = {11, SIGNAL_INFO_FAULT},	   [SIG_FPE] = {15, SIGNAL_INFO_FAULT},
	[SIG_SEGV] = {10, SIGNAL_INFO_FAULT},	   [SIG_BUS] = {5, SIGNAL_INFO_FAULT},
	[SIG_TRAP] = {6, SIGNAL_INFO_FAULT},	   [SIG_CHLD] = {6, SIGNAL_INFO_CHILD},
	[SIG_IO] = {POLL_CODES, SIGNAL_INFO_POLL}, [SIG_SYS] = {2, SIGNAL_INFO_CALL},
};

static bool has_own(s32 sig)
{
	return sig > 0 && sig <= SIG_SYS && own_codes[sig].codes != 0;
}

enum signal_info_layout signal_info_layout(const struct k_siginfo *info)
{
	s32 sig = info->signo, code = info->code;

	if (code > 0 && code < CODE_KERNEL) {
		if (has_own(sig) && code <= own_codes[sig].codes)
			return own_codes[sig].layout;
		return code <= POLL_CODES ? SIGNAL_INFO_POLL : SIGNAL_INFO_KILL;
	}
	if (code == SIG_SI_TIMER)
		return SIGNAL_INFO_TIMER;
	if (code == CODE_SIGIO)
		return SIGNAL_INFO_POLL;
	return code < 0 ? SIGNAL_INFO_QUEUE : SIGNAL_INFO_KILL;
}

bool signal_info_known(const struct k_siginfo *info)
{
	s32 sig = info->signo, code = info->code;

	if (code == CODE_KERNEL)
		return true;
	if (code > 0)
		return code <= (has_own(sig) ? own_codes[sig].codes : POLL_CODES);
	return code >= CODE_LEAST || code == CODE_LOOKUP;
}
