/* The parser of shadow-trace run and record is static in the tool: it is compiled into here. */
#define main shadow_trace_main
int shadow_trace_main(int argc, char **argv);
#include "../../tools/shadow-trace/shadow_trace.c"
#undef main

#include "options.h"

static void options_parse(int argc, char **argv, bool record)
{
	static const struct argp argp = {options, parse, "", "", NULL, NULL, NULL};
	struct command c = {.record = record};

	c.set = calloc((size_t)argc + 1, sizeof(*c.set));
	if (c.set == NULL)
		return;
	defaults(&c);
	if (argp_parse(&argp, argc, argv,
		       ARGP_IN_ORDER | ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &c) == 0) {
		c.session.env = env_make(&c);
		free((void *)c.session.env);
	}
	free(c.set);
}

void options_trace(int argc, char **argv)
{
	options_parse(argc, argv, false);
	options_parse(argc, argv, true);
}
