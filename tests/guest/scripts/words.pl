# Counts words; hash order, time, random numbers, a child and a pipe.
use strict;
use warnings;
my %count;
open(my $in, '<', 'words.txt') or die "words.txt: $!";
while (<$in>) { $count{$_}++ for split; }
my @keys = keys %count;
print scalar(@keys), " words, first in hash order: @keys[0..4]\n";
print "top: ", join(' ', (sort { $count{$b} <=> $count{$a} || $a cmp $b } @keys)[0..4]), "\n";
print "rand ", rand(), " time ", time, " pid $$\n";
my $sum = `printf '1\\n2\\n' | awk '{s += \$1} END {print s}'`;
print "sum $sum";
my $pid = fork;
exit 5 if !$pid;
waitpid $pid, 0;
print "child ended with ", $? >> 8, "\n";
