/* From an address as linked, in a file that is not mapped, to function, source file and line. */
#ifndef SHADOW_INSPECT_FILE_PLACE_H
#define SHADOW_INSPECT_FILE_PLACE_H

#include <stdint.h>
#include <stdio.h>

/* Prints "FUNCTION (FILE:LINE)", or what of it is known.  0; 1 if nothing is. */
int file_place_print(const char *path, uint64_t address, FILE *out);

#endif
