/* handler: a signal's handler that makes a system call; for the stack that is seen from there. */
#include <signal.h>
#include <unistd.h>
#include "check.h"

static void handler(int sig)
{
	CHECK(sig == SIGUSR1 && write(1, "handler\n", 8) == 8);
}

static void __attribute__((noinline)) raiser(void)
{
	CHECK(raise(SIGUSR1) == 0);
	CHECK(getpid() > 0);
}

int main(void)
{
	CHECK(signal(SIGUSR1, handler) != SIG_ERR);
	raiser();
	return 0;
}
