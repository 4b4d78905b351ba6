/*
 * first_uses CASE: what a program sees of files that were there before it, when the names that it
 * comes by have moved, led elsewhere or failed meanwhile: all of it must be in the image.  Each
 * case wants the tree of tests/e2e/first-uses anew, since only the first use of a file asks the
 * host.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void told(const char *what, int result)
{
	printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void text_at(int dir, const char *path)
{
	char text[64] = "";
	int fd = openat(dir, path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	printf("%s: %s '%.*s'\n", path, n < 0 ? strerrorname_np(errno) : "is", (int)n, text);
	if (fd >= 0)
		close(fd);
}

static void text(const char *path)
{
	text_at(AT_FDCWD, path);
}

static void led(const char *path)
{
	char target[64];
	ssize_t n = readlink(path, target, sizeof(target));

	printf("%s -> %.*s\n", path, n < 0 ? 0 : (int)n, target);
}

static void list(int fd)
{
	struct dirent **names;
	int n = scandirat(fd, ".", &names, NULL, alphasort);

	CHECK(n >= 0);
	for (int i = 0; i < n; i++)
		printf(" %s", names[i]->d_name);
	printf("\n");
}

static int folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0);
	return fd;
}

static void make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	told(path, fd);
	if (fd >= 0)
		CHECK(write(fd, "made\n", 5) == 5 && close(fd) == 0);
}

static void led_elsewhere(void)
{
	text("link/f");
	CHECK(unlink("link") == 0 && symlink("other", "link") == 0);
	text("link/f");
}

static void opened_by_what_is_gone(void)
{
	int dir = folder("link");

	CHECK(unlink("link") == 0);
	text_at(dir, "f");
	text_at(dir, "sub/g");
}

static void listed_by_what_is_gone(void)
{
	int dir = folder("link");

	CHECK(rename("link", "moved") == 0);
	list(dir);
}

static void two_of_one_name(void)
{
	int dir = folder("link"), other;

	CHECK(unlink("link") == 0 && symlink("other", "link") == 0);
	other = folder("link");
	text_at(dir, "f");
	text_at(other, "f");
}

static void written_by_what_is_gone(void)
{
	int fd = open("link/f", O_WRONLY | O_APPEND);

	CHECK(fd >= 0 && unlink("link") == 0 && write(fd, "more\n", 5) == 5);
	text("dir/f");
}

static void left_back(void)
{
	int dir = folder("dir");

	CHECK(mkdir("made", 0700) == 0 && fchdir(dir) == 0);
	CHECK(rename("../made", "../made2") == 0);
	text("../other/f");
	CHECK(chdir("../made2") == 0 && rmdir("../made2") == 0);
	text("../f");
}

static void removed(void)
{
	told("rmdir dir", rmdir("dir"));
}

static void replaced(void)
{
	told("mkdir made", mkdir("made", 0700));
	told("rename made dir", rename("made", "dir"));
}

static void not_removed(void)
{
	told("rmdir f", rmdir("f"));
	text("f");
}

static void not_replaced(void)
{
	told("mkdir made", mkdir("made", 0700));
	told("rename made f", rename("made", "f"));
	text("f");
}

/* Inode numbers count up by first sight, and a recording sees no more than the program. */
static void seen_by_nobody(void)
{
	struct stat st;
	int fd = open("dir/f", O_WRONLY | O_TRUNC);

	CHECK(fd >= 0 && truncate("other/f", 0) == 0);
	CHECK(stat("f", &st) == 0 && stat("dir", &st) == 0 && stat("other", &st) == 0);
}

static void no_names(void)
{
	told("rmdir .", rmdir("."));
	told("mkdir other/.", mkdir("other/.", 0700));
	list(folder("."));
	list(folder("other"));
}

static void dangling(void)
{
	told("open loose/", open("loose/", O_RDONLY));
	told("mkdir loose2/.", mkdir("loose2/.", 0700));
	led("loose");
	led("loose2");
	make("loose");
	make("loose2");
}

static void known_by_another_way(void)
{
	make("dir/new");
	make("link/new2");
	told("mkdir link/new3", mkdir("link/new3", 0700));
}

static void own_by_a_link(void)
{
	CHECK(mkdir("made", 0700) == 0);
	make("made/x");
	text("into/x");
	text("file");
}

static void own_file_by_a_link(void)
{
	make("nowhere");
	text("loose");
}

static void made_on_the_way(void)
{
	CHECK(mkdir("made", 0700) == 0);
	text("back/f");
	text("made/../other/f");
	CHECK(rmdir("made") == 0);
}

static void passed_by(void)
{
	CHECK(symlink("dir", "own") == 0);
	text("dir/sub/../f");
	text("own/../other/sub/../f");
}

static void slashed(void)
{
	make("slashed");
	make("sealed/slashed");
	make("loop");
	told("excl", open("slashed", O_WRONLY | O_CREAT | O_EXCL, 0600));
	text("f");
}

/* Without a look at what they are, and in no order. */
static void names_of(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			puts(entry->d_name);
	}
}

static void not_searchable(void)
{
	CHECK(symlink("dir", "own") == 0);
	names_of(folder("unsearchable"));
}

static void from_where_nothing_is_searched(void)
{
	int dir = folder("dir"), other = folder("other"), fd;

	CHECK(symlink("dir", "own") == 0 && mkdir("made", 0700) == 0);
	CHECK(chdir("made") == 0 && chmod(".", 0) == 0);
	text_at(dir, "f");
	text_at(dir, "../f");
	text_at(other, "none");
	fd = openat(other, "new", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "made\n", 5) == 5 && unlinkat(other, "f", 0) == 0);
	list(other);
}

static void written_alone(void)
{
	struct stat st;

	told("open f", open("f", O_WRONLY));
	CHECK(stat("f", &st) == 0);
	printf("%ld bytes\n", (long)st.st_size);
}

static void never_readable(void)
{
	int fd = open("writable", O_WRONLY | O_APPEND);

	CHECK(fd >= 0 && write(fd, "more\n", 5) == 5);
	told("truncate", truncate("writable2", 3));
	told("rename", rename("writable3", "moved"));
	told("open", open("writable", O_WRONLY));
	told("open", open("writable2", O_WRONLY));
	told("open", open("moved", O_WRONLY));
}

static void written_by_links(void)
{
	CHECK(truncate("link/f", 2) == 0 && unlink("link") == 0);
	text("dir/f");
}

static void removed_below(void)
{
	CHECK(mkdir("made", 0700) == 0 && chdir("made") == 0 && rmdir("../made") == 0);
	text("./../f");
	text("././/.././dir/./../other/f");
	CHECK(chdir("..") == 0 && mkdir("made", 0700) == 0 && mkdir("made/sub", 0700) == 0);
	CHECK(chdir("made/sub") == 0 && rmdir("../sub") == 0 && rmdir("../../made") == 0);
	text(".././../dir/f");
}

/* The capture has a lot to do when the directory goes that its way leads through. */
static void failed_on_the_way(void)
{
	char name[32];

	make("new");
	for (int i = 0; i < 600; i++) {
		sprintf(name, "many/%c%c", 'a' + i / 26, 'a' + i % 26);
		int fd = open(name, O_RDONLY);
		CHECK(fd >= 0 && close(fd) == 0);
	}
	CHECK(mkdir("made", 0700) == 0);
	text("back/f/x");
	CHECK(rmdir("made") == 0);
}

static void shown(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	printf("%s: %o, %ld names, %ld bytes\n", path, st.st_mode, (long)st.st_nlink,
	       (long)st.st_size);
}

/* What is seen first of some names of a file is what another one has made of it. */
static void cut_by_another_name(void)
{
	text("f");
	CHECK(truncate("f", 1) == 0 && chmod("f", 0640) == 0);
	CHECK(rename("dir", "moved") == 0);
	text("other/too/x");
	shown("moved/too");
	text("moved/too");
}

/* Of a file that has got a name by the program those that it had are still to be found. */
static void other_names(void)
{
	CHECK(link("f", "mine") == 0 && rename("f", "moved") == 0);
	text("other/too/x");
	text("dir/too");
	CHECK(unlink("dir/too") == 0);
	text("mine");
	text("moved");
	shown("other/too");
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"led_elsewhere", led_elsewhere},
	{"opened_by_what_is_gone", opened_by_what_is_gone},
	{"listed_by_what_is_gone", listed_by_what_is_gone},
	{"two_of_one_name", two_of_one_name},
	{"written_by_what_is_gone", written_by_what_is_gone},
	{"left_back", left_back},
	{"removed", removed},
	{"replaced", replaced},
	{"not_removed", not_removed},
	{"not_replaced", not_replaced},
	{"seen_by_nobody", seen_by_nobody},
	{"no_names", no_names},
	{"dangling", dangling},
	{"known_by_another_way", known_by_another_way},
	{"own_by_a_link", own_by_a_link},
	{"own_file_by_a_link", own_file_by_a_link},
	{"made_on_the_way", made_on_the_way},
	{"passed_by", passed_by},
	{"slashed", slashed},
	{"not_searchable", not_searchable},
	{"from_where_nothing_is_searched", from_where_nothing_is_searched},
	{"written_alone", written_alone},
	{"never_readable", never_readable},
	{"written_by_links", written_by_links},
	{"removed_below", removed_below},
	{"failed_on_the_way", failed_on_the_way},
	{"cut_by_another_name", cut_by_another_name},
	{"other_names", other_names},
};

/* Without a case: names them. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (argc < 2)
			puts(cases[i].name);
		else if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	}
	return 0;
}
