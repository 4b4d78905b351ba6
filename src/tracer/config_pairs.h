/* The configuration of a container as keys and values of a log's header (docs/log-format.md). */
#ifndef SHADOW_TRACER_CONFIG_PAIRS_H
#define SHADOW_TRACER_CONFIG_PAIRS_H

#include "../log/evlog_reader.h"
#include "../shim/shim_abi.h"

#define CONFIG_PAIRS_MAX 40
#define CONFIG_TEXT_MAX	 0x28000 /* a path for each of them, and more */

struct config_pairs {
	const char *at[CONFIG_PAIRS_MAX * 2];
	size_t count;
	size_t used; /* of text */
	char text[CONFIG_TEXT_MAX];
};

/* Fills *ret from the configuration; program is the path found for argv[0]; names_only: the log
 * names files without holding them; mounts: as mounts_list gives them, in use as long as *ret is.
 * Keys come out sorted. */
void config_pairs_make(const struct region_config *config, uint64_t seed, const char *program,
		       bool names_only, const char *mounts, struct config_pairs *ret);

/* The way back; *ret_bad names a key that is missing or not understood.  0 or -EBADMSG. */
int config_pairs_parse(const struct evlog_reader *reader, struct region_config *ret,
		       const char **ret_bad);

/* The 32-byte seed a number stands for. */
void config_seed(uint64_t seed, uint8_t out[32]);

#endif
