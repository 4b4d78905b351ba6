/*
 * System V message queues: types, limits, waiting on either side and who is served, removal,
 * signals, errors in their order.
 */
#include <limits.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "children.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
	long type;
	char text[8200];
};

static struct message buffer;

static int queue(void)
{
	int id = msgget(IPC_PRIVATE, 0600);

	CHECK(id >= 0);
	return id;
}

static void remove_queue(int id)
{
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static int put(int id, long type, const char *text, int flags)
{
	struct message m = {.type = type};

	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text), flags);
}

/* What was received is "text", of that type. */
static void take(int id, long wanted, int flags, long type, const char *text)
{
	memset(&buffer, 0, sizeof(buffer));
	CHECK(msgrcv(id, &buffer, 8192, wanted, flags) == (ssize_t)strlen(text));
	CHECK(buffer.type == type && strcmp(buffer.text, text) == 0);
}

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds ds;

	CHECK(msgctl(id, IPC_STAT, &ds) == 0);
	return ds;
}

static key_t fresh_key(void)
{
	static key_t key = 0x5ad20000;

	while (msgget(key, 0) >= 0 || errno != ENOENT)
		key++;
	return key++;
}

static void test_get(void)
{
	key_t key = fresh_key();

	FAILS(msgget(key, 0600), ENOENT);
	int id = msgget(key, IPC_CREAT | 0600);
	CHECK(id >= 0 && msgget(key, 0) == id && msgget(key, IPC_CREAT | 0600) == id);
	FAILS(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	struct msqid_ds ds = stat_of(id);
	CHECK(ds.msg_qbytes == 16384 && ds.msg_qnum == 0 && ds.__msg_cbytes == 0);
	CHECK(ds.msg_stime == 0 && ds.msg_rtime == 0 && ds.msg_lspid == 0 && ds.msg_lrpid == 0);
	CHECK(ds.msg_perm.mode == 0600 && labs(ds.msg_ctime - time(NULL)) <= 1);
	remove_queue(id);
	FAILS(put(id, 1, "x", 0), EINVAL);
}

static void test_errors(void)
{
	int id = queue();
	struct msqid_ds ds;

	FAILS(msgsnd(id, (void *)8, 1, 0), EFAULT);
	FAILS(put(id, 0, "x", 0), EINVAL);
	FAILS(put(id, -1, "x", 0), EINVAL);
	FAILS(put(-1, 1, "x", 0), EINVAL);
	buffer.type = 1;
	FAILS(msgsnd(id, &buffer, 8193, 0), EINVAL);
	FAILS(msgsnd(id, &buffer, (size_t)-1, 0), EINVAL);
	CHECK(msgsnd(id, &buffer, 8192, 0) == 0);
	FAILS(msgrcv(id, &buffer, 8191, 0, 0), E2BIG);
	CHECK(stat_of(id).msg_qnum == 1);
	CHECK(msgrcv(id, &buffer, 100, 0, MSG_NOERROR) == 100); /* the rest is lost */
	CHECK(stat_of(id).msg_qnum == 0 && stat_of(id).__msg_cbytes == 0);
	FAILS(msgrcv(id, &buffer, 100, 0, IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(id, &buffer, (size_t)-1, 0, IPC_NOWAIT), EINVAL);
	FAILS(msgrcv(-1, &buffer, 100, 0, IPC_NOWAIT), EINVAL);
	FAILS(msgrcv(id, &buffer, 100, 0, MSG_COPY), EINVAL);
	FAILS(msgrcv(id, &buffer, 100, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
	CHECK(put(id, 1, "lost", 0) == 0);
	FAILS(msgrcv(id, (void *)8, 100, 0, 0), EFAULT);
	CHECK(stat_of(id).msg_qnum == 0);
	FAILS(msgctl(id, 99, NULL), EINVAL);
	FAILS(msgctl(-1, IPC_STAT, &ds), EINVAL);
	FAILS(msgctl(id, IPC_STAT, (struct msqid_ds *)8), EFAULT);
	FAILS(msgctl(id, IPC_SET, (struct msqid_ds *)8), EFAULT);
	remove_queue(id);
	FAILS(msgctl(id, IPC_RMID, NULL), EINVAL);
}

static void fill(int id)
{
	const long types[] = {5, 3, 7, 3, 1, 9};
	const char *texts[] = {"five", "three", "seven", "three again", "one", "nine"};

	for (int i = 0; i < 6; i++)
		CHECK(put(id, types[i], texts[i], 0) == 0);
}

static void test_types(void)
{
	int id = queue();

	fill(id);
	CHECK(stat_of(id).msg_qnum == 6 && stat_of(id).msg_lspid == getpid());
	take(id, 0, 0, 5, "five");
	take(id, 7, 0, 7, "seven");
	take(id, -4, 0, 1, "one"); /* the lowest */
	take(id, -4, 0, 3, "three");
	take(id, 3, MSG_EXCEPT, 9, "nine");
	take(id, LONG_MIN, 0, 3, "three again");
	FAILS(msgrcv(id, &buffer, 10, 0, IPC_NOWAIT), ENOMSG);
	CHECK(put(id, 4, "", 0) == 0);
	FAILS(msgrcv(id, &buffer, 10, -3, IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(id, &buffer, 10, 4, IPC_NOWAIT | MSG_EXCEPT), ENOMSG);
	take(id, LONG_MAX, MSG_EXCEPT, 4, "");
	CHECK(stat_of(id).msg_lrpid == getpid() && stat_of(id).msg_rtime != 0);
	remove_queue(id);
}

static void test_copy(void)
{
	int id = queue();

	fill(id);
	take(id, 2, MSG_COPY | IPC_NOWAIT, 7, "seven");
	take(id, 2, MSG_COPY | IPC_NOWAIT, 7, "seven");
	FAILS(msgrcv(id, &buffer, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	FAILS(msgrcv(id, &buffer, 2, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR), EINVAL);
	FAILS(msgrcv(id, &buffer, 100, 6, MSG_COPY | IPC_NOWAIT), ENOMSG);
	CHECK(stat_of(id).msg_qnum == 6 && stat_of(id).msg_rtime == 0);
	remove_queue(id);
}

static void test_limits(void)
{
	int id = queue();
	struct msqid_ds ds;

	buffer.type = 1;
	CHECK(msgsnd(id, &buffer, 8192, IPC_NOWAIT) == 0);
	CHECK(msgsnd(id, &buffer, 8192, IPC_NOWAIT) == 0);
	CHECK(msgsnd(id, &buffer, 0, IPC_NOWAIT) == 0); /* bytes are what is counted */
	FAILS(msgsnd(id, &buffer, 1, IPC_NOWAIT), EAGAIN);
	CHECK(stat_of(id).__msg_cbytes == 16384 && stat_of(id).msg_qnum == 3);
	ds = stat_of(id);
	ds.msg_qbytes = 100;
	CHECK(msgctl(id, IPC_SET, &ds) == 0 && stat_of(id).msg_qbytes == 100);
	CHECK(msgrcv(id, &buffer, 8192, 0, 0) == 8192);
	CHECK(msgrcv(id, &buffer, 8192, 0, 0) == 8192);
	CHECK(msgsnd(id, &buffer, 100, IPC_NOWAIT) == 0);
	FAILS(msgsnd(id, &buffer, 1, IPC_NOWAIT), EAGAIN);
	ds.msg_qbytes = 2;
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	CHECK(msgrcv(id, &buffer, 8192, 0, 0) == 0 && msgrcv(id, &buffer, 8192, 0, 0) == 100);
	CHECK(msgsnd(id, &buffer, 0, IPC_NOWAIT) == 0 && msgsnd(id, &buffer, 0, IPC_NOWAIT) == 0);
	FAILS(msgsnd(id, &buffer, 0, IPC_NOWAIT), EAGAIN); /* so many messages, too */
	remove_queue(id);
}

/* A child that receives; its status is the text's first letter, or errno. */
static pid_t receiver(int id, long type, size_t size, int flags)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	ssize_t n = msgrcv(id, &buffer, size, type, flags);
	_exit(n < 0 ? errno : buffer.text[0]);
}

static pid_t sender(int id, size_t size, char letter)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	buffer.type = 1;
	memset(buffer.text, letter, size);
	_exit(msgsnd(id, &buffer, size, 0) ? errno : 0);
}

static void test_receivers(void)
{
	int id = queue();
	pid_t any = receiver(id, 0, 100, 0);
	await_sleep(any);
	pid_t seven = receiver(id, 7, 100, 0);
	await_sleep(seven);
	pid_t small = receiver(id, 8, 2, 0);
	await_sleep(small);
	pid_t low = receiver(id, -8, 100, 0);
	await_sleep(low);

	CHECK(put(id, 7, "a", 0) == 0); /* the oldest that takes it */
	CHECK(status_of(any) == 'a' << 8);
	CHECK(put(id, 8, "bcd", 0) == 0); /* too long for one, and so to the next */
	CHECK(status_of(small) == E2BIG << 8 && status_of(low) == 'b' << 8);
	CHECK(stat_of(id).msg_lrpid == low && stat_of(id).msg_qnum == 0);
	CHECK(put(id, 6, "no", 0) == 0 && put(id, 7, "e", 0) == 0);
	CHECK(status_of(seven) == 'e' << 8 && stat_of(id).msg_qnum == 1);
	remove_queue(id);
}

static void test_senders(void)
{
	int id = queue();

	buffer.type = 1;
	memset(buffer.text, 'x', 8192);
	CHECK(msgsnd(id, &buffer, 8192, 0) == 0 && msgsnd(id, &buffer, 8000, 0) == 0);
	pid_t large = sender(id, 8192, 'l');
	await_sleep(large);
	pid_t small = sender(id, 200, 's');
	await_sleep(small);
	CHECK(stat_of(id).msg_qnum == 2);
	CHECK(msgrcv(id, &buffer, 8192, 0, 0) == 8192);
	CHECK(msgrcv(id, &buffer, 8192, 0, 0) == 8000);
	CHECK(status_of(large) == 0 && status_of(small) == 0);
	CHECK(stat_of(id).msg_qnum == 2 && stat_of(id).__msg_cbytes == 8392);
	remove_queue(id);
}

static void nothing(int signal)
{
	(void)signal;
}

static void test_interruption(void)
{
	struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	int id = queue();

	sigaction(SIGUSR1, &action, NULL);
	pid_t pid = receiver(id, 0, 100, 0);
	await_sleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	pid = receiver(id, 0, 100, 0);
	await_sleep(pid);
	CHECK(kill(pid, SIGKILL) == 0 && status_of(pid) == SIGKILL);
	CHECK(put(id, 1, "kept", 0) == 0 && stat_of(id).msg_qnum == 1);
	take(id, 0, 0, 1, "kept");
	struct msqid_ds ds = stat_of(id);
	ds.msg_qbytes = 10;
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	pid = sender(id, 11, 'x');
	await_sleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	pid = sender(id, 11, 'x');
	await_sleep(pid);
	pid_t other = receiver(id, 5, 100, 0);
	await_sleep(other);
	ds.msg_qbytes = 11; /* the sender looks again */
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	CHECK(status_of(pid) == 0 && stat_of(id).msg_qnum == 1);
	pid = sender(id, 11, 'x');
	await_sleep(pid);
	remove_queue(id);
	CHECK(status_of(pid) == EIDRM << 8 && status_of(other) == EIDRM << 8);
}

static void write_only(int id)
{
	struct msqid_ds ds = {.msg_qbytes = 10};

	CHECK(put(id, 1, "x", 0) == 0);
	FAILS(msgrcv(id, &buffer, 10, 0, 0), EACCES);
	FAILS(msgctl(id, IPC_STAT, &ds), EACCES);
	FAILS(msgctl(id, IPC_SET, &ds), EPERM);
	FAILS(msgctl(id, IPC_RMID, NULL), EPERM);
}

static void own(int id)
{
	struct msqid_ds ds = stat_of(id);

	ds.msg_qbytes = 16385;
	FAILS(msgctl(id, IPC_SET, &ds), EPERM);
	ds.msg_qbytes = 16384;
	CHECK(msgctl(id, IPC_SET, &ds) == 0);
	take(id, 0, 0, 1, "x");
}

static void test_permissions(void)
{
	int id = msgget(IPC_PRIVATE, 0602);

	if (!geteuid()) {
		CHECK(as_somebody(write_only, id) == 0);
		struct msqid_ds ds = stat_of(id);
		ds.msg_perm.uid = 1234;
		ds.msg_perm.mode = 0600;
		CHECK(msgctl(id, IPC_SET, &ds) == 0);
		CHECK(as_somebody(own, id) == 0);
	}
	remove_queue(id);
}

static void test_info(void)
{
	struct msginfo info;
	struct msqid_ds ds;
	int id = queue(), top = msgctl(0, IPC_INFO, (struct msqid_ds *)&info);

	CHECK(top >= 0 && info.msgmax == 8192 && info.msgmnb == 16384 && info.msgmni == 32000);
	CHECK(info.msgpool == 512000 && info.msgmap == 16384 && info.msgssz == 16);
	CHECK(info.msgtql == 16384 && info.msgseg == 65535);
	CHECK(put(id, 1, "12345", 0) == 0);
	CHECK(msgctl(0, MSG_INFO, (struct msqid_ds *)&info) == top);
	CHECK(info.msgpool >= 1 && info.msgmap >= 1 && info.msgtql >= 5);
	CHECK(msgctl(id & 32767, MSG_STAT, &ds) == id && ds.msg_qnum == 1);
	remove_queue(id);
}

int main(void)
{
	test_get();
	test_errors();
	test_types();
	test_copy();
	test_limits();
	test_receivers();
	test_senders();
	test_interruption();
	test_permissions();
	test_info();
	printf("message queues ok\n");
	return 0;
}
