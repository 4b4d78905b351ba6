# redis.sh COMMAND...: a server, the command against it, and the server's end.
redis-server --port 7379 --save '' --daemonize no --logfile redis.log --dir . &
server=$!
until redis-cli -p 7379 ping >ping.txt 2>&1 && grep -q PONG ping.txt; do sleep 0.05; done
"$@"
status=$?
redis-cli -p 7379 shutdown nosave
wait $server
exit $status
