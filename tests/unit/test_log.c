/*
 * The log's format: what goes in comes out; a log cut at any byte or with any byte altered never
 * crashes the reader and is never taken for whole; hostile sections are refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "base/sha256.h"
#include "log/evlog_codec.h"
#include "log/evlog_reader.h"
#include "log/evlog_section.h"
#include "log/evlog_writer.h"
#include "log/image_sink.h"

#define EPOCHS 3

static char folder[] = "/tmp/shadow-test-log-XXXXXX";
static char log_path[64];
static char cut_path[64];

static const char *const argv_values[] = {"prog", "", "an argument"};
static const char *const env_values[] = {"A=1", "PATH=/usr/bin:/bin"};
static const char *const config_values[] = {"time-step", "1000", "seed", "7"};
static const char *const host_values[] = {"kernel", "6.18", "date", "2026-01-01"};

static struct evlog_header sample_header(void)
{
	return (struct evlog_header){
		.argv = {(const char **)argv_values, 3},
		.env = {(const char **)env_values, 2},
		.cwd = "/home/someone",
		.config = {(const char **)config_values, 2},
	};
}

static struct evlog_pairs sample_host(void)
{
	return (struct evlog_pairs){(const char **)host_values, 2};
}

static void sha256(const void *bytes, size_t size, uint8_t *hash)
{
	sha256_of(bytes, size, hash);
}

static void put_file(struct image_sink *sink, const char *path, const void *bytes, size_t size)
{
	struct image_entry entry = {.kind = IMAGE_FILE,
				    .path = path,
				    .mode = S_IFREG | 0644,
				    .nlink = 1,
				    .size_bytes = size};

	sha256(bytes, size, entry.hash);
	CHECK(!image_sink_entry(sink, &entry));
	CHECK(!image_sink_blob(sink, entry.hash, bytes, size));
}

static void put_epoch(struct evlog_writer *writer, uint64_t number)
{
	struct evlog_input inputs[2] = {
		{.channel = 0, .kind = EVLOG_INPUT_DATA, (const uint8_t *)"hello", 5},
		{.channel = 9, .kind = EVLOG_INPUT_EOF},
	};
	struct evlog_epoch epoch = {
		.number = number,
		.timestamp_ns = 2000000000000000000 + number,
		.delivered_at = number * 1000,
		.digest = 0x1234 + number,
		.inputs = inputs,
		.input_count = number ? 2 : 0,
	};
	uint32_t chain[2] = {(uint32_t)number, 77};

	memset(epoch.seed, (int)number, sizeof(epoch.seed));
	CHECK(!evlog_writer_epoch_append(writer, &epoch));
	CHECK(!evlog_writer_chain_append(writer, chain, 2));
	CHECK(!evlog_writer_events_append(writer, "event", 5));
}

static struct evlog_writer *start_log(const char *path)
{
	struct evlog_header header = sample_header();
	struct evlog_pairs host = sample_host();
	struct evlog_writer *writer = NULL;

	CHECK(!evlog_writer_create(path, &header, &host, &writer));
	return writer;
}

static void write_body(struct evlog_writer *writer)
{
	struct image_sink *sink;
	char name[16];

	CHECK(!image_sink_create(writer, &sink));
	for (uint64_t i = 0; i < EPOCHS; i++) {
		snprintf(name, sizeof(name), "/f%d", (int)i);
		put_file(sink, name, name, strlen(name));
		CHECK(!image_sink_flush(sink));
		put_epoch(writer, i);
	}
	image_sink_destroy(sink);
}

static void write_sample(const char *path)
{
	struct evlog_writer *writer = start_log(path);
	struct evlog_output output = {EVLOG_OUTPUT_STREAM, "stdout", 5, {1, 2, 3}};
	struct evlog_output unhashed = {EVLOG_OUTPUT_FILE, "/out", 7, {0}};
	struct evlog_end end = {.status = 0x100, .events = 3000, .digest = 42};

	write_body(writer);
	CHECK(!evlog_writer_output_append(writer, &output));
	CHECK(!evlog_writer_output_append(writer, &unhashed));
	CHECK(!evlog_writer_outputs_end(writer));
	CHECK(!evlog_writer_finish(writer, &end));
	evlog_writer_destroy(writer);
}

static void check_header(const struct evlog_reader *reader)
{
	const struct evlog_header *header = evlog_reader_header(reader);

	CHECK(header->argv.count == 3 && !strcmp(header->argv.at[2], "an argument"));
	CHECK(header->env.count == 2 && !strcmp(header->env.at[0], "A=1"));
	CHECK(!strcmp(header->cwd, "/home/someone"));
	CHECK(!strcmp(evlog_reader_config(reader, "seed"), "7"));
	CHECK(!strcmp(evlog_reader_config(reader, "time-step"), "1000"));
	CHECK(!evlog_reader_config(reader, "nothing"));
	CHECK(evlog_pairs_find(evlog_reader_host(reader), "kernel") != NULL);
}

static void check_epochs(struct evlog_reader *reader)
{
	struct evlog_epoch epoch;
	uint32_t *chain;
	size_t count;

	/* Backwards: they can be read in any order. */
	for (int i = EPOCHS - 1; i >= 0; i--) {
		CHECK(!evlog_reader_epoch_read(reader, (uint64_t)i, &epoch));
		CHECK(epoch.number == (uint64_t)i && epoch.digest == 0x1234 + (uint64_t)i);
		CHECK(epoch.delivered_at == (uint64_t)i * 1000 && epoch.seed[31] == i);
		CHECK(epoch.input_count == (i ? 2u : 0u));
		CHECK(!i || !memcmp(epoch.inputs[0].bytes, "hello", 5));
		CHECK(!i || (epoch.inputs[1].channel == 9 && !epoch.inputs[1].size_bytes));
		evlog_reader_epoch_finish(&epoch);
		CHECK(!evlog_reader_chain_read(reader, (uint64_t)i, &chain, &count));
		CHECK(count == 2 && chain[0] == (uint32_t)i && chain[1] == 77);
		free(chain);
	}
	CHECK(evlog_reader_epoch_read(reader, EPOCHS, &epoch) == -EINVAL);
}

static int count_events(void *arg, uint64_t epoch, const uint8_t *records, size_t size)
{
	uint64_t *next = arg;

	CHECK(epoch == *next && size == 5 && !memcmp(records, "event", 5));
	++*next;
	return 0;
}

static int count_images(void *arg, const struct image_entry *entry)
{
	CHECK(entry->kind == IMAGE_FILE && entry->size_bytes == 3);
	++*(int *)arg;
	return 0;
}

static void check_blob(struct evlog_reader *reader)
{
	uint8_t hash[EVLOG_HASH_SIZE];
	char back[8] = "";
	FILE *file = tmpfile();
	uint64_t size;

	sha256("/f1", 3, hash);
	CHECK(evlog_reader_blob_find(reader, hash, &size, NULL) && size == 3);
	CHECK(!evlog_reader_blob_copy(reader, hash, fileno(file)));
	CHECK(pread(fileno(file), back, sizeof(back), 0) == 3 && !strcmp(back, "/f1"));
	hash[0] ^= 1;
	CHECK(evlog_reader_blob_copy(reader, hash, fileno(file)) == -ENOENT);
	fclose(file);
}

static void test_round_trip(void)
{
	const struct evlog_output *outputs;
	struct evlog_reader *reader;
	uint64_t events = 0;
	struct stat st;
	size_t count;
	int images = 0;

	write_sample(log_path);
	CHECK(!stat(log_path, &st) && (st.st_mode & 0777) == 0600);
	CHECK(!evlog_reader_open(log_path, NULL, &reader));
	CHECK(evlog_reader_state(reader) == EVLOG_WHOLE);
	CHECK(evlog_reader_epoch_count(reader) == EPOCHS);
	check_header(reader);
	check_epochs(reader);
	check_blob(reader);
	CHECK(evlog_reader_has_events(reader));
	CHECK(!evlog_reader_events_each(reader, count_events, &events) && events == EPOCHS);
	CHECK(!evlog_reader_image_each(reader, count_images, &images) && images == EPOCHS);
	outputs = evlog_reader_outputs(reader, &count);
	CHECK(count == 2 && !strcmp(outputs[0].name, "stdout") && outputs[0].hash[2] == 3);
	CHECK(count == 2 && outputs[1].kind == EVLOG_OUTPUT_FILE && outputs[1].size_bytes == 7);
	CHECK(count == 2 && !strcmp(outputs[1].name, "/out") && outputs[1].hash[0] == 0);
	CHECK(evlog_reader_end(reader) && evlog_reader_end(reader)->status == 0x100);
	CHECK(evlog_reader_end(reader) && evlog_reader_end(reader)->epochs == EPOCHS);
	evlog_reader_destroy(reader);
}

/* Every frame of a finished log is one zstd knows. */
static void test_is_zstd(void)
{
	char *const command[] = {"zstd", "-q", "-t", "--no-progress", cut_path, NULL};
	pid_t pid;
	int status;

	snprintf(cut_path, sizeof(cut_path), "%s/cut.zst", folder);
	CHECK(!link(log_path, cut_path));
	pid = fork();
	if (!pid) {
		execvp(command[0], command);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	CHECK(!unlink(cut_path));
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *bytes;

	CHECK(!fstat(fd, &st));
	bytes = malloc((size_t)st.st_size + 1);
	CHECK(read(fd, bytes, (size_t)st.st_size) == st.st_size);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* Reads all a reader gives out; returns how many epochs were whole, or -1 if it is no log. */
static int read_all(const char *path, enum evlog_state *ret_state, struct evlog_damage *ret_damage)
{
	struct evlog_reader *reader;
	struct evlog_epoch epoch;
	uint64_t events = 0;
	int epochs, images = 0;

	*ret_damage = (struct evlog_damage){0};
	if (evlog_reader_open(path, ret_damage, &reader)) {
		*ret_state = EVLOG_DAMAGED;
		return -1;
	}
	epochs = (int)evlog_reader_epoch_count(reader);
	for (int i = 0; i < epochs; i++) {
		CHECK(!evlog_reader_epoch_read(reader, (uint64_t)i, &epoch));
		CHECK(epoch.digest == 0x1234 + (uint64_t)i);
		evlog_reader_epoch_finish(&epoch);
	}
	CHECK(!evlog_reader_image_each(reader, count_images, &images) && images >= epochs);
	CHECK(!evlog_reader_events_each(reader, count_events, &events));
	*ret_state = evlog_reader_state(reader);
	*ret_damage = *evlog_reader_damage(reader);
	evlog_reader_destroy(reader);
	return epochs;
}

static void test_cut_everywhere(void)
{
	struct evlog_damage damage;
	enum evlog_state state;
	int before = -1, epochs;
	size_t size;
	uint8_t *bytes = read_file(log_path, &size);

	for (size_t cut = 0; cut < size; cut++) {
		write_file(cut_path, bytes, cut);
		epochs = read_all(cut_path, &state, &damage);
		CHECK(epochs >= before && epochs <= EPOCHS);
		CHECK(epochs < 0 || state == EVLOG_TRUNCATED);
		CHECK(damage.section && damage.what && damage.offset <= cut);
		before = epochs;
	}
	CHECK(before == EPOCHS);
	write_file(cut_path, bytes, size);
	CHECK(read_all(cut_path, &state, &damage) == EPOCHS && state == EVLOG_WHOLE);
	free(bytes);
}

/* Where each section of the log begins, and at the end its size. */
static size_t section_starts(size_t *starts, size_t max)
{
	struct evlog_raw_section section;
	struct evlog_reader *reader;
	size_t count;

	CHECK(!evlog_reader_open(log_path, NULL, &reader));
	count = evlog_reader_section_count(reader);
	for (size_t i = 0; i < count && i < max; i++) {
		CHECK(!evlog_reader_section_read(reader, i, &section));
		starts[i] = section.offset;
	}
	evlog_reader_destroy(reader);
	return count < max ? count : max;
}

/* Every byte, each of its bits and all of them: the section it is in is named by its place. */
static void test_flip_everywhere(void)
{
	static const uint8_t flips[] = {0xff, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1};
	size_t starts[100], sections = section_starts(starts, 100), section = 0;
	struct evlog_damage damage;
	enum evlog_state state;
	size_t size;
	uint8_t *bytes = read_file(log_path, &size);

	write_file(cut_path, bytes, size);
	int fd = open(cut_path, O_WRONLY);
	for (size_t i = 0; i < size; i++) {
		section += section + 1 < sections && starts[section + 1] <= i;
		for (size_t k = 0; k < sizeof(flips); k++) {
			uint8_t flipped = bytes[i] ^ flips[k];

			CHECK(pwrite(fd, &flipped, 1, (off_t)i) == 1);
			read_all(cut_path, &state, &damage);
			CHECK(state == EVLOG_DAMAGED);
			CHECK(damage.section && damage.what && damage.offset == starts[section]);
		}
		CHECK(pwrite(fd, &bytes[i], 1, (off_t)i) == 1);
	}
	close(fd);
	/* Nor is it whole with something behind its end, or a section twice. */
	bytes[size] = 0;
	write_file(cut_path, bytes, size + 1);
	CHECK(read_all(cut_path, &state, &damage) == EPOCHS && state == EVLOG_DAMAGED);
	free(bytes);
}

/* A recorder that dies after its third epoch: nothing was closed or flushed by hand. */
static void test_killed(void)
{
	struct evlog_damage damage;
	enum evlog_state state;
	pid_t pid;
	int status;

	CHECK(!unlink(cut_path));
	pid = fork();
	if (!pid) {
		write_body(start_log(cut_path));
		kill(getpid(), SIGKILL);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(read_all(cut_path, &state, &damage) == EPOCHS && state == EVLOG_TRUNCATED);
}

/* A log that was there stays if the new one cannot be begun; no hidden file is left. */
static void test_replaced(void)
{
	struct evlog_writer *writer;
	struct evlog_damage damage;
	enum evlog_state state;
	struct dirent *entry;
	DIR *dir;
	char path[128];
	int hidden = 0;

	snprintf(path, sizeof(path), "%s/absent/log.zst", folder);
	writer = start_log(log_path);
	CHECK(read_all(log_path, &state, &damage) == 0 && state == EVLOG_TRUNCATED);
	evlog_writer_destroy(writer);
	write_sample(log_path);
	CHECK(read_all(log_path, &state, &damage) == EPOCHS && state == EVLOG_WHOLE);
	{
		struct evlog_header header = sample_header();
		struct evlog_pairs host = sample_host();

		CHECK(evlog_writer_create(path, &header, &host, &writer) == -ENOENT);
		CHECK(evlog_writer_create(folder, &header, &host, &writer) < 0);
	}
	dir = opendir(folder);
	while ((entry = readdir(dir)))
		hidden += entry->d_name[0] == '.' && strlen(entry->d_name) > 2;
	closedir(dir);
	CHECK(!hidden);
}

/* Writes a log whose third section is this one, and expects the reader to stop there. */
static void refuse_section(enum evlog_section_type type, const struct evlog_buf *inline_bytes,
			   const struct evlog_buf *packed, size_t raw_size, const char *what)
{
	struct evlog_writer *writer = start_log(cut_path);
	struct evlog_reader *reader;
	const struct evlog_damage *damage;

	CHECK(!evlog_writer_section_append(writer, type, inline_bytes, packed, raw_size));
	evlog_writer_destroy(writer);
	CHECK(!evlog_reader_open(cut_path, NULL, &reader));
	damage = evlog_reader_damage(reader);
	CHECK(evlog_reader_state(reader) == EVLOG_DAMAGED);
	CHECK(!strcmp(damage->section, evlog_section_name(type)));
	if (strcmp(damage->what, what))
		fprintf(stderr, "expected '%s', got '%s'\n", what, damage->what);
	CHECK(!strcmp(damage->what, what));
	CHECK(evlog_reader_section_count(reader) == 2);
	evlog_reader_destroy(reader);
}

static void refuse_path(const char *path)
{
	struct evlog_buf payload = {0}, nothing = {0};
	struct image_entry entry = {.kind = IMAGE_ABSENT, .path = path};

	image_entry_encode(&payload, &entry);
	refuse_section(EVLOG_SECTION_IMAGE, &payload, &nothing, 0,
		       "a path is not absolute and normalised");
	evlog_buf_finish(&payload);
}

static void refuse_names(const char *names, size_t size)
{
	struct evlog_buf payload = {0}, nothing = {0};
	struct image_entry entry = {.kind = IMAGE_LISTING,
				    .path = "/d",
				    .mode = S_IFDIR | 0755,
				    .names = (const uint8_t *)names,
				    .names_size = size};

	image_entry_encode(&payload, &entry);
	refuse_section(EVLOG_SECTION_IMAGE, &payload, &nothing, 0, "bad name in a listing");
	evlog_buf_finish(&payload);
}

static void test_hostile_paths(void)
{
	static const char *const paths[] = {"",	  "a",	   "..",  "/..",    "/a/..", "/a/../b",
					    "/.", "/a//b", "/a/", "/a/./b", "//a",   "/../a"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		refuse_path(paths[i]);
	refuse_names("\4..", 4);
	refuse_names("\4a/b", 5);
	refuse_names("\4", 1);
	refuse_names("\4abc", 4);
	refuse_names("\4", 2);
	refuse_names("\4b\0\4a", 6);
	refuse_names("\4a\0\4a", 6);
}

static void test_hostile_packing(void)
{
	struct evlog_buf packed = {0}, nothing = {0}, directory = {0};
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	static uint8_t zeros[4096];

	CHECK(!evlog_section_pack(cctx, 1, zeros, sizeof(zeros), &packed));
	/* The frame says another size than the section. */
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 4000, "cannot be unpacked");
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 5000, "cannot be unpacked");
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 4096, "unknown kind of image entry");
	refuse_section(EVLOG_SECTION_BLOBS, &nothing, &packed, 4096,
		       "bytes that belong to no blob");
	evlog_put_u8(&directory, EVLOG_BLOB_WHOLE);
	evlog_put(&directory, zeros, EVLOG_HASH_SIZE);
	evlog_put_u32(&directory, 4097);
	refuse_section(EVLOG_SECTION_BLOBS, &directory, &packed, 4096,
		       "a blob is outside its section");
	refuse_section(EVLOG_SECTION_BLOBS, &directory, &nothing, 0,
		       "a blob is outside its section");
	/* Two frames where one belongs. */
	CHECK(!evlog_section_pack(cctx, 1, zeros, sizeof(zeros), &packed));
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 4096, "cannot be unpacked");
	evlog_buf_finish(&packed);
	evlog_buf_finish(&directory);
	ZSTD_freeCCtx(cctx);
}

/* A frame that claims less than it unpacks to, or says nothing of its size. */
static void test_zip_bomb(void)
{
	struct evlog_buf packed = {0}, nothing = {0};
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	static uint8_t zeros[60000];

	/* Two bytes of content size, less 256, behind magic and descriptor (RFC 8878, 3.1.1.1). */
	CHECK(!evlog_section_pack(cctx, 1, zeros, sizeof(zeros), &packed));
	CHECK(packed.data[5] == ((60000 - 256) & 0xff) && packed.data[6] == (60000 - 256) >> 8);
	packed.data[5] = (4096 - 256) & 0xff;
	packed.data[6] = (4096 - 256) >> 8;
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 4096, "cannot be unpacked");
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 60000, "cannot be unpacked");
	packed.len = 0;
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 0);
	evlog_buf_room(&packed, ZSTD_compressBound(sizeof(zeros)));
	packed.len = ZSTD_compress2(cctx, packed.data, ZSTD_compressBound(sizeof(zeros)), zeros,
				    sizeof(zeros));
	CHECK(!ZSTD_isError(packed.len));
	refuse_section(EVLOG_SECTION_IMAGE, &nothing, &packed, 60000, "cannot be unpacked");
	evlog_buf_finish(&packed);
	ZSTD_freeCCtx(cctx);
}

static void set_version(uint8_t *section, uint8_t version)
{
	section[13] = version;
	uint64_t sum = evlog_section_checksum(section, 40, NULL, 0);
	memcpy(section + 40, &sum, sizeof(sum));
}

/* A log as the first tool wrote it. */
static void test_older_versions(void)
{
	struct evlog_header header = sample_header();
	struct evlog_buf payload = {0};
	struct evlog_damage damage;
	enum evlog_state state;
	size_t starts[100], size;

	write_sample(log_path);
	size_t count = section_starts(starts, 100);
	uint8_t *bytes = read_file(log_path, &size);
	for (uint8_t version = EVLOG_FORMAT_LEAST; version < EVLOG_FORMAT_VERSION; version++) {
		for (size_t i = 0; i < count; i++)
			set_version(bytes + starts[i], version);
		write_file(cut_path, bytes, size);
		read_all(cut_path, &state, &damage);
		CHECK(state == EVLOG_WHOLE);
	}
	set_version(bytes + starts[3], EVLOG_FORMAT_LEAST - 1);
	write_file(cut_path, bytes, size);
	read_all(cut_path, &state, &damage);
	CHECK(state == EVLOG_DAMAGED && damage.offset == starts[3]);
	free(bytes);
	evlog_header_encode(&payload, &header);
	payload.data[0] = EVLOG_FORMAT_LEAST;
	CHECK(!evlog_header_decode(payload.data, payload.len, &header));
	evlog_header_finish(&header);
	payload.data[0] = EVLOG_FORMAT_LEAST - 1;
	CHECK(evlog_header_decode(payload.data, payload.len, &header));
	evlog_buf_finish(&payload);
}

/* A log as a later tool would write it, its checksums right: in a section, in the header. */
static void test_newer_version(void)
{
	struct evlog_damage damage;
	enum evlog_state state;
	struct evlog_header header;
	size_t starts[100], size;
	uint8_t *bytes;

	write_sample(log_path);
	section_starts(starts, 100);
	bytes = read_file(log_path, &size);
	set_version(bytes + starts[3], EVLOG_FORMAT_VERSION + 1);
	write_file(cut_path, bytes, size);
	read_all(cut_path, &state, &damage);
	CHECK(state == EVLOG_DAMAGED && damage.offset == starts[3]);
	CHECK(!strcmp(damage.what, evlog_newer_version));
	free(bytes);
	struct evlog_buf payload = {0};
	header = sample_header();
	evlog_header_encode(&payload, &header);
	payload.data[0] = EVLOG_FORMAT_VERSION + 1;
	CHECK(evlog_header_decode(payload.data, payload.len, &header) == evlog_newer_version);
	evlog_buf_finish(&payload);
}

static void test_hostile_counts(void)
{
	struct evlog_buf payload = {0}, nothing = {0};
	struct evlog_epoch epoch = {.number = 0};

	evlog_epoch_encode(&payload, &epoch);
	memset(payload.data + payload.len - 4, 0xff, 4);
	refuse_section(EVLOG_SECTION_EPOCH, &payload, &nothing, 0, "malformed contents");
	payload.len = 0;
	epoch.number = 1;
	evlog_epoch_encode(&payload, &epoch);
	refuse_section(EVLOG_SECTION_EPOCH, &payload, &nothing, 0, "epochs are not in order");
	payload.len = 0;
	evlog_put_u64(&payload, 0);
	refuse_section(EVLOG_SECTION_CHAIN, &payload, &nothing, 0, "malformed contents");
	payload.len = 0;
	evlog_put_u64(&payload, UINT64_MAX);
	refuse_section(EVLOG_SECTION_EVENTS, &payload, &nothing, 0, "malformed contents");
	refuse_section(EVLOG_SECTION_HEADER, &payload, &nothing, 0,
		       "sections are missing or out of order");
	refuse_section(EVLOG_SECTION_END, &payload, &nothing, 0,
		       "sections are missing or out of order");
	evlog_buf_finish(&payload);
}

/* An epoch whose image names contents that are not there is not whole. */
static void test_missing_blob(void)
{
	struct evlog_writer *writer = start_log(cut_path);
	struct image_entry entry = {
		.kind = IMAGE_FILE, .path = "/f", .mode = S_IFREG | 0644, .size_bytes = 1};
	struct evlog_reader *reader;
	struct image_sink *sink;

	CHECK(!image_sink_create(writer, &sink));
	CHECK(!image_sink_entry(sink, &entry) && !image_sink_flush(sink));
	put_epoch(writer, 0);
	image_sink_destroy(sink);
	evlog_writer_destroy(writer);
	CHECK(!evlog_reader_open(cut_path, NULL, &reader));
	CHECK(evlog_reader_state(reader) == EVLOG_DAMAGED);
	CHECK(!strcmp(evlog_reader_damage(reader)->what, "a blob it needs is missing"));
	CHECK(!evlog_reader_epoch_count(reader));
	evlog_reader_destroy(reader);
}

/* A blob under a false name is caught when it is taken out. */
static void test_false_blob(void)
{
	struct evlog_writer *writer = start_log(cut_path);
	uint8_t hash[EVLOG_HASH_SIZE] = {1};
	struct evlog_reader *reader;
	struct image_sink *sink;
	FILE *file = tmpfile();

	CHECK(!image_sink_create(writer, &sink));
	CHECK(!image_sink_blob(sink, hash, "x", 1) && !image_sink_flush(sink));
	image_sink_destroy(sink);
	evlog_writer_destroy(writer);
	CHECK(!evlog_reader_open(cut_path, NULL, &reader));
	CHECK(evlog_reader_blob_copy(reader, hash, fileno(file)) == -EBADMSG);
	CHECK(!strcmp(evlog_reader_damage(reader)->section, "blobs"));
	evlog_reader_destroy(reader);
	fclose(file);
}

/* What a test of the whole tool does: an input edited, all checksums right. */
static void test_edited(void)
{
	struct evlog_end end = {.events = 3000};
	struct evlog_raw_section raw;
	struct evlog_reader *reader;
	struct evlog_writer *writer = start_log(cut_path);
	struct evlog_epoch epoch;

	write_sample(log_path);
	CHECK(!evlog_reader_open(log_path, NULL, &reader));
	for (size_t i = 2; i < evlog_reader_section_count(reader); i++) {
		const uint8_t *bytes;
		size_t size;

		CHECK(!evlog_reader_section_read(reader, i, &raw));
		if (raw.type >= EVLOG_SECTION_OUTPUTS || raw.type == EVLOG_SECTION_BLOBS ||
		    raw.type == EVLOG_SECTION_IMAGE || raw.type == EVLOG_SECTION_CHAIN ||
		    raw.type == EVLOG_SECTION_EVENTS)
			continue;
		bytes = raw.raw_size ? raw.raw : raw.inline_bytes;
		size = raw.raw_size ? raw.raw_size : raw.inline_size;
		CHECK(!evlog_epoch_decode(bytes, size, &epoch));
		if (epoch.input_count)
			((struct evlog_input *)epoch.inputs)[0].bytes = (const uint8_t *)"HELLO";
		CHECK(!evlog_writer_epoch_append(writer, &epoch));
		evlog_epoch_free_inputs(&epoch);
	}
	CHECK(!evlog_writer_finish(writer, &end));
	evlog_writer_destroy(writer);
	evlog_reader_destroy(reader);
	CHECK(!evlog_reader_open(cut_path, NULL, &reader));
	CHECK(evlog_reader_state(reader) == EVLOG_WHOLE);
	CHECK(!evlog_reader_epoch_read(reader, 1, &epoch));
	CHECK(!memcmp(epoch.inputs[0].bytes, "HELLO", 5));
	evlog_reader_epoch_finish(&epoch);
	evlog_reader_destroy(reader);
}

/* Large gatherings are split, and come back in order. */
static void test_large(void)
{
	struct evlog_end end = {0};
	struct evlog_writer *writer = start_log(cut_path);
	struct evlog_reader *reader;
	uint32_t *chain, value;
	size_t count;

	put_epoch(writer, 0);
	for (value = 0; value < 300000; value++)
		CHECK(!evlog_writer_chain_append(writer, &value, 1));
	put_epoch(writer, 1);
	CHECK(!evlog_writer_finish(writer, &end));
	evlog_writer_destroy(writer);
	CHECK(!evlog_reader_open(cut_path, NULL, &reader));
	CHECK(evlog_reader_state(reader) == EVLOG_WHOLE);
	CHECK(!evlog_reader_chain_read(reader, 0, &chain, &count) && count == 300002);
	for (value = 0; value < 300000; value++)
		CHECK(chain[value + 2] == value);
	free(chain);
	evlog_reader_destroy(reader);
}

/* A full disk is told, once and for good. */
static void test_write_error(void)
{
	struct evlog_writer *writer = start_log(cut_path);
	struct evlog_epoch epoch = {.number = 0};
	struct evlog_end end = {0};
	int full = open("/dev/full", O_WRONLY);

	CHECK(full >= 0 && dup2(full, evlog_writer_fd(writer)) >= 0);
	close(full);
	CHECK(evlog_writer_epoch_append(writer, &epoch) == -ENOSPC);
	CHECK(evlog_writer_finish(writer, &end) == -ENOSPC);
	evlog_writer_destroy(writer);
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	snprintf(log_path, sizeof(log_path), "%s/log.zst", folder);
	snprintf(cut_path, sizeof(cut_path), "%s/cut", folder);
	test_round_trip();
	test_is_zstd();
	test_cut_everywhere();
	test_flip_everywhere();
	test_killed();
	test_replaced();
	test_hostile_paths();
	test_hostile_packing();
	test_zip_bomb();
	test_older_versions();
	test_newer_version();
	test_hostile_counts();
	test_missing_blob();
	test_false_blob();
	test_edited();
	test_large();
	test_write_error();
	unlink(log_path);
	unlink(cut_path);
	rmdir(folder);
	return failures ? 1 : 0;
}
