/* The parser of shadow-replay, likewise. */
#define main shadow_replay_main
int shadow_replay_main(int argc, char **argv);
#include "../../tools/shadow-replay/shadow_replay.c"
#undef main

#include "options.h"

void options_replay(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "", "", NULL, NULL, NULL};
	struct command c = {0};

	event_filter_init(&c.filter);
	argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &c);
}
