/*
 * One run of a container; see session.h.  Owns, for its duration, the container, the output thread
 * and, when recording, writer, capture and feed; in a replay the private root.
 *
 *	run, record: configure -> launch -> local epochs -> end -> finish the log
 *	replay:      unpack the image -> configure from the header -> epochs of the log -> compare
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../log/evlog_writer.h"
#include "../log/image_capture.h"
#include "../log/image_unpack.h"
#include "../shim/rings.h"
#include "../syscall-table/syscall_row.h"
#include "../syscall-table/vnode.h"
#include "capture_feed.h"
#include "config_pairs.h"
#include "output.h"
#include "source_local.h"
#include "syscall_nr.h"

/* The figures in the head and in results are arrays of 512. */
_Static_assert(SYSCALL_NR_END <= 512, "every call has its figures");

static const char *const syscall_names[SYSCALL_NR_END] = {
#include "syscall_names.inc"
};

struct stream_hash {
	EVP_MD_CTX *sha;
	uint64_t size_bytes;
};

struct session {
	const struct session_options *options;
	struct container container;
	struct source_local local;
	struct stream_hash streams[2];
	bool running;	     /* the container was created */
	const char *program; /* the path found for argv[0] */
	/* record */
	struct evlog_writer *writer;
	struct image_capture *capture;
	struct capture_feed *feed;
	/* replay */
	struct epoch_source from_log;
	struct evlog_reader *reader;
	session_event_fn event_fn;
	void *event_arg;
	char root[256];
	char divergence[200];
};

static void say(const struct session *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct session *s, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", s->options->tool);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- output ---- */

static void on_output(void *data, uint32_t stream, const void *bytes, size_t size)
{
	struct session *s = data;

	EVP_DigestUpdate(s->streams[stream - 1].sha, bytes, size);
	s->streams[stream - 1].size_bytes += size;
}

/* ---- processors ---- */

/*
 * One processor for tasks and wait loop, because a stop costs several times more across two; the
 * others for output, capture and compression.  Chosen by process id, so that runs side by side
 * spread.
 */
static void choose_processors(cpu_set_t *ret_one, cpu_set_t *ret_others)
{
	cpu_set_t allowed;
	int n, k;

	CPU_ZERO(ret_one);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0) {
		CPU_ZERO(&allowed);
		CPU_SET(0, &allowed);
	}
	n = CPU_COUNT(&allowed);
	k = n > 0 ? (int)(getpid() % n) : 0;
	*ret_others = allowed;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || k-- != 0)
			continue;
		CPU_SET(cpu, ret_one);
		if (n > 1)
			CPU_CLR(cpu, ret_others);
		return;
	}
}

/* ---- configuration ---- */

static uint32_t machine_level(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	    __builtin_cpu_supports("fma"))
		return 3;
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") ? 2 : 1;
}

/*
 * Fills those of the descriptors 0 to 2 that the caller left closed, before anything of ours takes
 * their place.  Which ones they were is asked once: a second run in this process finds them open.
 */
static bool was_closed(int fd)
{
	static unsigned closed, asked;

	for (int i = 0; i < 3 && !asked; i++) {
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) == i)
			closed |= 1u << i;
	}
	asked = 1;
	return closed >> fd & 1;
}

static uint32_t stdio_kind_of(int fd)
{
	struct stat st, null;

	if (was_closed(fd) || fstat(fd, &st) < 0)
		return STDIO_CLOSED;
	if (S_ISCHR(st.st_mode) && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev)
		return STDIO_NULL;
	if (S_ISREG(st.st_mode))
		return STDIO_FILE;
	return isatty(fd) ? STDIO_TTY : STDIO_PIPE;
}

static void configure(struct session *s)
{
	const struct session_options *o = s->options;
	struct region_config *c = &HEAD->config;
	gid_t groups[64];
	int n = getgroups(64, groups);
	mode_t mask = umask(0);

	umask(mask);
	c->time_step_ns = o->time_step_ns;
	c->slice_events = o->slice_events;
	c->epoch_events = o->epoch_events;
	c->cpus = o->cpus;
	c->memory_bytes = o->memory_bytes;
	c->start_time_ns = o->start_time_ns;
	config_seed(o->seed, c->seed);
	c->uid = getuid();
	c->euid = geteuid();
	c->gid = getgid();
	c->egid = getegid();
	for (int i = 0; i < n; i++)
		c->groups[c->ngroups++] = groups[i];
	c->umask = mask;
	c->own_ids_only = geteuid() != 0;
	c->cpu_level = machine_level();
	for (int fd = 0; fd < 3; fd++)
		c->stdio_kind[fd] = stdio_kind_of(fd);
}

static void configure_always(struct session *s)
{
	struct region_config *c = &HEAD->config;

	c->perturb = s->options->perturb;
	s->container.perturb = s->options->perturb;
	HEAD->perturb_state = s->options->perturb;
	c->trace_events = s->options->trace_events;
	strcpy(c->hostname, "shadow");
	HEAD->now_ns = c->start_time_ns;
	HEAD->next_timer_ns = UINT64_MAX;
}

/* ---- events ---- */

static void events_drain(void *data, struct container *c)
{
	struct session *s = data;
	uint8_t *copy = malloc(RING_RECORD_MAX);
	const struct ring_record *rec;
	uint32_t size;
	uint64_t next;
	bool bad = false;

	(void)c;
	while (copy != NULL &&
	       (rec = ring_peek(EVENTS_RING, RING_EVENTS_SIZE, &size, &next, &bad)) != NULL) {
		if (size <= RING_RECORD_MAX) {
			memcpy(copy, rec->bytes, size);
			if (s->writer != NULL)
				evlog_writer_events_append(s->writer, copy, size);
			if (s->event_fn != NULL)
				s->event_fn(s->event_arg, copy, size);
		}
		__atomic_store_n(&EVENTS_RING->head, next, __ATOMIC_RELEASE);
	}
	free(copy);
}

static void on_deadlock(void *data, struct container *c)
{
	struct session *s = data;

	(void)c;
	if (!s->options->quiet)
		say(s, "all tasks wait, and only a signal from outside can change that");
}

/* ---- recording ---- */

static void record_epoch_end(void *data, struct container *c)
{
	struct session *s = data;
	uint32_t count = HEAD->chain_count;

	events_drain(s, c);
	evlog_writer_chain_append(s->writer, CHAIN, count < CHAIN_MAX ? count : CHAIN_MAX);
}

static void record_epoch_begin(void *data, struct container *c)
{
	struct session *s = data;
	struct evlog_input *inputs = calloc(INBOX->count + 1, sizeof(*inputs));
	uint64_t at = 0;

	for (uint32_t i = 0; inputs != NULL && i < INBOX->count; i++) {
		const struct epoch_input *in = (const struct epoch_input *)(INBOX->bytes + at);

		inputs[i] = (struct evlog_input){in->channel, (enum evlog_input_kind)in->kind,
						 in->bytes, in->size_bytes};
		at += sizeof(*in) + ((in->size_bytes + 7ull) & ~7ull);
	}
	struct evlog_epoch epoch = {
		.number = HEAD->epoch_number - 1,
		.timestamp_ns = HEAD->epoch_time_ns,
		.delivered_at = HEAD->events,
		.digest = HEAD->digest,
		.inputs = inputs,
		.input_count = INBOX->count,
	};
	memcpy(epoch.seed, HEAD->epoch_seed, sizeof(epoch.seed));
	/* The log never runs ahead of what the user has seen. */
	output_drain(c);
	capture_feed_sync(s->feed);
	image_capture_flush(s->capture);
	evlog_writer_epoch_append(s->writer, &epoch);
	free(inputs);
}

static void record_sync(void *data, struct container *c)
{
	struct session *s = data;

	(void)c;
	capture_feed_sync(s->feed);
}

static size_t count_strings(char *const *list)
{
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	return n;
}

static const char *stdin_path(const struct session *s, char *buf, size_t size)
{
	ssize_t n;

	if (HEAD->config.stdio_kind[0] != STDIO_FILE)
		return NULL;
	n = readlink("/proc/self/fd/0", buf, size - 1);
	(void)s;
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	return buf;
}

static int writer_open(struct session *s, const char *in_path)
{
	const struct session_options *o = s->options;
	static struct config_pairs pairs;
	struct utsname u;
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	config_pairs_make(&HEAD->config, o->seed, s->program, in_path, &pairs);
	uname(&u);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	const char *host[] = {"date",	date,	   "hostname", u.nodename,
			      "kernel", u.release, "tool",     SHADOW_VERSION};
	struct evlog_pairs host_pairs = {host, 4};
	struct evlog_header header = {
		.argv = {(const char **)(uintptr_t)o->argv, count_strings(o->argv)},
		.env = {(const char **)(uintptr_t)o->env, count_strings(o->env)},
		.cwd = o->cwd,
		.config = {pairs.at, pairs.count},
	};
	return evlog_writer_create(o->log_path, &header, &host_pairs, &s->writer);
}

static void capture_path(struct session *s, const char *path, enum image_want want)
{
	struct image_request request = {.path = path, .want = want, .follow = true};

	image_capture_submit(s->capture, &request);
}

static int record_start(struct session *s)
{
	struct image_capture_options options = {0};
	char buf[4096];
	const char *in_path = stdin_path(s, buf, sizeof(buf));
	int error = writer_open(s, in_path);

	if (error == 0)
		error = image_capture_create(s->writer, &options, &s->capture);
	if (error == 0)
		error = capture_feed_create(s->capture, &s->feed);
	if (error < 0) {
		say(s, "cannot write the log %s: %s", s->options->log_path, strerror(-error));
		return error;
	}
	capture_path(s, s->options->cwd, IMAGE_WANT_METADATA);
	if (in_path != NULL)
		capture_path(s, in_path, IMAGE_WANT_CONTENT);
	HEAD->config.capture = 1;
	s->container.observer.epoch_end = record_epoch_end;
	s->container.observer.epoch_begin = record_epoch_begin;
	s->container.observer.capture_sync = record_sync;
	return 0;
}

static void hash_finish(struct session *s, struct session_result *result)
{
	for (int i = 0; i < 2; i++)
		EVP_DigestFinal_ex(s->streams[i].sha, result->output_hash[i], NULL);
}

static int record_finish(struct session *s, const struct session_result *result)
{
	static const char *const names[] = {"stdout", "stderr"};
	struct evlog_end end = {
		.status = HEAD->exit_status,
		.events = HEAD->events,
		.digest = HEAD->digest,
	};
	int error;

	events_drain(s, &s->container);
	capture_feed_destroy(s->feed);
	s->feed = NULL;
	error = image_capture_finish(s->capture);
	for (int i = 0; !s->options->quiet; i++) {
		const char *path = image_capture_changed_path(s->capture, (size_t)i);
		if (path == NULL)
			break;
		say(s, "%s was changed by someone outside while it was recorded", path);
	}
	if (error < 0)
		return error;
	record_epoch_end(s, &s->container);
	for (int i = 0; i < 2; i++) {
		struct evlog_output out = {
			EVLOG_OUTPUT_STREAM, names[i], s->streams[i].size_bytes, {0}};
		memcpy(out.hash, result->output_hash[i], sizeof(out.hash));
		evlog_writer_output_append(s->writer, &out);
	}
	return evlog_writer_finish(s->writer, &end);
}

/* ---- the program ---- */

/* PROG by PATH, as execvp: the first executable file of that name, else NULL. */
static const char *find_program(const char *name, char *buf, size_t size)
{
	const char *path = getenv("PATH");
	struct stat st;

	if (strchr(name, '/') != NULL)
		return name;
	if (path == NULL)
		path = "/bin:/usr/bin";
	while (*path != '\0') {
		size_t n = strcspn(path, ":");

		snprintf(buf, size, "%.*s%s%s", (int)n, path, n != 0 ? "/" : "", name);
		if (stat(buf, &st) == 0 && S_ISREG(st.st_mode) && access(buf, X_OK) == 0)
			return buf;
		path += n + (path[n] == ':');
	}
	return NULL;
}

static int start_failure_status(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG ? 127
											      : 126;
}

static int status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void report_refused(const struct session *s)
{
	if (s->options->quiet)
		return;
	for (int i = 0; i < 512; i++) {
		if (HEAD->refused_count[i] == 0)
			continue;
		const char *name = i < SYSCALL_NR_END ? syscall_names[i] : NULL;
		if (name != NULL &&
		    (strcmp(name, "rseq") == 0 || strcmp(name, "getpeername") == 0 ||
		     strcmp(name, "getsockname") == 0 || strcmp(name, "getsockopt") == 0))
			continue;
		say(s, "refused: %s, %u time%s", name != NULL ? name : "a call of unknown number",
		    HEAD->refused_count[i], HEAD->refused_count[i] == 1 ? "" : "s");
	}
}

static void take_figures(struct session_result *result)
{
	result->digest = HEAD->digest;
	result->events = HEAD->events;
	result->trapped = HEAD->trapped_events;
	memcpy(result->call_count, HEAD->call_count, sizeof(result->call_count));
	memcpy(result->call_trapped, HEAD->call_trapped, sizeof(result->call_trapped));
	memcpy(result->refused, HEAD->refused_count, sizeof(result->refused));
}

/* Launches and runs; the container has ended when this returns.  0 or a negative errno. */
static int execute(struct session *s)
{
	struct output_sink sink = {s, on_output, s->options->mute};
	cpu_set_t one, others;
	int error;

	choose_processors(&one, &others);
	sched_setaffinity(0, sizeof(others), &others);
	error = output_start(&s->container, &sink);
	if (error == 0 && s->writer == NULL && s->options->log_path != NULL)
		error = record_start(s);
	sched_setaffinity(0, sizeof(one), &one);
	if (error < 0)
		return error;
	error = container_launch(&s->container);
	if (error < 0)
		say(s, "%s", s->container.message);
	else
		container_run(&s->container);
	sched_setaffinity(0, sizeof(others), &others);
	output_stop(&s->container);
	return error;
}

static int end_status(struct session *s)
{
	struct container *c = &s->container;

	switch (c->end) {
	case CONTAINER_ENDED:
		return status_of(HEAD->exit_status);
	case CONTAINER_NO_START:
		say(s, "%s: %s", s->options->argv[0], c->message);
		return start_failure_status((int)HEAD->first_error);
	case CONTAINER_STOPPED:
		say(s, "%s", c->message);
		return 125;
	case CONTAINER_DIVERGED:
	case CONTAINER_NO_EPOCH:
	case CONTAINER_BUG:
	default:
		say(s, "%s", c->message[0] != '\0' ? c->message : "ended in an unknown way");
		return 125;
	}
}

static int session_begin(struct session *s, const struct session_options *options)
{
	memset(s, 0, sizeof(*s));
	s->options = options;
	was_closed(0);
	for (int i = 0; i < 2; i++) {
		s->streams[i].sha = EVP_MD_CTX_new();
		if (s->streams[i].sha == NULL ||
		    EVP_DigestInit_ex(s->streams[i].sha, EVP_sha256(), NULL) != 1) {
			say(s, "out of memory");
			return -ENOMEM;
		}
	}
	int error = container_create(&s->container);
	if (error < 0) {
		say(s, "%s", s->container.message);
		return error;
	}
	s->running = true;
	s->container.observer.data = s;
	s->container.observer.deadlock = on_deadlock;
	s->container.observer.events_drain = events_drain;
	s->container.cwd = options->cwd;
	return 0;
}

static void session_end(struct session *s)
{
	if (s->running)
		container_destroy(&s->container);
	for (int i = 0; i < 2; i++)
		EVP_MD_CTX_free(s->streams[i].sha);
}

void session_run(const struct session_options *options, struct session_result *result)
{
	static struct session s;
	char buf[8192];
	const char *path = find_program(options->argv[0], buf, sizeof(buf));

	memset(result, 0, sizeof(*result));
	result->status = 125;
	if (path == NULL) {
		fprintf(stderr, "%s: %s: not found\n", options->tool, options->argv[0]);
		result->status = 127;
		return;
	}
	if (session_begin(&s, options) < 0) {
		session_end(&s);
		return;
	}
	s.program = path;
	configure(&s);
	configure_always(&s);
	if (HEAD->config.stdio_kind[0] == STDIO_FILE)
		s.container.stdin_fd = 0;
	source_local_init(&s.local);
	s.container.source = &s.local.base;
	if (container_program(&s.container, path, options->argv, options->env) < 0) {
		say(&s, "the arguments and the environment are too large");
	} else if (execute(&s) == 0) {
		result->status = end_status(&s);
		hash_finish(&s, result);
		take_figures(result);
		report_refused(&s);
		if (s.writer != NULL && s.container.end == CONTAINER_ENDED) {
			int error = record_finish(&s, result);
			if (error < 0) {
				say(&s, "cannot finish the log %s: %s", options->log_path,
				    strerror(-error));
				result->status = 125;
			}
		}
	}
	if (s.feed != NULL)
		capture_feed_destroy(s.feed);
	image_capture_destroy(s.capture);
	evlog_writer_destroy(s.writer);
	session_end(&s);
}

/* ---- replay ---- */

static int log_epoch_check(struct session *s, const struct evlog_epoch *e)
{
	if (e->number == 0 || (e->digest == HEAD->digest && e->delivered_at == HEAD->events))
		return 0;
	snprintf(s->divergence, sizeof(s->divergence),
		 "in epoch %" PRIu64 ", before event %" PRIu64, e->number - 1, e->delivered_at);
	return -EILSEQ;
}

static int inbox_fill(const struct evlog_epoch *e)
{
	INBOX->count = INBOX->used_bytes = 0;
	for (size_t i = 0; i < e->input_count; i++) {
		const struct evlog_input *from = &e->inputs[i];
		uint64_t need = sizeof(struct epoch_input) + ((from->size_bytes + 7ull) & ~7ull);

		if (INBOX->used_bytes + need > INBOX_BYTES)
			return -EBADMSG;
		struct epoch_input *in = (struct epoch_input *)(INBOX->bytes + INBOX->used_bytes);
		*in = (struct epoch_input){from->channel, (uint32_t)from->kind, from->size_bytes,
					   0};
		memcpy(in->bytes, from->bytes, from->size_bytes);
		INBOX->used_bytes += (uint32_t)need;
		INBOX->count++;
	}
	return 0;
}

static int log_next(struct epoch_source *source, struct container *c, uint32_t reason)
{
	struct session *s = (struct session *)((char *)source - offsetof(struct session, from_log));
	uint64_t number = HEAD->epoch_number;
	struct evlog_epoch e;
	uint32_t *chain;
	size_t count;

	(void)reason;
	events_drain(s, c);
	/* Of a log that just stops, files of the last epoch may be missing: it is not whole. */
	uint64_t whole = evlog_reader_epoch_count(s->reader);
	if (whole > 0 && evlog_reader_state(s->reader) != EVLOG_WHOLE)
		whole--;
	if (number >= whole)
		return -ENODATA;
	int error = evlog_reader_epoch_read(s->reader, number, &e);
	if (error < 0)
		return error;
	error = log_epoch_check(s, &e);
	if (error == 0)
		error = inbox_fill(&e);
	HEAD->epoch_time_ns = e.timestamp_ns;
	memcpy(HEAD->epoch_seed, e.seed, sizeof(e.seed));
	evlog_reader_epoch_finish(&e);
	if (error < 0)
		return error;
	error = evlog_reader_chain_read(s->reader, number, &chain, &count);
	if (error < 0)
		return error;
	memcpy(EXPECT, chain, (count < CHAIN_MAX ? count : CHAIN_MAX) * sizeof(*chain));
	free(chain);
	HEAD->expect_count = (uint32_t)count;
	HEAD->chain_count = 0;
	HEAD->epoch_number++;
	return 0;
}

static int preload(void *arg, const struct image_entry *e, uint64_t dev, uint64_t ino)
{
	struct vnode_preload *p = vnode_preload_slot(VNODES, dev, ino);

	(void)arg;
	if (p == NULL)
		return -ENOSPC;
	if (p->host_ino == 0)
		VNODES->preload_count++;
	p->dev = dev;
	p->host_ino = ino;
	p->mtime_ns = e->mtime_sec * 1000000000 + e->mtime_nsec;
	p->mode = e->mode;
	p->uid = e->uid;
	p->gid = e->gid;
	p->nlink = e->nlink;
	p->open_error = e->kind == IMAGE_DENIED ? (uint32_t)e->error : 0;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	if (remove(path) < 0 && errno == EACCES && chmod(path, 0700) == 0)
		remove(path);
	return 0;
}

static void make_folders(const char *root, const char *path)
{
	char full[8192];

	for (const char *p = path; *p != '\0';) {
		p += strcspn(p + 1, "/") + 1;
		snprintf(full, sizeof(full), "%s%.*s", root, (int)(p - path), path);
		mkdir(full, 0755);
	}
}

static int root_make(struct session *s)
{
	const char *tmp = getenv("TMPDIR");
	struct image_tree *tree = NULL;
	int fd, error;

	snprintf(s->root, sizeof(s->root), "%s/shadow-replay-XXXXXX",
		 tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
	if (mkdtemp(s->root) == NULL) {
		error = -errno;
		s->root[0] = '\0';
		return error;
	}
	chmod(s->root, 0755);
	fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = fd < 0 ? -errno : image_tree_load(s->reader, &tree);
	if (error == 0)
		error = image_unpack(s->reader, tree, fd, 0, preload, s);
	image_tree_destroy(tree);
	if (fd >= 0)
		close(fd);
	make_folders(s->root, s->options->cwd);
	return error;
}

/* Standard input of a recorded regular file comes from the image. */
static int stdin_open(struct session *s)
{
	const char *path = evlog_reader_config(s->reader, "stdin-path");
	char full[8192];

	if (HEAD->config.stdio_kind[0] != STDIO_FILE)
		return 0;
	if (path == NULL || strstr(path, "..") != NULL)
		return -ENOENT;
	snprintf(full, sizeof(full), "%s%s", s->root, path);
	s->container.stdin_fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return s->container.stdin_fd < 0 ? -errno : 0;
}

static int replay_prepare(struct session *s)
{
	const char *bad;
	int error = config_pairs_parse(s->reader, &HEAD->config, &bad);

	if (error < 0) {
		say(s, "the log's configuration is not understood: %s", bad);
		return error;
	}
	configure_always(s);
	if (HEAD->config.cpu_level > machine_level()) {
		say(s, "this machine lacks the recorded processor baseline x86-64-v%u",
		    HEAD->config.cpu_level);
		return -ENOTSUP;
	}
	error = root_make(s);
	if (error < 0) {
		const struct evlog_damage *d = evlog_reader_damage(s->reader);
		say(s, "cannot rebuild the image: %s (%s)", strerror(-error),
		    error == -EBADMSG && d->what != NULL ? d->what : s->root);
		return error;
	}
	error = stdin_open(s);
	if (error < 0)
		say(s, "standard input is not in the image");
	HEAD->config.replay = 1;
	s->container.root = s->root;
	return error;
}

static bool outputs_equal(const struct session *s, const struct session_result *result)
{
	size_t n;
	const struct evlog_output *out = evlog_reader_outputs(s->reader, &n);

	for (size_t i = 0; i < n; i++) {
		if (out[i].kind != EVLOG_OUTPUT_STREAM)
			continue;
		int k = strcmp(out[i].name, "stdout") == 0 ? 0 : 1;
		if (out[i].size_bytes != s->streams[k].size_bytes ||
		    memcmp(out[i].hash, result->output_hash[k], 32) != 0)
			return false;
	}
	return true;
}

static void say_diverged(struct session *s)
{
	uint64_t last = HEAD->events / CHAIN_EVENTS * CHAIN_EVENTS;

	if (s->divergence[0] != '\0')
		say(s, "diverged %s", s->divergence);
	else
		say(s, "diverged in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64 ")",
		    last >= CHAIN_EVENTS ? last - CHAIN_EVENTS + 1 : 1, HEAD->events,
		    HEAD->epoch_number - 1);
}

static int replay_status(struct session *s, const struct session_result *result)
{
	const struct evlog_end *end = evlog_reader_end(s->reader);
	const struct evlog_damage *damage = evlog_reader_damage(s->reader);

	if (s->container.end == CONTAINER_DIVERGED) {
		say_diverged(s);
		return 125;
	}
	if (evlog_reader_state(s->reader) != EVLOG_WHOLE) {
		say(s, "the log is %s: %s, %s, at byte %" PRIu64 "; replayed %" PRIu64 " epochs",
		    evlog_reader_state(s->reader) == EVLOG_DAMAGED ? "damaged" : "incomplete",
		    damage->section, damage->what, damage->offset,
		    evlog_reader_epoch_count(s->reader));
		return 125;
	}
	if (s->container.end != CONTAINER_ENDED)
		return end_status(s);
	if (end->digest != HEAD->digest || end->events != HEAD->events ||
	    end->status != HEAD->exit_status) {
		say(s,
		    "diverged in the last epoch: events %" PRIu64 ", recorded %" PRIu64
		    "; wait status 0x%x, recorded 0x%x",
		    HEAD->events, end->events, HEAD->exit_status, end->status);
		return 125;
	}
	if (!outputs_equal(s, result)) {
		say(s, "diverged: the output differs from the recorded one");
		return 125;
	}
	return status_of(HEAD->exit_status);
}

void session_replay(struct evlog_reader *reader, const struct session_options *options,
		    session_event_fn fn, void *arg, struct session_result *result)
{
	static struct session s;
	const struct evlog_header *header = evlog_reader_header(reader);
	struct session_options o = *options;
	char **argv = calloc(header->argv.count + 1, sizeof(*argv));
	char **env = calloc(header->env.count + 1, sizeof(*env));

	memset(result, 0, sizeof(*result));
	result->status = 125;
	if (argv != NULL && env != NULL) {
		memcpy(argv, header->argv.at, header->argv.count * sizeof(*argv));
		memcpy(env, header->env.at, header->env.count * sizeof(*env));
	}
	o.argv = argv;
	o.env = env;
	o.cwd = header->cwd;
	if (argv == NULL || env == NULL || session_begin(&s, &o) < 0) {
		session_end(&s);
		free(argv);
		free(env);
		return;
	}
	s.reader = reader;
	s.event_fn = fn;
	s.event_arg = arg;
	s.from_log.next = log_next;
	source_local_init(&s.local); /* its signal handling */
	s.from_log.interrupted = s.local.base.interrupted;
	s.container.source = &s.from_log;
	const char *program = evlog_reader_config(reader, "program");
	if (replay_prepare(&s) == 0 &&
	    container_program(&s.container, program != NULL ? program : argv[0], argv, env) == 0 &&
	    execute(&s) == 0) {
		events_drain(&s, &s.container);
		hash_finish(&s, result);
		take_figures(result);
		result->status = replay_status(&s, result);
	}
	session_end(&s);
	if (s.root[0] != '\0')
		nftw(s.root, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(argv);
	free(env);
}

/* ---- figures ---- */

static void stats_json(const struct session_result *r, FILE *out)
{
	const char *comma = "";

	fprintf(out,
		"{\"digest\": \"%016" PRIx64 "\", \"events\": %" PRIu64 ", \"trapped\": %" PRIu64
		", \"by_call\": {",
		r->digest, r->events, r->trapped);
	for (int i = 0; i < SYSCALL_NR_END; i++) {
		if (r->call_count[i] == 0 || syscall_names[i] == NULL)
			continue;
		fprintf(out, "%s\"%s\": {\"events\": %u, \"trapped\": %u, \"refused\": %u}", comma,
			syscall_names[i], r->call_count[i], r->call_trapped[i], r->refused[i]);
		comma = ", ";
	}
	fprintf(out, "}}\n");
}

void session_stats(const struct session_result *r, bool json, FILE *out)
{
	if (json) {
		stats_json(r, out);
		return;
	}
	fprintf(out, "%-24s %12s %12s %12s\n", "call", "events", "trapped", "refused");
	for (int i = 0; i < SYSCALL_NR_END; i++) {
		if (r->call_count[i] != 0 && syscall_names[i] != NULL)
			fprintf(out, "%-24s %12u %12u %12u\n", syscall_names[i], r->call_count[i],
				r->call_trapped[i], r->refused[i]);
	}
	fprintf(out, "%-24s %12" PRIu64 " %12" PRIu64 "\n", "all, with instructions", r->events,
		r->trapped);
	fprintf(out, "digest %016" PRIx64 "\n", r->digest);
}
