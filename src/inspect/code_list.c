/*
 * See code_list.h.  Instructions cannot be found backwards, so decoding starts at the function's
 * first one; without a function, at the system call itself.
 */
#include "code_list.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define BEFORE	      5
#define AFTER	      3
#define INSN_MOST     15
#define SYSCALL_BYTES 2
#define FUNCTION_MOST 0x4000 /* a longer way to the place is not decoded */

struct code_bytes {
	uint64_t address;
	size_t size;
	uint8_t bytes[FUNCTION_MOST + 64];
};

static void read_code(const struct task_view *view, struct code_bytes *code)
{
	const struct task_mapping *map = task_view_mapping(view, code->address);
	int fd = map != NULL ? task_view_file(view, map) : -1;
	ssize_t n = -1;

	if (map != NULL && code->size > map->end - code->address)
		code->size = map->end - code->address;
	if (fd >= 0) {
		n = pread(fd, code->bytes, code->size,
			  (off_t)(code->address - map->start + map->file_off));
		close(fd);
	}
	if (n < 0 && task_view_read(view, code->address, code->bytes, code->size))
		n = (ssize_t)code->size;
	code->size = n > 0 ? (size_t)n : 0;
}

static json_t *insn_json(const cs_insn *insn, bool here)
{
	char bytes[2 * INSN_MOST + 1] = "";

	for (int i = 0; i < insn->size && i < INSN_MOST; i++)
		snprintf(bytes + 2 * i, 3, "%02x", insn->bytes[i]);
	return json_pack("{s:o, s:s, s:o, s:b}", "address",
			 json_sprintf("%#" PRIx64, insn->address), "bytes", bytes, "text",
			 json_sprintf("%s%s%s", insn->mnemonic, insn->op_str[0] != '\0' ? " " : "",
				      insn->op_str),
			 "here", here);
}

static void decode(csh handle, const struct code_bytes *code, uint64_t address, bool faulted,
		   json_t *list)
{
	cs_insn *insn = cs_malloc(handle);
	const uint8_t *at = code->bytes;
	size_t left = code->size, after = 0;
	uint64_t next = code->address;

	while (insn != NULL && after < AFTER && cs_disasm_iter(handle, &at, &left, &next, insn)) {
		bool here = faulted ? insn->address == address : next == address;

		after += insn->address >= address;
		json_array_append_new(list, insn_json(insn, here));
		if (json_array_size(list) > BEFORE + after)
			json_array_remove(list, 0);
	}
	if (insn != NULL)
		cs_free(insn, 1);
}

json_t *code_list(const struct task_view *view, const struct code_place *place, uint64_t address,
		  bool faulted)
{
	static struct code_bytes code;
	uint64_t from = place->function_start;
	json_t *list = json_array();
	csh handle;

	if (from == 0 || address < from || address - from > FUNCTION_MOST)
		from = faulted ? address : address - SYSCALL_BYTES;
	code = (struct code_bytes){.address = from,
				   .size = address - from + (size_t)AFTER * INSN_MOST};
	read_code(view, &code);
	if (list != NULL && cs_open(CS_ARCH_X86, CS_MODE_64, &handle) == CS_ERR_OK) {
		decode(handle, &code, address, faulted, list);
		cs_close(&handle);
	}
	return list;
}
