/*
 * Replays; see session.h.  The configuration is that of the log's header, the root its image, the
 * epochs its own; what the run comes to is compared with what the log says of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_pairs.h"
#include "replay_outputs.h"
#include "session_parts.h"

static void say_not_rebuilt(const struct session *s, int error)
{
	const struct evlog_damage *d = evlog_reader_damage(s->reader);
	const char *why, *path = evlog_reader_differs(s->reader, &why);

	if (error == -ESTALE && path != NULL)
		session_say(s, "%s is not what was recorded, and the log holds no contents: %s",
			    path, why);
	else
		session_say(s, "cannot rebuild the files of the log: %s%s",
			    error == -EBADMSG && d->what != NULL ? d->what : strerror(-error),
			    error == -ENOSPC  ? " (TMPDIR=FOLDER puts them elsewhere)"
			    : error == -EFBIG ? " (64 GiB are the limit)"
					      : "");
}

/* The container is made while the image is unpacked into its root. */
static int rebuild(struct session *s)
{
	s->container.mounts = evlog_reader_config(s->reader, EVLOG_KEY_MOUNTS);
	int error = replay_root_make(s->options->cwd, s->container.mounts, &s->root);

	if (error < 0) {
		say_not_rebuilt(s, error);
		return error;
	}
	s->container.root = s->root.path;
	error = session_prepare(s);
	if (error == 0)
		error = session_told(s, container_mount(&s->container, false));
	if (error < 0)
		return error;
	uint64_t begun = session_now_ns();
	error = replay_root_fill(s->reader, &s->root);
	s->result->image_ns = session_now_ns() - begun;
	if (error < 0)
		say_not_rebuilt(s, error);
	return error;
}

/* A recorded regular file comes from the image, at the offset it stood at. */
static int stdio_open_one(struct session *s, const struct region_stdio *from)
{
	int fd;

	if (from->path[0] != '\0') {
		fd = replay_root_open(&s->root, from->path, (int)from->flags);
	} else {
		fd = memfd_create("stdio", MFD_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	if (fd >= 0 && lseek(fd, (off_t)from->offset, SEEK_SET) < 0) {
		close(fd);
		fd = -ESPIPE;
	}
	return fd;
}

static int not_whole(const struct session *s)
{
	const struct evlog_damage *damage = evlog_reader_damage(s->reader);
	bool damaged = evlog_reader_state(s->reader) == EVLOG_DAMAGED;

	session_say(s,
		    "the log is %s: %s: %s, at byte %" PRIu64 "; replayed %" PRIu64
		    " events, to the end of its last whole epoch",
		    damaged ? "damaged" : "incomplete", damage->section, damage->what,
		    damage->offset, HEAD->events);
	return OUR_FAILURE;
}

static int stdio_open(struct session *s)
{
	static const char *const names[] = {"input", "output", "error"};

	for (int fd = 0; fd < 3; fd++) {
		const struct region_stdio *from = &HEAD->config.stdio[fd];

		if (from->kind != STDIO_FILE)
			continue;
		s->container.stdio_fd[fd] = from->same != (uint32_t)fd
						    ? s->container.stdio_fd[from->same]
						    : stdio_open_one(s, from);
		if (s->container.stdio_fd[fd] < 0) {
			if (evlog_reader_state(s->reader) != EVLOG_WHOLE)
				not_whole(s);
			else
				session_say(s, "the file on standard %s is not in the log",
					    names[fd]);
			return s->container.stdio_fd[fd];
		}
	}
	return 0;
}

static int replay_prepare(struct session *s)
{
	const char *bad;
	int error = config_pairs_parse(s->reader, &HEAD->config, &bad);

	if (error < 0) {
		session_say(s, "the log's configuration is not understood: %s", bad);
		return error;
	}
	session_configure(s);
	HEAD->config.replay = 1;
	error = session_check_baseline(s);
	if (error == 0)
		error = rebuild(s);
	return error < 0 ? error : stdio_open(s);
}

static bool outputs_equal(const struct session *s)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(s->reader, &count);

	for (size_t i = 0; i < count; i++) {
		if (outputs[i].kind != EVLOG_OUTPUT_STREAM)
			continue;
		int k = strcmp(outputs[i].name, "stdout") == 0 ? 0 : 1;
		if (outputs[i].size_bytes != s->streams[k].size_bytes ||
		    memcmp(outputs[i].hash, s->result->output_hash[k], sizeof(outputs[i].hash)) !=
			    0)
			return false;
	}
	return true;
}

/* The chain value of the last 256 events, or the digest of an epoch, is another. */
static int diverged(const struct session *s)
{
	uint64_t last = HEAD->events - HEAD->events % CHAIN_EVENTS;

	s->result->diverged = true;
	if (s->from_log.divergence[0] != '\0')
		session_say(s, "diverged %s", s->from_log.divergence);
	else
		session_say(s, "diverged in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64 ")",
			    last >= CHAIN_EVENTS ? last - CHAIN_EVENTS + 1 : 1, HEAD->events,
			    HEAD->epoch_number - 1);
	return OUR_FAILURE;
}

/* The container has ended at an event, in this way: as the log says? */
static int compare_end(struct session *s, enum evlog_end_kind kind)
{
	const struct evlog_end *end = evlog_reader_end(s->reader);
	int status = session_end_wait_status(kind);

	s->result->diverged = true; /* until all is compared */
	if (end->events != HEAD->events || end->digest != HEAD->digest) {
		session_say(s,
			    "diverged in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64
			    "): it ended after %" PRIu64 " events, recorded %" PRIu64,
			    HEAD->epoch_first_event + 1, HEAD->events, HEAD->epoch_number - 1,
			    HEAD->events, end->events);
		return OUR_FAILURE;
	}
	if (end->status != status || end->kind != kind || end->epochs != HEAD->epoch_number) {
		session_say(s, "diverged at the end: %s, status %d, recorded %s, status %d",
			    evlog_end_kind_name(kind), session_status_of(status),
			    evlog_end_kind_name(end->kind), session_status_of(end->status));
		return OUR_FAILURE;
	}
	if (!outputs_equal(s)) {
		session_say(s, "diverged: the output differs from the recorded one");
		return OUR_FAILURE;
	}
	s->result->diverged = false;
	s->result->as_recorded = true;
	if (kind != EVLOG_END_EXIT && !s->options->quiet)
		session_say(s, "%s", s->container.message);
	return session_status_of(status);
}

/* Final contents of what the program wrote; only a run that ended as recorded is asked. */
static int compare_files(struct session *s)
{
	const char *path = "", *what = "";
	int error = replay_outputs_compare(s->reader, &s->root, session_take_down, s, &path, &what);

	if (error == -EILSEQ)
		session_say(s, "diverged: the written file %s %s", path, what);
	else if (error < 0)
		session_say(s, "cannot compare the written file %s: %s", path, strerror(-error));
	return error;
}

static int files_copy(const struct session *s)
{
	const char *path = s->options->files_to;
	int error = 0, fd = -1;

	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = fd < 0 ? -errno : replay_outputs_copy(s->reader, &s->root, fd, &path);
	if (error < 0)
		session_say(s, "--files-to: %s: %s", path, strerror(-error));
	if (fd >= 0)
		close(fd);
	return error;
}

/* What the program left in the root: compared, and copied out if that is wanted. */
static int replay_files(struct session *s, int status)
{
	enum evlog_end_kind kind;
	bool ended = session_end_kind(s, &kind); /* the region is taken down meanwhile */

	if (s->result->as_recorded && compare_files(s) < 0) {
		s->result->as_recorded = false;
		status = OUR_FAILURE;
	}
	if (s->options->files_to != NULL && ended && files_copy(s) < 0)
		status = OUR_FAILURE;
	return status;
}

/* The log has no more epochs because the run was told to end there. */
static void take_told_end(struct session *s)
{
	const struct evlog_end *end = evlog_reader_end(s->reader);
	struct container *c = &s->container;

	if (c->end != CONTAINER_NO_EPOCH || evlog_reader_state(s->reader) != EVLOG_WHOLE ||
	    (end->kind != EVLOG_END_OUTSIDE && end->kind != EVLOG_END_OUTSIDE_EARLY))
		return;
	c->end = CONTAINER_TOLD;
	strcpy(c->message, "ended from outside");
}

static int replay_status(struct session *s)
{
	enum evlog_end_kind kind;

	take_told_end(s);
	if (s->container.end == CONTAINER_PROBED) {
		s->result->stopped = true;
		return 0;
	}
	if (s->container.end == CONTAINER_DIVERGED)
		return diverged(s);
	if (evlog_reader_state(s->reader) != EVLOG_WHOLE)
		return not_whole(s);
	if (s->container.end == CONTAINER_NO_EPOCH) {
		s->result->diverged = true;
		session_say(s, "diverged after event %" PRIu64 ": the recorded run had ended there",
			    HEAD->events);
		return OUR_FAILURE;
	}
	return session_end_kind(s, &kind) ? compare_end(s, kind) : session_end_status(s);
}

static void replay(struct session *s)
{
	const struct session_options *o = s->options;
	const char *program = evlog_reader_config(s->reader, "program");

	source_log_init(&s->from_log, s->reader);
	s->container.source = &s->from_log.base;
	if (replay_prepare(s) < 0)
		return;
	if (container_program(&s->container, program != NULL ? program : o->argv[0], o->argv,
			      o->env) < 0) {
		session_say(s, "the arguments and the environment are too large");
		return;
	}
	if (session_execute(s) == 0) {
		session_take_figures(s);
		s->result->status = replay_files(s, replay_status(s));
		if (s->result->status == OUR_FAILURE && !s->result->as_recorded &&
		    s->root.changed[0] != '\0')
			session_say(s, "%s was changed by someone outside while it was recorded",
				    s->root.changed);
		session_check_outputs(s);
	}
}

/* A list of the header, with a NULL at its end as main() has it. */
static char **list_make(const struct evlog_strings *strings)
{
	char **list = calloc(strings->count + 1, sizeof(*list));

	if (list != NULL)
		memcpy(list, strings->at, strings->count * sizeof(*list));
	return list;
}

void session_replay(struct evlog_reader *reader, const struct session_options *options,
		    events_fn fn, void *arg, struct session_result *ret_result)
{
	static struct session s;
	const struct evlog_header *header = evlog_reader_header(reader);
	struct session_options o = *options;
	char **argv = list_make(&header->argv), **env = list_make(&header->env);

	o.argv = argv;
	o.env = env;
	o.cwd = header->cwd;
	int error = session_begin(&s, &o, ret_result);
	if (error == 0 && (argv == NULL || env == NULL)) {
		session_say(&s, "not enough memory for the arguments and the environment");
	} else if (error == 0) {
		s.reader = reader;
		s.event_fn = fn;
		s.event_arg = arg;
		replay(&s);
	}
	session_end(&s);
	free(argv);
	free(env);
}
