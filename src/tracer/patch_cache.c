/*
 * See patch_cache.h.  Owns nothing but the folder, which all containers of the user share.
 *
 * An entry is a file named by 128 bits of XXH3 over everything its patches depend on:
 *	0	u32	magic "SPCH"
 *	4	u32	patches
 *	8	u32	hopeless sites
 *	12	u32	bytes of the stub area handed out
 *	16	u64	XXH3 of the bytes 0 to 15 and what follows
 *	24		struct patch each; u32 each
 *
 * An alias is a file named "a" and 128 bits over the state of a file (device, inode, size, times);
 * it holds the name of the entry for its bytes.
 *
 * Its layout is that of the patch table: an entry of another build has another name.  Bytes to be
 * written into code come from it, so it is taken only from a folder nobody else may write to; the
 * shim compares the bytes each patch replaces before it applies any.
 */
#include "patch_cache.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/cache_folder.h"

#define ENTRY_MAGIC    0x48435053u /* "SPCH" */
#define TOTAL_MAX      (64ull << 20)
#define BUILD_MAX      64
#define NAME_LENGTH    32 /* of an entry's name, without the NUL */
#define SETTLE_SECONDS 2

struct entry_head {
	uint32_t magic, patches, dead_sites, stub_used;
	uint64_t sum;
};

struct build_id {
	uint8_t bytes[BUILD_MAX];
	size_t size;
};

struct patch_cache {
	struct cache_folder *folder;
};

/* The first GNU build-id among the notes of the program itself, which the loader lists first. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct build_id *id = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const uint8_t *at = (const uint8_t *)(info->dlpi_addr + ph->p_vaddr);
		const uint8_t *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && (size_t)(end - at) > sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)at;
			const uint8_t *desc = at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);

			if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= BUILD_MAX) {
				id->size = note->n_descsz;
				memcpy(id->bytes, desc, id->size);
				return 1;
			}
			at = desc + ((note->n_descsz + 3) & ~3u);
		}
	}
	return 1;
}

static const struct build_id *build_id(void)
{
	static struct build_id id;

	if (id.size == 0)
		dl_iterate_phdr(find_build_id, &id);
	return &id;
}

int patch_cache_open(struct patch_cache **ret_cache)
{
	struct patch_cache *cache;
	int error;

	if (build_id()->size == 0)
		return -ENOTSUP;
	cache = calloc(1, sizeof(*cache));
	error = cache == NULL ? -ENOMEM
			      : cache_folder_open(NULL, "patches", TOTAL_MAX, &cache->folder);
	if (error < 0) {
		free(cache);
		return error;
	}
	*ret_cache = cache;
	return 0;
}

void patch_cache_close(struct patch_cache *cache)
{
	if (cache == NULL)
		return;
	cache_folder_close(cache->folder);
	free(cache);
}

static void name_start(XXH3_state_t *state, const struct patch_key *key)
{
	const struct build_id *id = build_id();

	XXH3_INITSTATE(state);
	XXH3_128bits_reset(state);
	XXH3_128bits_update(state, id->bytes, id->size);
	XXH3_128bits_update(state, &key->file_off, sizeof(key->file_off));
	XXH3_128bits_update(state, &key->length, sizeof(key->length));
	XXH3_128bits_update(state, &key->distance, sizeof(key->distance));
}

static void name_end(const XXH3_state_t *state, const char *prefix, char ret_name[64])
{
	XXH128_hash_t hash = XXH3_128bits_digest(state);

	snprintf(ret_name, 64, "%s%016jx%016jx", prefix, (uintmax_t)hash.high64,
		 (uintmax_t)hash.low64);
}

void patch_cache_name(const void *file, const struct patch_key *key, char ret_name[64])
{
	XXH3_state_t state;

	name_start(&state, key);
	XXH3_128bits_update(&state, file, key->size);
	name_end(&state, "", ret_name);
}

static void alias_name(const struct patch_key *key, char ret_name[64])
{
	const uint64_t state_of_file[] = {key->dev, key->ino, key->size, key->mtime_ns,
					  key->ctime_ns};
	XXH3_state_t state;

	name_start(&state, key);
	XXH3_128bits_update(&state, state_of_file, sizeof(state_of_file));
	name_end(&state, "a", ret_name);
}

bool patch_cache_alias(struct patch_cache *cache, const struct patch_key *key, char ret_name[64])
{
	char alias[64], name[NAME_LENGTH];

	alias_name(key, alias);
	int fd = cache_folder_find(cache->folder, alias);
	if (fd < 0)
		return false;
	bool found = read(fd, name, sizeof(name)) == sizeof(name) &&
		     memchr(name, '/', sizeof(name)) == NULL;
	if (found) {
		memcpy(ret_name, name, sizeof(name));
		ret_name[sizeof(name)] = '\0';
	}
	close(fd);
	return found;
}

static bool settled(uint64_t time_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec > time_ns / 1000000000u + SETTLE_SECONDS;
}

void patch_cache_alias_store(struct patch_cache *cache, const struct patch_key *key,
			     const char *name)
{
	struct iovec part = {(char *)(uintptr_t)name, NAME_LENGTH};
	char alias[64];

	if (strlen(name) != NAME_LENGTH || !settled(key->mtime_ns) || !settled(key->ctime_ns))
		return;
	alias_name(key, alias);
	cache_folder_store(cache->folder, alias, &part, 1);
}

static uint64_t sum_of(const struct entry_head *head, const void *body, size_t size)
{
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, head, offsetof(struct entry_head, sum));
	XXH3_64bits_update(&state, body, size);
	return XXH3_64bits_digest(&state);
}

static size_t body_size(const struct entry_head *head)
{
	return head->patches * sizeof(struct patch) + head->dead_sites * sizeof(uint32_t);
}

/* The entry's bytes behind the head, checked; NULL if it is not right. */
static uint8_t *entry_read(int fd, struct entry_head *head)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || read(fd, head, sizeof(*head)) != sizeof(*head) ||
	    head->magic != ENTRY_MAGIC || head->patches > PATCH_POOL_MAX ||
	    head->stub_used > PATCH_STUB_SIZE ||
	    (uint64_t)st.st_size != sizeof(*head) + body_size(head))
		return NULL;
	size_t size = body_size(head);
	uint8_t *body = malloc(size + 1);
	if (body != NULL &&
	    (read(fd, body, size) != (ssize_t)size || sum_of(head, body, size) != head->sum)) {
		free(body);
		return NULL;
	}
	return body;
}

static bool take(const struct entry_head *head, const uint8_t *body, struct patch_file *file,
		 uint32_t **ret_dead_sites, size_t *ret_dead_count)
{
	const struct patch *patches = (const struct patch *)(const void *)body;
	size_t dead_size = head->dead_sites * sizeof(uint32_t);
	uint32_t *dead = malloc(dead_size + 1);

	if (dead == NULL || PATCHES->patch_count > PATCH_POOL_MAX - head->patches) {
		free(dead);
		return false;
	}
	for (uint32_t i = 0; i < head->patches; i++)
		patch_append(PATCHES, file, &patches[i]);
	file->stub_used = head->stub_used;
	memcpy(dead, &patches[head->patches], dead_size);
	*ret_dead_sites = dead;
	*ret_dead_count = head->dead_sites;
	return true;
}

bool patch_cache_load(struct patch_cache *cache, const char *name, struct patch_file *file,
		      uint32_t **ret_dead_sites, size_t *ret_dead_count)
{
	struct entry_head head;
	bool found = false;
	int fd = cache_folder_find(cache->folder, name);

	if (fd < 0)
		return false;
	uint8_t *body = entry_read(fd, &head);
	if (body != NULL)
		found = take(&head, body, file, ret_dead_sites, ret_dead_count);
	free(body);
	close(fd);
	return found;
}

void patch_cache_store(struct patch_cache *cache, const char *name, const struct patch_file *file,
		       const uint32_t *dead_sites, size_t dead_count)
{
	struct entry_head head = {.magic = ENTRY_MAGIC,
				  .dead_sites = (uint32_t)dead_count,
				  .stub_used = file->stub_used};
	size_t count = file->count <= PATCH_POOL_MAX ? file->count : 0;
	uint8_t *body = malloc(count * sizeof(struct patch) + dead_count * sizeof(uint32_t) + 1);
	const struct patch *patch = patch_at(PATCHES, file->first);

	if (body == NULL)
		return;
	struct patch *patches = (struct patch *)(void *)body;
	for (; patch != NULL && head.patches < count; patch = patch_at(PATCHES, patch->next)) {
		patches[head.patches] = *patch;
		patches[head.patches++].next = 0;
	}
	if (dead_count != 0)
		memcpy(&patches[head.patches], dead_sites, dead_count * sizeof(uint32_t));
	head.sum = sum_of(&head, body, body_size(&head));
	struct iovec parts[] = {{&head, sizeof(head)}, {body, body_size(&head)}};
	cache_folder_store(cache->folder, name, parts, 2);
	free(body);
}
