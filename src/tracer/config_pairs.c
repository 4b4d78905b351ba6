/* See config_pairs.h.  What is parsed comes from a log and is checked like any other bytes of it.
 */
#include "config_pairs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/sha256.h"
#include "cpu_baseline.h"
#include "yield_point.h"

static const char *const stdio_names[] = {"closed", "null", "file", "pipe", "tty", "full"};

/* Keys of one stream, sorted as they stand in the header. */
enum stdio_key { KEY_KIND, KEY_FLAGS, KEY_OFFSET, KEY_PATH, KEY_SAME, STDIO_KEYS };
static const char *const stdio_keys[3][STDIO_KEYS] = {
	{"stdin", "stdin-flags", "stdin-offset", "stdin-path", "stdin-same"},
	{"stdout", "stdout-flags", "stdout-offset", "stdout-path", "stdout-same"},
	{"stderr", "stderr-flags", "stderr-offset", "stderr-path", "stderr-same"},
};

static void add(struct config_pairs *p, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(struct config_pairs *p, const char *key, const char *format, ...)
{
	va_list ap;
	char *text = p->text + p->used;

	va_start(ap, format);
	p->used += (size_t)vsnprintf(text, sizeof(p->text) - p->used, format, ap) + 1;
	va_end(ap);
	p->at[2 * p->count] = key;
	p->at[2 * p->count + 1] = text;
	p->count++;
}

/* Of any length: `value` stays the caller's. */
static void add_long(struct config_pairs *p, const char *key, const char *value)
{
	p->at[2 * p->count] = key;
	p->at[2 * p->count + 1] = value;
	p->count++;
}

static void add_groups(struct config_pairs *p, const struct region_config *c)
{
	char text[CONFIG_GROUPS_MAX * sizeof(",4294967295")] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < c->ngroups; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? "," : "",
					c->groups[i]);
	add(p, "groups", "%s", text);
}

/* "r", "w" or "rw", and "a" for appending. */
static void add_flags(struct config_pairs *p, const char *key, uint32_t flags)
{
	static const char *const access[] = {"r", "w", "rw", "rw"};

	add(p, key, "%s%s", access[flags & O_ACCMODE], flags & O_APPEND ? "a" : "");
}

static void add_stdio(struct config_pairs *p, const struct region_config *c, uint32_t fd)
{
	const struct region_stdio *s = &c->stdio[fd];
	const char *const *keys = stdio_keys[fd];

	add(p, keys[KEY_KIND], "%s", stdio_names[s->kind]);
	if (s->kind != STDIO_CLOSED)
		add_flags(p, keys[KEY_FLAGS], s->flags);
	if (s->kind == STDIO_FILE) {
		add(p, keys[KEY_OFFSET], "%" PRIu64, s->offset);
		if (s->path[0] != '\0')
			add(p, keys[KEY_PATH], "%s", s->path);
	}
	if (s->same != fd)
		add(p, keys[KEY_SAME], "%u", s->same);
}

static void add_features(struct config_pairs *p, const struct region_cpu *cpu)
{
	char text[CPU_TEXT_MAX];

	cpu_baseline_features(cpu, text);
	add(p, "cpu-features", "%s", text);
}

/* Only if there are any, so that logs without them are as they were. */
static void add_yields(struct config_pairs *p, const struct region_config *c)
{
	char all[YIELD_POINTS_MAX * YIELD_TEXT_MAX] = "", one[YIELD_TEXT_MAX];
	size_t len = 0;

	for (uint64_t i = 0; i < c->yield_count && i < YIELD_POINTS_MAX; i++) {
		yield_point_print(&c->yields[i], one);
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? "," : "", one);
	}
	if (len != 0)
		add(p, "yield-at", "%s", all);
}

void config_pairs_make(const struct region_config *c, uint64_t seed, const char *program,
		       bool names_only, const char *mounts, struct config_pairs *p)
{
	p->count = p->used = 0;
	add(p, "baseline", "%s", cpu_baseline_name(&c->cpu));
	if (c->cpu.level == CPU_NATIVE)
		add_features(p, &c->cpu);
	add(p, "cpus", "%u", c->cpus);
	add(p, "egid", "%u", c->egid);
	add(p, "epoch-events", "%" PRIu64, c->epoch_events);
	add(p, "euid", "%u", c->euid);
	add(p, "gid", "%u", c->gid);
	add_groups(p, c);
	if (names_only)
		add(p, EVLOG_KEY_IMAGE, EVLOG_IMAGE_NAMES);
	add(p, "memory", "%" PRIu64, c->memory_bytes);
	/* Only if there are any. */
	if (mounts[0] != '\0')
		add_long(p, EVLOG_KEY_MOUNTS, mounts);
	/* Only if so, as that of yields. */
	if (c->partial_root)
		add(p, "partial-root", "1");
	add(p, "program", "%s", program);
	add(p, "seed", "%" PRIu64, seed);
	add(p, "slice", "%" PRIu64, c->slice_events);
	add(p, "start-time-ns", "%" PRIu64, c->start_time_ns);
	add_stdio(p, c, 2);
	add_stdio(p, c, 0);
	add_stdio(p, c, 1);
	add(p, "time-step-ns", "%" PRIu64, c->time_step_ns);
	add(p, "tty-columns", "%u", c->tty_cols);
	add(p, "tty-rows", "%u", c->tty_rows);
	add(p, "uid", "%u", c->uid);
	add(p, "umask", "%o", c->umask);
	add_yields(p, c);
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

static uint32_t stdio_flags(struct parse *p, const char *key)
{
	static const char *const words[] = {"r", "w", "rw", "ra", "wa", "rwa"};
	const char *text = evlog_reader_config(p->reader, key);

	for (uint32_t i = 0; text != NULL && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(text, words[i]) == 0)
			return i % 3 | (i < 3 ? 0 : O_APPEND);
	}
	p->bad = key;
	return 0;
}

/* Its path is walked as any other of the log when it is opened. */
static void stdio_path(struct parse *p, const char *key, char path[STDIO_PATH_MAX])
{
	const char *text = evlog_reader_config(p->reader, key);

	if (text == NULL)
		return;
	if (text[0] == '/' && strlen(text) < STDIO_PATH_MAX)
		strcpy(path, text);
	else
		p->bad = key;
}

static void stdio(struct parse *p, struct region_config *c, uint32_t fd)
{
	const char *const *keys = stdio_keys[fd];
	struct region_stdio *s = &c->stdio[fd];

	memset(s, 0, sizeof(*s));
	s->kind = stdio_kind(p, keys[KEY_KIND]);
	s->same = fd;
	if (s->kind != STDIO_CLOSED)
		s->flags = stdio_flags(p, keys[KEY_FLAGS]);
	if (s->kind == STDIO_FILE) {
		s->offset = number(p, keys[KEY_OFFSET], 10, 0, INT64_MAX);
		stdio_path(p, keys[KEY_PATH], s->path);
	}
	if (evlog_reader_config(p->reader, keys[KEY_SAME]) == NULL)
		return;
	s->same = (uint32_t)number(p, keys[KEY_SAME], 10, 0, 1);
	if (s->same >= fd || c->stdio[s->same].kind != s->kind)
		p->bad = keys[KEY_SAME];
}

static void groups(struct parse *p, struct region_config *c)
{
	const char *text = evlog_reader_config(p->reader, "groups");

	if (text == NULL) {
		p->bad = "groups";
		return;
	}
	while (*text != '\0') {
		char *end;
		unsigned long id = strtoul(text, &end, 10);
		if (end == text || c->ngroups == CONFIG_GROUPS_MAX) {
			p->bad = "groups";
			return;
		}
		c->groups[c->ngroups++] = (uint32_t)id;
		text = *end == ',' ? end + 1 : end;
	}
}

static void baseline(struct parse *p, struct region_config *c)
{
	const char *name = evlog_reader_config(p->reader, "baseline");
	const char *features = evlog_reader_config(p->reader, "cpu-features");

	if (name == NULL || cpu_baseline_named(name, &c->cpu) < 0)
		p->bad = "baseline";
	else if ((c->cpu.level == CPU_NATIVE) != (features != NULL) ||
		 (features != NULL && cpu_baseline_parse(features, &c->cpu) < 0))
		p->bad = "cpu-features";
}

static const char *const known[] = {
	"baseline",	  "cpu-features", "cpus",    "egid",	      "epoch-events",
	"euid",		  "gid",	  "groups",  EVLOG_KEY_IMAGE, "memory",
	EVLOG_KEY_MOUNTS, "partial-root", "program", "seed",	      "slice",
	"start-time-ns",  "stderr",	  "stdin",   "stdout",	      "time-step-ns",
	"tty-columns",	  "tty-rows",	  "uid",     "umask",	      "yield-at",
};

static bool is_known(const char *key)
{
	for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++) {
		if (strcmp(key, known[k]) == 0)
			return true;
	}
	for (size_t k = 0; k < sizeof(stdio_keys) / sizeof(**stdio_keys); k++) {
		if (strcmp(key, (&stdio_keys[0][0])[k]) == 0)
			return true;
	}
	return false;
}

static const char *unknown_key(const struct evlog_pairs *pairs)
{
	for (size_t i = 0; i < pairs->pair_count; i++) {
		if (!is_known(pairs->at[2 * i]))
			return pairs->at[2 * i];
	}
	return NULL;
}

int config_pairs_parse(const struct evlog_reader *reader, struct region_config *c,
		       const char **ret_bad)
{
	struct parse p = {reader, unknown_key(&evlog_reader_header(reader)->config)};
	const char *image = evlog_reader_config(reader, EVLOG_KEY_IMAGE);

	if (image != NULL && strcmp(image, EVLOG_IMAGE_NAMES) != 0)
		p.bad = EVLOG_KEY_IMAGE;
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
	c->tty_rows = (uint32_t)number(&p, "tty-rows", 10, 0, 65535);
	c->tty_cols = (uint32_t)number(&p, "tty-columns", 10, 0, 65535);
	c->partial_root = evlog_reader_config(reader, "partial-root") != NULL &&
			  number(&p, "partial-root", 10, 1, 1);
	for (uint32_t fd = 0; fd < 3; fd++)
		stdio(&p, c, fd);
	groups(&p, c);
	const char *yields = evlog_reader_config(reader, "yield-at");
	if (yields != NULL && yield_points_parse(yields, c) < 0)
		p.bad = "yield-at";
	baseline(&p, c);
	*ret_bad = p.bad;
	return p.bad != NULL ? -EBADMSG : 0;
}
