/* shadow-trace doctor: is everything here that a container needs? */
#ifndef SHADOW_TOOLS_DOCTOR_H
#define SHADOW_TOOLS_DOCTOR_H

/*
 * argv[0] is the word doctor, then its options.  One line a check on stdout, with the remedy for
 * what is missing; --json: an object.  0 if all that is needed is there, 1 if not, 125 for a usage
 * error.
 */
int doctor_main(int argc, char **argv);

#endif
