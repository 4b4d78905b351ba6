/*
 * A program without an interpreter: its argument, environment and pid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *home = getenv("HOME");

	printf("static %d %s home %s pid %d\n", argc, argc > 1 ? argv[1] : "-", home ? home : "-",
	       getpid());
	return 42;
}
