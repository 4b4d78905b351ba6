# For redis.sh: values, lists, counters, a background save (fork), a subscriber, many clients.
ask() { redis-cli -p 7379 "$@"; }
ask set name value
ask get name
for i in 1 2 3 4 5; do ask rpush list $i; done
ask lrange list 0 -1
ask eval 'local n = 0 for i = 1, 1000 do n = n + redis.call("incr", "counter") end return n' 0
ask bgsave
until [ "$(ask info persistence | tr -d '\r' | grep rdb_bgsave_in_progress)" = rdb_bgsave_in_progress:0 ]
do sleep 0.01; done
ask --no-raw subscribe news >heard.txt &
until [ "$(ask publish news hello)" = 1 ]; do sleep 0.01; done
kill $!
head -n 3 heard.txt
redis-benchmark -p 7379 -q -n 2000 -c 20 -t set,get,lpush,lrange_100 | tr '\r' '\n' | grep -c requests
ask dbsize
ask info clients | tr -d '\r' | grep connected_clients
rm -f heard.txt
