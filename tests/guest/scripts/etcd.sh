# A cluster of three: writes through one, reads through another, the first is killed, writes again.
export ETCDCTL_API=3
members=a=http://127.0.0.1:23800,b=http://127.0.0.1:23801,c=http://127.0.0.1:23802
number=0
for name in a b c; do
	etcd --name $name --data-dir $name.data --initial-cluster $members \
		--listen-client-urls http://127.0.0.1:2379$number \
		--advertise-client-urls http://127.0.0.1:2379$number \
		--listen-peer-urls http://127.0.0.1:2380$number \
		--initial-advertise-peer-urls http://127.0.0.1:2380$number >$name.log 2>&1 &
	servers="$servers $!"
	number=$((number + 1))
done
set -- $servers
all=--endpoints=http://127.0.0.1:23790,http://127.0.0.1:23791,http://127.0.0.1:23792
rest=--endpoints=http://127.0.0.1:23791,http://127.0.0.1:23792
until etcdctl $all endpoint health >/dev/null 2>&1; do sleep 0.3; done
for key in 1 2 3 4 5; do etcdctl $all put key$key $key; done
etcdctl --endpoints=http://127.0.0.1:23792 get --prefix key
kill -9 $1
wait $1
until etcdctl $rest put last 6 2>/dev/null; do sleep 0.3; done
etcdctl --endpoints=http://127.0.0.1:23792 get last
kill $2 $3
wait $2 $3
rm -rf a.data b.data c.data a.log b.log c.log
