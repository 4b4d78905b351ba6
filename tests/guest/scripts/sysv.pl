# System V IPC as perl has it: a queue, a set of semaphores and a segment between processes.
use strict;
use warnings;
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID S_IRUSR S_IWUSR ftok);
use IPC::Msg;
use IPC::Semaphore;
use IPC::SharedMem;

my $mode = S_IRUSR | S_IWUSR;
my $queue = IPC::Msg->new(IPC_PRIVATE, $mode | IPC_CREAT) or die "queue: $!";
my $sems = IPC::Semaphore->new(IPC_PRIVATE, 2, $mode | IPC_CREAT) or die "semaphores: $!";
my $memory = IPC::SharedMem->new(IPC_PRIVATE, 64, $mode) or die "memory: $!";
$sems->setall(1, 0);
$memory->write(pack('N', 0), 0, 4);

my @children;
for my $child (1 .. 3) {
	my $pid = fork;
	if (!$pid) {
		for (1 .. 20) {
			$sems->op(0, -1, 0) or die "op: $!";
			$memory->write(pack('N', 1 + unpack('N', $memory->read(0, 4))), 0, 4);
			$sems->op(0, 1, 0) or die "op: $!";
		}
		$queue->snd($child, "child $child is done");
		exit 0;
	}
	push @children, $pid;
}
for my $child (3, 1, 2) {
	my $text;
	my $type = $queue->rcv($text, 256, $child);
	print "$type: $text\n";
}
waitpid $_, 0 for @children;
print unpack('N', $memory->read(0, 4)), " ", join(',', $sems->getall), "\n";
print $queue->stat->qnum, " left\n";
$_->remove for $queue, $sems, $memory;
