/*
 * See disasm.h.  Capstone (4.0) writes through NULL where it gets no memory, in half a dozen
 * places. So it always gets some, or the process ends; the container ends with it, and a log is
 * good to its last whole epoch, as if the tool had been killed.
 */
#include "disasm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUR_FAILURE 125

static void *checked(void *at, size_t size)
{
	if (at != NULL || size == 0)
		return at;
	fprintf(stderr, "%s: memory ran out while instructions were decoded\n",
		program_invocation_short_name);
	_exit(OUR_FAILURE);
}

static void *take(size_t size)
{
	return checked(malloc(size), size);
}

static void *take_zeroed(size_t count, size_t size)
{
	return checked(calloc(count, size), count * size);
}

static void *take_more(void *at, size_t size)
{
	return checked(realloc(at, size), size);
}

int disasm_open(csh *ret_handle)
{
	cs_opt_mem memory = {take, take_zeroed, take_more, free, vsnprintf};

	cs_option(0, CS_OPT_MEM, (size_t)&memory);
	if (cs_open(CS_ARCH_X86, CS_MODE_64, ret_handle) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(*ret_handle, CS_OPT_DETAIL, CS_OPT_ON);
	return 0;
}

cs_insn *disasm_one(csh handle, const uint8_t *bytes, size_t size, uint64_t address)
{
	cs_insn *insn;

	return cs_disasm(handle, bytes, size, address, 1, &insn) == 1 ? insn : NULL;
}
