/*
 * The cache folder keeps what was used last within its limit, drops what killed processes left,
 * and takes no folder that others may write to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cache_folder.h"
#include "check.h"

#define LIMIT (64u << 10)
#define ENTRY (8u << 10)
#define COUNT 20

static char folder[] = "/tmp/cache-folder-XXXXXX";

static void entry_name(int i, char name[CACHE_NAME_SIZE])
{
	snprintf(name, CACHE_NAME_SIZE, "entry-%d", i);
}

static void set_age(struct cache_folder *cache, const char *name, time_t seconds)
{
	struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
	int fd = cache_folder_find(cache, name);

	CHECK(fd >= 0 && !futimens(fd, times) && !close(fd));
}

static bool is_there(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static void make_file(const char *name, time_t age_seconds)
{
	char path[256];
	struct timespec times[2] = {{time(NULL) - age_seconds, 0}, {time(NULL) - age_seconds, 0}};

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && !futimens(fd, times) && !close(fd));
}

/* Entry `i` was used i hours ago; the last 8 fit. */
static void check_limit(void)
{
	static uint8_t bytes[ENTRY];
	struct iovec parts[2] = {{bytes, 100}, {bytes + 100, ENTRY - 100}};
	char name[CACHE_NAME_SIZE];
	struct cache_folder *cache;

	CHECK(!cache_folder_open(folder, "unused", LIMIT, &cache));
	for (int i = 0; i < COUNT; i++) {
		entry_name(i, name);
		cache_folder_store(cache, name, parts, 2);
		set_age(cache, name, 3600 * i + 60);
	}
	make_file(".new-old", 7200);
	make_file(".new-young", 10);
	cache_folder_close(cache);
	for (int i = 0; i < COUNT; i++) {
		entry_name(i, name);
		CHECK(is_there(name) == (i < 8));
	}
	CHECK(!is_there(".new-old") && is_there(".new-young"));
}

/* What is found counts as used. */
static void check_use(void)
{
	struct iovec part = {(void *)"new", 3};
	struct cache_folder *cache;
	char name[CACHE_NAME_SIZE];

	CHECK(!cache_folder_open(folder, "unused", LIMIT - ENTRY + 3, &cache));
	entry_name(7, name);
	close(cache_folder_find(cache, name));
	for (unsigned stored = 0; stored < LIMIT / 64; stored += 3)
		cache_folder_store(cache, "new", &part, 1);
	cache_folder_close(cache);
	CHECK(is_there(name) && is_there("new"));
	entry_name(6, name);
	CHECK(!is_there(name));
}

static void check_foreign(void)
{
	struct cache_folder *cache;

	CHECK(!chmod(folder, 0777) && cache_folder_open(folder, "unused", LIMIT, &cache) == -EPERM);
	CHECK(!chmod(folder, 0700));
}

static void remove_all(void)
{
	char name[CACHE_NAME_SIZE], path[256];

	for (int i = -2; i < COUNT; i++) {
		entry_name(i, name);
		snprintf(path, sizeof(path), "%s/%s", folder,
			 i == -2   ? ".new-young"
			 : i == -1 ? "new"
				   : name);
		unlink(path);
	}
	CHECK(!rmdir(folder));
}

int main(void)
{
	CHECK(mkdtemp(folder));
	check_limit();
	check_use();
	check_foreign();
	remove_all();
	return 0;
}
