/* From an address of a stopped task to function, source file and line. */
#ifndef SHADOW_INSPECT_CODE_PLACE_H
#define SHADOW_INSPECT_CODE_PLACE_H

#include "task_view.h"

struct code_places;

/* Strings live as long as the code_places; NULL and 0 where not known. */
struct code_place {
	const char *function;
	uint64_t function_start; /* in memory */
	const char *file;	 /* of the source */
	int line;
	const char *object;  /* path of the mapped file, of the view */
	uint64_t object_off; /* in the object, as linked */
};

/* 0 or -ENOMEM.  The view must live as long. */
int code_places_create(const struct task_view *view, struct code_places **ret_places);
void code_places_destroy(struct code_places *places);

void code_place_find(struct code_places *places, uint64_t address, struct code_place *ret_place);

#endif
