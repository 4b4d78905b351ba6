/*
 * Values that inotify takes from counters of the whole machine: the cookie that joins both halves
 * of a rename.
 */
#include <sys/inotify.h>
#include <unistd.h>
#include "check.h"

int main(void)
{
	char buf[4096];
	int in = inotify_init();
	FILE *f = fopen("from", "w");

	CHECK(f && fclose(f) == 0 && inotify_add_watch(in, ".", IN_MOVE) == 1);
	CHECK(rename("from", "to") == 0);
	ssize_t n = read(in, buf, sizeof(buf));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const struct inotify_event *)(buf + at);
		printf("%x %s %u\n", e->mask, e->name, e->cookie);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	CHECK(unlink("to") == 0);
	return 0;
}
