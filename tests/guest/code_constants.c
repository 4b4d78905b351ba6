/*
 * Constants that look like code, in a segment that is executable since its linker kept everything
 * that is not written in one: they are what they were written as.
 */
#include <link.h>
#include "check.h"

#define NOPS 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90
#define MANY NOPS, NOPS, NOPS, NOPS, NOPS, NOPS, NOPS, NOPS, NOPS, NOPS

/* A note, which lies before all functions: cpuid, rdtscp, rdrand, xgetbv, pause. */
static const struct {
	unsigned name_size, size, type;
	char name[4];
	unsigned char bytes[494];
} note __attribute__((section(".note.constants"), used)) = {
	4,
	494,
	1,
	"abc",
	{MANY, 0x0f, 0xa2, MANY, 0x0f, 0x01, 0xf9, MANY, 0x0f, 0xc7, 0xf0, MANY, 0x0f, 0x01, 0xd0,
	 MANY, 0xf3, 0x90, MANY},
};

/* Whether the program's segment with the note is executable: else this proves nothing. */
static int look_for_note(struct dl_phdr_info *info, size_t size, void *ret)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t at = (uintptr_t)&note - info->dlpi_addr - p->p_vaddr;

		if (p->p_type == PT_LOAD && at < p->p_memsz)
			*(int *)ret = (p->p_flags & PF_X) != 0;
	}
	return 0;
}

int main(void)
{
	const volatile unsigned char *bytes = note.bytes;
	unsigned sum = 0;
	int executable = 0;

	dl_iterate_phdr(look_for_note, &executable);
	CHECK(executable);
	for (size_t i = 0; i < sizeof(note.bytes); i++)
		sum = sum * 31 + bytes[i];
	printf("%zu bytes, %08x\n", sizeof(note.bytes), sum);
	return 0;
}
