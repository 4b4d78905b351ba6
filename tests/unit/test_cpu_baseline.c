/*
 * Processor baselines: the levels show what logs were made with, text and back is the same, and
 * text that no tool of ours writes is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "tracer/cpu_baseline.h"

/* Logs depend on these: a level may never show anything else. */
static void check_levels(void)
{
	static const struct {
		uint32_t c1, d1, b7, c81, d81, components, xsave_bytes;
	} levels[] = {
		{0, 0x0f8bfbff, 0, 0, 0x28100800, 3, 576},
		{0x00982201, 0x0f8bfbff, 0, 1, 0x28100800, 3, 576},
		{0x3cd83201, 0x0f8bfbff, 0x128, 0x21, 0x28100800, 7, 832},
	};

	for (uint32_t level = 1; level <= CPU_LEVEL_MAX; level++) {
		struct region_cpu cpu;
		cpu_baseline_level(level, &cpu);
		CHECK(cpu.words[CPU_1C] == levels[level - 1].c1);
		CHECK(cpu.words[CPU_1D] == levels[level - 1].d1);
		CHECK(cpu.words[CPU_7B] == levels[level - 1].b7);
		CHECK(cpu.words[CPU_81C] == levels[level - 1].c81);
		CHECK(cpu.words[CPU_81D] == levels[level - 1].d81);
		CHECK(cpu.words[CPU_D1A] == (level < 3 ? 0 : 3));
		CHECK(cpu.words[CPU_7C] == 0 && cpu.words[CPU_7D] == 0);
		CHECK(cpu.words[CPU_71A] == 0 && cpu.words[CPU_71D] == 0);
		CHECK(cpu.components == levels[level - 1].components);
		CHECK(cpu.xsave_bytes == levels[level - 1].xsave_bytes);
	}
}

static void check_names(void)
{
	static const char *const names[] = {"x86-64-v1", "x86-64-v2", "x86-64-v3", "native"};
	struct region_cpu cpu;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CHECK(cpu_baseline_named(names[i], &cpu) == 0);
		CHECK(strcmp(cpu_baseline_name(&cpu), names[i]) == 0);
	}
	CHECK(cpu_baseline_named(NULL, &cpu) == 0);
	CHECK(cpu.level == cpu_baseline_machine_level());
	CHECK(cpu_baseline_named("x86-64-v4", &cpu) == -EINVAL);
	CHECK(cpu_baseline_named("", &cpu) == -EINVAL);
}

static void check_text(void)
{
	struct region_cpu cpu, again;
	char text[CPU_TEXT_MAX], bad[CPU_TEXT_MAX + 32];

	cpu_baseline_native(&cpu);
	cpu_baseline_features(&cpu, text);
	CHECK(strlen(text) + 1 < CPU_TEXT_MAX);
	CHECK(cpu_baseline_parse(text, &again) == 0);
	CHECK(memcmp(&cpu, &again, sizeof(cpu)) == 0);
	/* Cut anywhere it is another text or none. */
	for (size_t cut = 0; cut < strlen(text); cut++) {
		memcpy(bad, text, cut);
		bad[cut] = '\0';
		if (cpu_baseline_parse(bad, &again) == 0)
			CHECK(memcmp(&cpu, &again, sizeof(cpu)) != 0);
	}
	static const char *const tails[] = {" 2:256:576", " 7:4000:576", " 9:8:2688", " 5:64:1088",
					    " 2:0:576",	  " 2:256:0",	 " x",	      ","};
	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		snprintf(bad, sizeof(bad), "%.89s%s%s", text, i == 0 ? " 2:256:576" : "", tails[i]);
		CHECK(cpu_baseline_parse(bad, &again) == -EBADMSG);
	}
}

static void check_missing(void)
{
	struct region_cpu cpu;
	char text[512];

	cpu_baseline_native(&cpu);
	CHECK(!cpu_baseline_missing(&cpu, text, sizeof(text)) && text[0] == '\0');
	cpu_baseline_level(cpu_baseline_machine_level(), &cpu);
	CHECK(!cpu_baseline_missing(&cpu, text, sizeof(text)));
	/* No processor has both, AMD's and Intel's. */
	cpu_baseline_native(&cpu);
	cpu.words[CPU_81C] |= 1u << 6;
	cpu.words[CPU_71A] |= 1u << 1;
	CHECK(cpu_baseline_missing(&cpu, text, sizeof(text)));
	CHECK(strstr(text, "sse4a") != NULL || strstr(text, "sm3") != NULL);
	CHECK(cpu_baseline_missing(&cpu, text, 3) && strlen(text) < 3);
	cpu_baseline_native(&cpu);
	cpu.component[2].offset += 64;
	CHECK(cpu_baseline_missing(&cpu, text, sizeof(text)) == ((cpu.components & CPU_AVX) != 0));
}

int main(void)
{
	check_levels();
	check_names();
	check_text();
	check_missing();
	return 0;
}
