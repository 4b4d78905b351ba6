/*
 * The constants of the log's wire format. Byte tables are in docs/log-format.md.
 */
#ifndef SHADOW_LOG_EVLOG_FORMAT_H
#define SHADOW_LOG_EVLOG_FORMAT_H

/* Written, and the least that is read.  When it is raised, and what each brought: Versions there.
 */
#define EVLOG_FORMAT_VERSION 2
#define EVLOG_FORMAT_LEAST   1

/* Any of 0x184D2A50..5F is a zstd skippable frame; ours is always this one. */
#define EVLOG_SKIPPABLE_MAGIC 0x184D2A5Eu
#define EVLOG_SECTION_MAGIC   0x474F4C53u /* "SLOG" */

#define EVLOG_SECTION_HEADER_SIZE  48
#define EVLOG_SKIPPABLE_FRAME_SIZE 8

#define EVLOG_HASH_SIZE 32
#define EVLOG_SEED_SIZE 32
#define EVLOG_PATH_MAX	4095

/* Key and value of the configuration of a log that names files without holding their contents. */
#define EVLOG_KEY_IMAGE	  "image"
#define EVLOG_KEY_MOUNTS  "mounts"
#define EVLOG_IMAGE_NAMES "names"

enum evlog_section_type {
	EVLOG_SECTION_HEADER = 1,
	EVLOG_SECTION_HOST = 2,
	EVLOG_SECTION_IMAGE = 3,
	EVLOG_SECTION_BLOBS = 4,
	EVLOG_SECTION_EPOCH = 5,
	EVLOG_SECTION_CHAIN = 6,
	EVLOG_SECTION_EVENTS = 7,
	EVLOG_SECTION_OUTPUTS = 8,
	EVLOG_SECTION_INDEX = 9,
	EVLOG_SECTION_END = 10,
	EVLOG_SECTION_TYPES
};

/* Kinds of record in the directory of a BLOBS section. */
enum evlog_blob_record {
	EVLOG_BLOB_WHOLE = 1, /* a whole blob: hash, length */
	EVLOG_BLOB_CHUNK = 2, /* the next piece of the open blob: length */
	EVLOG_BLOB_LAST = 3,  /* closes the open blob: hash, size */
};

#define EVLOG_MIB (1024u * 1024u)

/* A payload below this is stored as it is: packing the first takes 0.1 ms, which is what the
 * header of a short program is. */
#define EVLOG_PACK_MIN 8192

/* Limits of one section, raw; the writer refuses what the reader would. */
#define EVLOG_SMALL_LIMIT (16u * EVLOG_MIB)
#define EVLOG_LARGE_LIMIT (64u * EVLOG_MIB)

#endif
