/*
 * Which of the accesses of an instruction failed.  The rows were taken from a processor: what it
 * says in the error code of the fault.  Registers hold addresses far from each other.
 */
#include <string.h>

#include "check.h"
#include "tracer/insn_decode.h"
#include "tracer/insn_write.h"

enum { AX = 0x10000, SI = 0x20000, DI = 0x30000, SP = 0x40000, BP = 0x60000 };

static const struct row {
	const char *bytes;
	uint64_t addr;
	bool write;
} rows[] = {
	{"\x00\x00", AX, true},			 /* add %al, (%rax) */
	{"\x02\x00", AX, false},		 /* add (%rax), %al */
	{"\x38\x00", AX, false},		 /* cmp %al, (%rax) */
	{"\x80\x00\x01", AX, true},		 /* addb $1, (%rax) */
	{"\x80\x38\x01", AX, false},		 /* cmpb $1, (%rax) */
	{"\x87\x00", AX, true},			 /* xchg %eax, (%rax) */
	{"\x88\x00", AX, true},			 /* mov %al, (%rax) */
	{"\x8a\x00", AX, false},		 /* mov (%rax), %al */
	{"\x8c\xd8", AX, false},		 /* mov %ds, %eax */
	{"\xc1\x00\x01", AX, true},		 /* roll $1, (%rax) */
	{"\xf6\x00\x01", AX, false},		 /* testb $1, (%rax) */
	{"\xf6\x10", AX, true},			 /* notb (%rax) */
	{"\xf6\x20", AX, false},		 /* mulb (%rax) */
	{"\xff\x00", AX, true},			 /* incl (%rax) */
	{"\xff\x20", AX, false},		 /* jmp *(%rax) */
	{"\xff\x10", AX, false},		 /* call *(%rax): what to call */
	{"\xff\x10", SP - 8, true},		 /* and the return address */
	{"\xff\x30", AX, false},		 /* push (%rax) */
	{"\xff\x30", SP - 8, true},		 /* */
	{"\x50", SP - 8, true},			 /* push %rax */
	{"\xe8\0\0\0\0", SP - 1, true},		 /* call */
	{"\xc3", SP, false},			 /* ret */
	{"\x58", SP, false},			 /* pop %rax */
	{"\x8f\x00", SP + 7, false},		 /* pop (%rax) */
	{"\x8f\x00", AX, true},			 /* */
	{"\xc8\x10\x20\x00", SP - 8, true},	 /* enter */
	{"\xc8\x10\x20\x02", BP - 8, false},	 /* enter, with what it copies */
	{"\xa4", SI, false},			 /* movsb */
	{"\xa4", DI, true},			 /* */
	{"\xf3\x48\xa5", DI + 7, true},		 /* rep movsq */
	{"\xaa", DI, true},			 /* stosb */
	{"\xae", DI, false},			 /* scasb */
	{"\xd9\x18", AX, true},			 /* fstps (%rax) */
	{"\xd9\x00", AX, false},		 /* flds (%rax) */
	{"\xdb\x38", AX, true},			 /* fstpt (%rax) */
	{"\x0f\x11\x00", AX, true},		 /* movups %xmm0, (%rax) */
	{"\x0f\x10\x00", AX, false},		 /* movups (%rax), %xmm0 */
	{"\xf3\x0f\x7e\x00", AX, false},	 /* movq (%rax), %xmm0 */
	{"\x66\x0f\x7e\x00", AX, true},		 /* movd %xmm0, (%rax) */
	{"\x66\x0f\xd6\x00", AX, true},		 /* movq %xmm0, (%rax) */
	{"\xf3\x0f\xe6\x00", AX, false},	 /* cvtdq2pd (%rax), %xmm0 */
	{"\x0f\x94\x00", AX, true},		 /* sete (%rax) */
	{"\xf0\x0f\xb1\x08", AX, true},		 /* lock cmpxchg %ecx, (%rax) */
	{"\x48\x0f\xc7\x08", AX, true},		 /* cmpxchg16b (%rax) */
	{"\x0f\xba\x20\x01", AX, false},	 /* btl $1, (%rax) */
	{"\x0f\xba\x28\x01", AX, true},		 /* btsl $1, (%rax) */
	{"\x0f\xae\x18", AX, true},		 /* stmxcsr (%rax) */
	{"\x66\x0f\xae\x30", AX, false},	 /* clwb (%rax) */
	{"\x0f\x38\xf1\x00", AX, true},		 /* movbe %eax, (%rax) */
	{"\xf2\x0f\x38\xf1\x00", AX, false},	 /* crc32l (%rax), %eax */
	{"\xc5\xfc\x11\x00", AX, true},		 /* vmovups %ymm0, (%rax) */
	{"\xc5\xfc\x10\x00", AX, false},	 /* vmovups (%rax), %ymm0 */
	{"\xc4\xe3\x7d\x39\x00\x01", AX, true},	 /* vextracti128 */
	{"\x62\xf1\x7c\x48\x11\x00", AX, true},	 /* vmovups %zmm0, (%rax) */
	{"\x62\xf1\x7c\x48\x10\x00", AX, false}, /* vmovups (%rax), %zmm0 */
};

int main(void)
{
	const struct user_regs_struct regs = {
		.rax = AX, .rsi = SI, .rdi = DI, .rsp = SP, .rbp = BP};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t bytes[INSN_LENGTH_MAX + 1] = {0};
		struct insn insn;

		/* A string ends before a zero; all that follows are zeros, too. */
		memcpy(bytes, rows[i].bytes, strlen(rows[i].bytes));
		CHECK(insn_decode(bytes, INSN_LENGTH_MAX, &insn) == 0);
		bool right = insn_writes(bytes, &insn, &regs, rows[i].addr) == rows[i].write;
		if (!right)
			fprintf(stderr, "row %zu\n", i);
		CHECK(right);
	}
	return failures != 0;
}
