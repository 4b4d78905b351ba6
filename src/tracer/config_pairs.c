/* See config_pairs.h.  What is parsed comes from a log and is checked like any other bytes of it.
 */
#include "config_pairs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/sha256.h"

static const char *const stdio_names[] = {"closed", "null", "file", "pipe", "tty"};

static void add(struct config_pairs *p, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(struct config_pairs *p, const char *key, const char *format, ...)
{
	va_list ap;
	char *text = p->text[p->count];

	va_start(ap, format);
	vsnprintf(text, sizeof(p->text[0]), format, ap);
	va_end(ap);
	p->at[2 * p->count] = key;
	p->at[2 * p->count + 1] = text;
	p->count++;
}

static void add_groups(struct config_pairs *p, const struct region_config *c)
{
	char text[512] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < c->ngroups && i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? "," : "",
					c->groups[i]);
	add(p, "groups", "%s", text);
}

void config_pairs_make(const struct region_config *c, uint64_t seed, const char *program,
		       const struct config_stdin *in, struct config_pairs *p)
{
	p->count = 0;
	add(p, "baseline", "x86-64-v%u", c->cpu_level);
	add(p, "cpus", "%u", c->cpus);
	add(p, "egid", "%u", c->egid);
	add(p, "epoch-events", "%" PRIu64, c->epoch_events);
	add(p, "euid", "%u", c->euid);
	add(p, "gid", "%u", c->gid);
	add_groups(p, c);
	add(p, "memory", "%" PRIu64, c->memory_bytes);
	add(p, "program", "%s", program);
	add(p, "seed", "%" PRIu64, seed);
	add(p, "slice", "%" PRIu64, c->slice_events);
	add(p, "start-time-ns", "%" PRIu64, c->start_time_ns);
	add(p, "stderr", "%s", stdio_names[c->stdio_kind[2]]);
	add(p, "stdin", "%s", stdio_names[c->stdio_kind[0]]);
	if (in != NULL) {
		add(p, "stdin-offset", "%" PRIu64, in->offset);
		add(p, "stdin-path", "%s", in->path);
	}
	add(p, "stdout", "%s", stdio_names[c->stdio_kind[1]]);
	add(p, "time-step-ns", "%" PRIu64, c->time_step_ns);
	add(p, "uid", "%u", c->uid);
	add(p, "umask", "%o", c->umask);
}

void config_seed(uint64_t seed, uint8_t out[32])
{
	sha256_of(&seed, sizeof(seed), out);
}

struct parse {
	const struct evlog_reader *reader;
	const char *bad;
};

static uint64_t number(struct parse *p, const char *key, int base, uint64_t least, uint64_t most)
{
	const char *text = evlog_reader_config(p->reader, key);
	char *end;

	if (text == NULL || *text < '0' || *text > '9') {
		p->bad = key;
		return least;
	}
	errno = 0;
	uint64_t v = strtoull(text, &end, base);
	if (errno != 0 || *end != '\0' || v < least || v > most)
		p->bad = key;
	return v;
}

static uint32_t stdio_kind(struct parse *p, const char *key)
{
	const char *text = evlog_reader_config(p->reader, key);

	for (uint32_t i = 0; text != NULL && i < sizeof(stdio_names) / sizeof(*stdio_names); i++) {
		if (strcmp(text, stdio_names[i]) == 0)
			return i;
	}
	p->bad = key;
	return 0;
}

static void groups(struct parse *p, struct region_config *c)
{
	const char *text = evlog_reader_config(p->reader, "groups");

	if (text == NULL) {
		p->bad = "groups";
		return;
	}
	while (*text != '\0' && c->ngroups < 64) {
		char *end;
		c->groups[c->ngroups++] = (uint32_t)strtoul(text, &end, 10);
		if (end == text) {
			p->bad = "groups";
			return;
		}
		text = *end == ',' ? end + 1 : end;
	}
}

static const char *const known[] = {
	"baseline",	"cpus",	      "egid",	"epoch-events", "euid",		 "gid",	   "groups",
	"memory",	"program",    "seed",	"slice",	"start-time-ns", "stderr", "stdin",
	"stdin-offset", "stdin-path", "stdout", "time-step-ns", "uid",		 "umask",
};

static const char *unknown_key(const struct evlog_pairs *pairs)
{
	for (size_t i = 0; i < pairs->pair_count; i++) {
		bool found = false;

		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			found = found || strcmp(pairs->at[2 * i], known[k]) == 0;
		if (!found)
			return pairs->at[2 * i];
	}
	return NULL;
}

int config_pairs_parse(const struct evlog_reader *reader, struct region_config *c,
		       const char **ret_bad)
{
	struct parse p = {reader, unknown_key(&evlog_reader_header(reader)->config)};
	const char *baseline = evlog_reader_config(reader, "baseline");

	c->cpus = (uint32_t)number(&p, "cpus", 10, 1, 255);
	c->epoch_events = number(&p, "epoch-events", 10, 1, (uint64_t)CHAIN_MAX * CHAIN_EVENTS);
	c->egid = (uint32_t)number(&p, "egid", 10, 0, UINT32_MAX - 1);
	c->euid = (uint32_t)number(&p, "euid", 10, 0, UINT32_MAX - 1);
	c->gid = (uint32_t)number(&p, "gid", 10, 0, UINT32_MAX - 1);
	c->uid = (uint32_t)number(&p, "uid", 10, 0, UINT32_MAX - 1);
	c->memory_bytes = number(&p, "memory", 10, 1 << 20, 1ull << 46);
	config_seed(number(&p, "seed", 10, 0, UINT64_MAX), c->seed);
	c->slice_events = number(&p, "slice", 10, 1, UINT64_MAX);
	c->start_time_ns = number(&p, "start-time-ns", 10, 0, INT64_MAX);
	c->time_step_ns = number(&p, "time-step-ns", 10, 1, 1ull << 40);
	c->umask = (uint32_t)number(&p, "umask", 8, 0, 0777);
	c->stdio_kind[0] = stdio_kind(&p, "stdin");
	c->stdio_kind[1] = stdio_kind(&p, "stdout");
	c->stdio_kind[2] = stdio_kind(&p, "stderr");
	groups(&p, c);
	if (baseline == NULL || strncmp(baseline, "x86-64-v", 8) != 0 || baseline[8] < '1' ||
	    baseline[8] > '3' || baseline[9] != '\0')
		p.bad = "baseline";
	else
		c->cpu_level = (uint32_t)(baseline[8] - '0');
	*ret_bad = p.bad;
	return p.bad != NULL ? -EBADMSG : 0;
}

int config_stdin_parse(const struct evlog_reader *reader, struct config_stdin *ret)
{
	struct parse p = {reader, NULL};
	const char *path = evlog_reader_config(reader, "stdin-path");
	uint64_t offset = number(&p, "stdin-offset", 10, 0, INT64_MAX);

	if (path == NULL || path[0] != '/' || strlen(path) >= sizeof(ret->path) || p.bad != NULL)
		return -ENOENT;
	strcpy(ret->path, path);
	ret->offset = offset;
	return 0;
}
