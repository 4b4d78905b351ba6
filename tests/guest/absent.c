/*
 * Names below directories that do not exist, looked for again and again, and what is there once
 * somebody has made the directory, or a link in its place: one absence must not be taken for
 * another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void look(const char *path)
{
	char text[32] = "";
	struct stat st;
	int fd = open(path, O_RDONLY);
	int open_error = fd < 0 ? errno : 0;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	int look_error = stat(path, &st) < 0 ? errno : 0;
	int link_error = lstat(path, &st) < 0 ? errno : 0;

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	printf("%-12s open %d stat %d lstat %d access %d '%s'\n", path, open_error, look_error,
	       link_error, access(path, R_OK) < 0 ? errno : 0, text);
	if (fd >= 0)
		close(fd);
}

static void look_all(const char *title, const char *const paths[])
{
	printf("-- %s\n", title);
	for (; *paths != NULL; paths++)
		look(*paths);
}

static void make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("%s: %s\n", path, strerror(errno));
	close(fd);
}

static void done(const char *what, int result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

/* The working directory of one process is gone; another of its name is the other's. */
static void another_of_that_name(void)
{
	const char *const gone[] = {"self/none", NULL}, *const new[] = {"self/comm", NULL};

	fflush(stdout);
	for (int second = 0; second < 2; second++) {
		if (fork() == 0) {
			if (second == 0)
				done("mkdir here", mkdir("here", 0700));
			done("chdir here", chdir("here"));
			if (second == 0) {
				done("rmdir here", rmdir("../here"));
				done("mkdir here", mkdir("../here", 0700));
				done("symlink", symlink("/proc/self", "../here/self"));
			}
			look_all(second == 0 ? "the old one" : "the new one",
				 second == 0 ? gone : new);
			exit(0);
		}
		wait(NULL);
	}
}

int main(void)
{
	const char *const first[] = {"gone/a", "gone/b", "gone/l", "gone/sub/c", NULL};
	const char *const way[] = {"way/comm", "way/none", NULL};
	const char *const moved[] = {"new/f", "new/g", "new/l", NULL};
	const char *const linked[] = {"link/x", "link/y", NULL};
	const char *const back[] = {"there/../way/comm", "there/../new/f", "there/../new/none",
				    NULL};
	const char *const system[] = {"/usr/lib/no-such/a", "/usr/lib/no-such/b",
				      "/usr/lib/no-such/c/d", NULL};

	look_all("missing", first);
	done("mkdir gone", mkdir("gone", 0700));
	look_all("empty", first);
	make("gone/b", "second\n");
	done("symlink gone/l", symlink("/proc/self/comm", "gone/l"));
	look_all("filled", first);
	done("unlink", unlink("gone/b") | unlink("gone/l"));
	done("rmdir gone", rmdir("gone"));
	look_all("missing again", first);
	done("mkdir gone/sub", mkdir("gone", 0700) | mkdir("gone/sub", 0700));
	make("gone/sub/c", "third\n");
	look_all("deeper", first);

	look_all("no way", way);
	done("symlink way", symlink("/proc/self", "way"));
	look_all("a way to /proc", way);

	look_all("nothing new", moved);
	done("mkdir old", mkdir("old", 0700));
	make("old/f", "moved\n");
	done("symlink old/l", symlink("/proc/self/comm", "old/l"));
	done("rename", rename("old", "new"));
	look_all("moved there", moved);

	done("symlink link", symlink("target", "link"));
	look_all("dangling", linked);
	done("mkdir target", mkdir("target", 0700));
	make("target/y", "behind a link\n");
	look_all("led", linked);

	look_all("back, from nowhere", back);
	done("mkdir there", mkdir("there", 0700));
	look_all("back, from there", back);
	another_of_that_name();

	look_all("of the system", system);
	look_all("of the system, again", system);
	return 0;
}
