# Background jobs, wait, traps, command substitution, here documents, exit statuses.
trap 'echo trapped' USR1
for i in 1 2 3 4 5; do
  (sleep 0.0$i; echo "job $i"; exit $i) &
done
wait
kill -USR1 $$
echo "pid $$ parent $PPID"
x=$(for i in 3 1 2; do echo $i; done | sort | tr '\n' ,)
echo "sorted $x"
cat <<END | sed 's/a/b/'
a line with $(basename /x/y)
END
sh -c 'exit 7'
echo "status $?"
sh -c 'kill -TERM $$'
echo "status $?"
date +%s.%N
mktemp -u nameXXXXXX
read -r line
echo "read $line"
printf 'to stderr\n' >&2
exit 3
