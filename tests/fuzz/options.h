/* The tools' own parsers of options, called without their ending the process. */
#ifndef SHADOW_FUZZ_OPTIONS_H
#define SHADOW_FUZZ_OPTIONS_H

/* argv[0] is the tool; argc words and a NULL. */
void options_trace(int argc, char **argv);
void options_replay(int argc, char **argv);

#endif
