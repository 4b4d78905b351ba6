/*
 * Yield points: instructions, named by object and address, behind which a task gives up its turn if
 * others are runnable.  They belong to the configuration.
 */
#ifndef SHADOW_TRACER_YIELD_POINT_H
#define SHADOW_TRACER_YIELD_POINT_H

#include <stdbool.h>
#include <stddef.h>

#include "../shim/shim_abi.h"

#define YIELD_TEXT_MAX (YIELD_OBJECT_MAX + 20)

/*
 * "OBJECT+OFFSET": the object's path, or the last part of it; the address as linked, which objdump
 * and addr2line show, hexadecimal with or without 0x.  0 or -EINVAL.
 */
int yield_point_parse(const char *text, size_t size, struct region_yield *ret_point);
void yield_point_print(const struct region_yield *point, char text[YIELD_TEXT_MAX]);

/* A list with commas, as in a log's configuration.  0 or -EINVAL. */
int yield_points_parse(const char *text, struct region_config *config);

/* Whether the point lies in the file of that path inside. */
bool yield_point_is_in(const struct region_yield *point, const char *path);

#endif
