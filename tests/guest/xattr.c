/*
 * Extended attributes of the user: setting, reading, listing, removing, the errors. A folder
 * without support for them says so in the same way for all.
 */
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"

static void check_attributes(int fd)
{
	char value[16], names[64];

	CHECK(fgetxattr(fd, "user.a", value, sizeof(value)) == 3 && memcmp(value, "one", 3) == 0);
	CHECK(setxattr("x", "user.b", "two", 3, XATTR_CREATE) == 0);
	CHECK(setxattr("x", "user.b", "2", 1, XATTR_CREATE) == -1 && errno == EEXIST);
	CHECK(setxattr("x", "user.c", "2", 1, XATTR_REPLACE) == -1 && errno == ENODATA);
	CHECK(getxattr("x", "user.b", value, 1) == -1 && errno == ERANGE);
	CHECK(getxattr("x", "user.b", NULL, 0) == 3 && getxattr("x", "user.no", value, 1) == -1);
	CHECK(errno == ENODATA && listxattr("x", names, sizeof(names)) == 14);
	CHECK(removexattr("x", "user.a") == 0 && llistxattr("x", names, sizeof(names)) == 7);
	CHECK(strcmp(names, "user.b") == 0 && fremovexattr(fd, "user.b") == 0);
	CHECK(flistxattr(fd, names, sizeof(names)) == 0);
}

int main(void)
{
	int fd = open("x", O_CREAT | O_RDWR, 0600);

	CHECK(fd >= 0);
	CHECK(getxattr("none", "user.a", NULL, 0) == -1 && errno == ENOENT);
	if (fsetxattr(fd, "user.a", "one", 3, 0) == 0)
		check_attributes(fd);
	else
		CHECK(errno == EOPNOTSUPP);
	CHECK(close(fd) == 0 && unlink("x") == 0);
	printf("xattr ok\n");
	return 0;
}
