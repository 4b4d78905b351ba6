/*
 * The image: a tree is captured, written, read and unpacked, and is the same; outside writers are
 * noticed; contents come from the cache; what the container made itself stays out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "log/evlog_reader.h"
#include "log/evlog_writer.h"
#include "log/image_capture.h"
#include "log/image_sink.h"
#include "log/image_unpack.h"

static char folder[] = "/tmp/shadow-test-image-XXXXXX";

/* Paths below the folder, a few at a time. */
static const char *at(const char *name)
{
	static char paths[8][256];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const void *bytes, size_t size)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0640);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* Bytes that do not compress to nothing. */
static uint8_t *make_bytes(size_t size, uint32_t seed)
{
	uint8_t *bytes = malloc(size);

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = "abcdefghijklmnop"[seed >> 28];
	}
	return bytes;
}

static void write_made(const char *name, size_t size, uint32_t seed)
{
	uint8_t *bytes = make_bytes(size, seed);

	write_file(name, bytes, size);
	free(bytes);
}

static struct evlog_writer *start_log(const char *name)
{
	static const char *argv[] = {"prog"};
	struct evlog_header header = {.argv = {argv, 1}, .cwd = "/"};
	struct evlog_pairs host = {NULL, 0};
	struct evlog_writer *writer = NULL;

	CHECK(!evlog_writer_create(at(name), &header, &host, &writer));
	return writer;
}

static struct image_capture *start_capture(struct evlog_writer *writer, const char *cache)
{
	struct image_capture_options options = {.cache_folder = cache ? at(cache) : NULL,
						.no_cache = !cache};
	struct image_capture *capture = NULL;

	CHECK(!image_capture_create(writer, &options, &capture));
	return capture;
}

static void want(struct image_capture *capture, const char *path, enum image_want kind, bool follow)
{
	struct image_request request = {.path = path, .want = kind, .follow = follow};

	CHECK(!image_capture_submit(capture, &request));
}

static void end_log(struct evlog_writer *writer)
{
	struct evlog_epoch epoch = {.number = 0};
	struct evlog_end end = {0};

	CHECK(!evlog_writer_epoch_append(writer, &epoch));
	CHECK(!evlog_writer_finish(writer, &end));
	evlog_writer_destroy(writer);
}

static struct evlog_reader *open_log(const char *name)
{
	struct evlog_reader *reader = NULL;

	CHECK(!evlog_reader_open(at(name), NULL, &reader));
	CHECK(evlog_reader_state(reader) == EVLOG_WHOLE);
	return reader;
}

static void make_tree(void)
{
	CHECK(!mkdir(at("src"), 0755));
	CHECK(!mkdir(at("src/sub"), 0750));
	write_made("src/small", 3000, 1);
	write_made("src/same", 3000, 1);
	write_made("src/edge", IMAGE_SMALL_MAX, 2);
	write_made("src/big", 3 * IMAGE_CHUNK_MAX + 5, 3);
	write_made("src/sub/only-stat", 12345, 4);
	write_file("src/empty", "", 0);
	write_file("src/unseen", "unseen", 6);
	CHECK(!chmod(at("src/small"), 0555));
	CHECK(!link(at("src/small"), at("src/sub/hard")));
	CHECK(!symlink("sub", at("src/link")));
	CHECK(!symlink("link/../small", at("src/way")));
	CHECK(!symlink("loop", at("src/loop")));
	CHECK(!mkfifo(at("src/fifo"), 0600));
}

static void submit_tree(struct image_capture *capture)
{
	want(capture, at("src"), IMAGE_WANT_LISTING, true);
	want(capture, at("src/small"), IMAGE_WANT_METADATA, true);
	want(capture, at("src//./small"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/same"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/edge"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/big"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/empty"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/link/only-stat"), IMAGE_WANT_METADATA, true);
	want(capture, at("src/link/hard"), IMAGE_WANT_METADATA, true);
	want(capture, at("src/way"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/link"), IMAGE_WANT_METADATA, false);
	want(capture, at("src/loop"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/fifo"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/nothing/below"), IMAGE_WANT_CONTENT, true);
	want(capture, at("src/gone"), IMAGE_WANT_ABSENT, true);
	want(capture, at("src/small/no"), IMAGE_WANT_METADATA, true);
}

struct unpacked {
	size_t count;
	uint64_t hard_ino[2];
};

static int note_unpacked(void *arg, const struct image_entry *entry, uint64_t dev, uint64_t ino)
{
	struct unpacked *unpacked = arg;

	CHECK(dev && ino);
	unpacked->count++;
	if (strstr(entry->path, "/src/small"))
		unpacked->hard_ino[0] = ino;
	if (strstr(entry->path, "/src/sub/hard"))
		unpacked->hard_ino[1] = ino;
	return 0;
}

/* The unpacked form of a path of the source. */
static const char *out(const char *name)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/out%s/%s", folder, folder, name);
	return path;
}

static bool same_bytes(const char *left, const char *right)
{
	FILE *a = fopen(left, "r"), *b = fopen(right, "r");
	int c = 0, d = 0;

	while (a && b && c == d && c != EOF) {
		c = getc(a);
		d = getc(b);
	}
	if (a)
		fclose(a);
	if (b)
		fclose(b);
	return a && b && c == d;
}

static void check_unpacked(const struct unpacked *unpacked)
{
	char target[64] = "";
	struct stat st;

	CHECK(same_bytes(at("src/small"), out("src/small")));
	CHECK(same_bytes(at("src/same"), out("src/same")));
	CHECK(same_bytes(at("src/edge"), out("src/edge")));
	CHECK(same_bytes(at("src/big"), out("src/big")));
	CHECK(same_bytes(at("src/small"), out("src/sub/hard")));
	CHECK(same_bytes(at("src/small"), out("src/way")));
	CHECK(unpacked->hard_ino[0] && unpacked->hard_ino[0] == unpacked->hard_ino[1]);
	CHECK(!stat(out("src/empty"), &st) && !st.st_size);
	CHECK(!stat(out("src/sub/only-stat"), &st) && st.st_size == 12345);
	CHECK(st.st_blocks == 0);
	CHECK(!stat(out("src/unseen"), &st) && !st.st_size);
	CHECK(!stat(out("src/fifo"), &st) && S_ISFIFO(st.st_mode));
	CHECK(!stat(out("src/small"), &st) && (st.st_mode & 0777) == 0755);
	CHECK(!stat(out("src/sub"), &st) && (st.st_mode & 0777) == 0750);
	CHECK(readlink(out("src/link"), target, sizeof(target)) == 3 && !strcmp(target, "sub"));
	CHECK(lstat(out("src/gone"), &st) && errno == ENOENT);
	CHECK(lstat(out("src/nothing"), &st) && errno == ENOENT);
}

static void check_tree(const struct image_tree *tree)
{
	const struct image_entry *entry;
	struct stat st;

	CHECK(!stat(at("src/small"), &st));
	entry = image_tree_find(tree, at("src/small"));
	CHECK(entry && entry->kind == IMAGE_FILE && entry->mode == st.st_mode);
	CHECK(entry && entry->mtime_sec == st.st_mtim.tv_sec && entry->ino == st.st_ino);
	CHECK(entry && entry->mtime_nsec == st.st_mtim.tv_nsec && entry->nlink == 2);
	entry = image_tree_find(tree, at("src"));
	CHECK(entry && entry->kind == IMAGE_LISTING);
	entry = image_tree_find(tree, at("src/nothing"));
	CHECK(entry && entry->kind == IMAGE_ABSENT);
	entry = image_tree_find(tree, at("src/gone"));
	CHECK(entry && entry->kind == IMAGE_ABSENT);
	CHECK(!image_tree_find(tree, at("src/nothing/below")));
	entry = image_tree_find(tree, "/");
	CHECK(entry && entry->kind == IMAGE_DIR);
	for (size_t i = 1; i < image_tree_count(tree); i++)
		CHECK(strcmp(image_tree_at(tree, i - 1)->path, image_tree_at(tree, i)->path));
}

static void test_tree(void)
{
	struct evlog_writer *writer = start_log("log");
	struct image_capture *capture = start_capture(writer, NULL);
	struct unpacked unpacked = {0};
	struct evlog_reader *reader;
	struct image_tree *tree;
	int dir;

	make_tree();
	submit_tree(capture);
	CHECK(!image_capture_drain(capture));
	CHECK(!image_capture_flush(capture));
	CHECK(!image_capture_finish(capture));
	CHECK(!image_capture_stats(capture).changed);
	/* small, edge, big, empty; "same" is small again, "way" and "small" are one path. */
	CHECK(image_capture_stats(capture).blobs == 4);
	image_capture_destroy(capture);
	end_log(writer);
	reader = open_log("log");
	CHECK(!image_tree_load(reader, &tree));
	check_tree(tree);
	CHECK(!mkdir(at("out"), 0700));
	dir = open(at("out"), O_RDONLY | O_DIRECTORY);
	CHECK(!image_unpack(reader, tree, dir, 0, note_unpacked, &unpacked));
	CHECK(unpacked.count >= 14);
	check_unpacked(&unpacked);
	close(dir);
	image_tree_destroy(tree);
	evlog_reader_destroy(reader);
}

static struct image_expected seen(const char *path)
{
	struct stat st;

	CHECK(!stat(path, &st));
	return (struct image_expected){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size_bytes = (uint64_t)st.st_size,
		.mtime_sec = st.st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_sec = st.st_ctim.tv_sec,
		.ctime_nsec = (uint32_t)st.st_ctim.tv_nsec,
	};
}

static void test_outside_writer(void)
{
	struct evlog_writer *writer = start_log("log");
	struct image_capture *capture = start_capture(writer, NULL);
	struct image_request request = {
		.path = at("victim"), .want = IMAGE_WANT_CONTENT, .follow = true};

	write_file("victim", "before", 6);
	write_file("calm", "before", 6);
	request.expected = seen(request.path);
	write_file("victim", "after it", 8);
	CHECK(!image_capture_submit(capture, &request));
	request.path = at("calm");
	request.expected = seen(request.path);
	CHECK(!image_capture_submit(capture, &request));
	request.path = at("vanished");
	CHECK(!image_capture_submit(capture, &request));
	request.path = at("calm/vanished");
	request.want = IMAGE_WANT_METADATA;
	CHECK(!image_capture_submit(capture, &request));
	CHECK(!image_capture_finish(capture));
	CHECK(image_capture_stats(capture).changed == 3);
	CHECK(image_capture_changed_path(capture, 0) &&
	      !strcmp(image_capture_changed_path(capture, 0), at("victim")));
	CHECK(!image_capture_changed_path(capture, 3));
	image_capture_destroy(capture);
	end_log(writer);
}

/* What was absent at first is the container's own, also through a link it made. */
static void test_born_inside(void)
{
	struct evlog_writer *writer = start_log("log");
	struct image_capture *capture = start_capture(writer, NULL);
	const struct image_entry *entry;
	struct evlog_reader *reader;
	struct image_tree *tree;

	CHECK(!mkdir(at("outside"), 0755));
	write_file("outside/file", "file", 4);
	want(capture, at("born"), IMAGE_WANT_ABSENT, true);
	want(capture, at("door"), IMAGE_WANT_ABSENT, true);
	CHECK(!image_capture_drain(capture));
	CHECK(!mkdir(at("born"), 0755));
	write_file("born/file", "inside", 6);
	CHECK(!symlink("outside", at("door")));
	want(capture, at("born/file"), IMAGE_WANT_CONTENT, true);
	want(capture, at("born"), IMAGE_WANT_LISTING, true);
	want(capture, at("door/file"), IMAGE_WANT_CONTENT, true);
	CHECK(!image_capture_finish(capture));
	CHECK(!image_capture_stats(capture).changed);
	image_capture_destroy(capture);
	end_log(writer);
	reader = open_log("log");
	CHECK(!image_tree_load(reader, &tree));
	entry = image_tree_find(tree, at("born"));
	CHECK(entry && entry->kind == IMAGE_ABSENT);
	CHECK(!image_tree_find(tree, at("born/file")));
	entry = image_tree_find(tree, at("door"));
	CHECK(entry && entry->kind == IMAGE_ABSENT);
	entry = image_tree_find(tree, at("outside/file"));
	CHECK(entry && entry->kind == IMAGE_FILE);
	image_tree_destroy(tree);
	evlog_reader_destroy(reader);
}

static struct image_capture_stats capture_one(const char *log, const char *path)
{
	struct evlog_writer *writer = start_log(log);
	struct image_capture *capture = start_capture(writer, "cache/blobs");
	struct image_capture_stats stats;

	want(capture, path, IMAGE_WANT_CONTENT, true);
	CHECK(!image_capture_finish(capture));
	stats = image_capture_stats(capture);
	image_capture_destroy(capture);
	end_log(writer);
	return stats;
}

/* The one entry of the cache, with a byte of it altered. */
static void damage_cache(void)
{
	DIR *dir = opendir(at("cache/blobs"));
	struct dirent *entry;
	uint8_t byte;
	int fd;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDWR);
		CHECK(pread(fd, &byte, 1, 5000) == 1);
		byte ^= 4;
		CHECK(pwrite(fd, &byte, 1, 5000) == 1);
		close(fd);
	}
	closedir(dir);
}

static void check_log_has(const char *log, const char *path)
{
	struct evlog_reader *reader = open_log(log);
	struct image_tree *tree;
	FILE *file = fopen(at("copy"), "w+");

	CHECK(!image_tree_load(reader, &tree));
	CHECK(!evlog_reader_blob_copy(reader, image_tree_find(tree, path)->hash, fileno(file)));
	CHECK(same_bytes(path, at("copy")));
	fclose(file);
	image_tree_destroy(tree);
	evlog_reader_destroy(reader);
}

static void test_cache(void)
{
	struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct timespec settle = {.tv_sec = 3, .tv_nsec = 100000000};
	struct image_capture_stats stats;

	write_made("cached", 300000, 9);
	CHECK(!mkdir(at("cache"), 0700));
	capture_one("log", at("cached"));
	stats = capture_one("log", at("cached"));
	CHECK(stats.files == 1 && !stats.cache_hits); /* too young to be trusted */
	CHECK(!utimensat(AT_FDCWD, at("cached"), old, 0));
	nanosleep(&settle, NULL); /* its ctime cannot be set */
	stats = capture_one("log", at("cached"));
	CHECK(!stats.cache_hits);
	stats = capture_one("log", at("cached"));
	CHECK(stats.cache_hits == 1 && stats.file_bytes == 300000);
	check_log_has("log", at("cached"));
	damage_cache();
	stats = capture_one("log", at("cached"));
	CHECK(!stats.cache_hits && stats.files == 1);
	check_log_has("log", at("cached"));
	write_made("cached", 300000, 10);
	stats = capture_one("log", at("cached"));
	CHECK(!stats.cache_hits);
	check_log_has("log", at("cached"));
}

static void put_entry(struct image_sink *sink, enum image_kind kind, const char *path,
		      unsigned int mode)
{
	struct image_entry entry = {.kind = kind, .path = path, .mode = mode};

	entry.target = kind == IMAGE_SYMLINK ? folder : NULL;
	CHECK(!image_sink_entry(sink, &entry));
}

/* A log that wants to reach outside by a link in the middle of a path. */
static void test_climb(void)
{
	struct evlog_writer *writer = start_log("log");
	struct evlog_reader *reader;
	struct image_sink *sink;
	struct image_tree *tree;
	struct stat st;
	int dir;

	CHECK(!image_sink_create(writer, &sink));
	put_entry(sink, IMAGE_SYMLINK, "/door", S_IFLNK | 0777);
	put_entry(sink, IMAGE_PLACEHOLDER, "/door/planted", S_IFREG | 0644);
	CHECK(!image_sink_flush(sink));
	image_sink_destroy(sink);
	end_log(writer);
	reader = open_log("log");
	CHECK(!image_tree_load(reader, &tree));
	CHECK(!mkdir(at("climb"), 0700));
	dir = open(at("climb"), O_RDONLY | O_DIRECTORY);
	CHECK(image_unpack(reader, tree, dir, 0, NULL, NULL) == -EBADMSG);
	CHECK(stat(at("planted"), &st) && errno == ENOENT);
	close(dir);
	/* Nor through a link that was there before. */
	CHECK(!mkdir(at("climb2"), 0700) && !symlink(folder, at("climb2/door")));
	dir = open(at("climb2"), O_RDONLY | O_DIRECTORY);
	CHECK(image_unpack(reader, tree, dir, 0, NULL, NULL) == -EBADMSG);
	CHECK(stat(at("planted"), &st) && errno == ENOENT);
	close(dir);
	image_tree_destroy(tree);
	evlog_reader_destroy(reader);
}

/* More contents than the caller allows. */
static void test_limit(void)
{
	struct evlog_writer *writer = start_log("log");
	struct image_capture *capture = start_capture(writer, NULL);
	struct evlog_reader *reader;
	struct image_tree *tree;
	int dir;

	want(capture, at("src/big"), IMAGE_WANT_CONTENT, true);
	CHECK(!image_capture_finish(capture));
	image_capture_destroy(capture);
	end_log(writer);
	reader = open_log("log");
	CHECK(!image_tree_load(reader, &tree));
	CHECK(!mkdir(at("limit"), 0700));
	dir = open(at("limit"), O_RDONLY | O_DIRECTORY);
	CHECK(image_unpack(reader, tree, dir, 1000, NULL, NULL) == -EFBIG);
	/* Refused before anything was written. */
	CHECK(rmdir(at("limit")) == 0);
	close(dir);
	image_tree_destroy(tree);
	evlog_reader_destroy(reader);
}

/* A queue of a few requests: the submitter waits, nothing is lost. */
static void test_full_queue(void)
{
	struct evlog_writer *writer = start_log("log");
	struct image_capture_options options = {.no_cache = true, .queue_bytes_max = 500};
	struct image_capture *capture;
	char name[32];

	CHECK(!image_capture_create(writer, &options, &capture));
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "missing%d", i);
		want(capture, at(name), IMAGE_WANT_CONTENT, true);
	}
	CHECK(!image_capture_finish(capture));
	CHECK(image_capture_stats(capture).requests == 500);
	image_capture_destroy(capture);
	end_log(writer);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	test_tree();
	test_outside_writer();
	test_born_inside();
	test_cache();
	test_climb();
	test_limit();
	test_full_queue();
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failures ? 1 : 0;
}
