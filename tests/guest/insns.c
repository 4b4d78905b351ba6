/*
 * Every instruction that would show the host: rdtsc, rdtscp, rdrand, rdseed, cpuid, xgetbv, and
 * rdpid where the processor shown has it. Registers an instruction does not write must survive.
 */
#include <cpuid.h>
#include <x86intrin.h>
#include <stdint.h>
#include <string.h>
#include "check.h"

static void print_tsc(void)
{
	unsigned int aux;
	uint64_t first = __rdtsc(), second = __rdtsc(), third = __rdtscp(&aux);

	CHECK(second > first && third > second);
	printf("tsc %lu +%lu +%lu aux %u\n", first, second - first, third - second, aux);
}

/* rdrand and rdseed in all widths; the carry flag says success, the others are cleared. */
static void print_random(void)
{
	uint64_t r64 = 0, s64 = 0;
	uint32_t r32 = 0;
	uint16_t r16 = 0;
	unsigned char ok;

	__asm__ volatile("rdrand %0; setc %1" : "=r"(r64), "=qm"(ok) : : "cc");
	CHECK(ok);
	__asm__ volatile("rdrand %0; setc %1" : "=r"(r32), "=qm"(ok) : : "cc");
	CHECK(ok);
	__asm__ volatile("rdrand %0; setc %1" : "=r"(r16), "=qm"(ok) : : "cc");
	CHECK(ok);
	__asm__ volatile("rdseed %0; setc %1" : "=r"(s64), "=qm"(ok) : : "cc");
	printf("rdrand %016lx %08x %04x rdseed %d %016lx\n", r64, r32, r16, ok, s64);
}

static void print_cpuid(void)
{
	unsigned int a, b, c, d, leaf;
	uint32_t low, high;

	for (leaf = 0; leaf <= 1; leaf++) {
		__cpuid(leaf, a, b, c, d);
		printf("cpuid %u: %08x %08x %08x %08x\n", leaf, a, b, c, d);
	}
	__cpuid_count(7, 0, a, b, c, d);
	printf("cpuid 7: %08x %08x %08x\n", b, c, d);
	__cpuid_count(0xb, 0, a, b, c, d);
	printf("cpuid b: %08x %08x %08x %08x\n", a, b, c, d);
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	printf("xcr0 %08x%08x\n", high, low);
}

/* The red zone and the registers around a trapped or patched instruction stay as they are. */
static void check_registers(void)
{
	uint64_t r11 = 0x1122334455667788, out = 0, rest = 0;

	__asm__ volatile("mov %2, %%r11\n\t"
			 "mov %%r11, -64(%%rsp)\n\t"
			 "rdtsc\n\t"
			 "mov %%r11, %0\n\t"
			 "mov -64(%%rsp), %1"
			 : "=&r"(out), "=&r"(rest)
			 : "r"(r11)
			 : "rax", "rdx", "r11", "memory");
	CHECK(out == r11 && rest == r11);
}

/* What the host's processor alone could answer. */
static void execute_refused(const char *name)
{
	unsigned value = 0;

	printf("before\n");
	fflush(stdout);
	if (!strcmp(name, "lsl"))
		__asm__ volatile("lsl %1, %0" : "+r"(value) : "r"(0x7b) : "cc");
	else if (!strcmp(name, "rdfsbase"))
		__asm__ volatile("rdfsbase %0" : "+r"(*(uint64_t *)&(uint64_t){0}));
	else
		__asm__ volatile("mov $1, %%ecx\n\ttpause %%ecx" : : "a"(0), "d"(0) : "ecx", "cc");
	printf("after %u\n", value);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		execute_refused(argv[1]);
		return 0;
	}
	print_tsc();
	print_random();
	print_cpuid();
	check_registers();
	return 0;
}
