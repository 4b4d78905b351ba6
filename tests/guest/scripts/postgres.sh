# A database server and its clients, who race for the keys of a table; as nobody, who it takes root
# to become.
if [ "$(id -u)" -eq 0 ]; then
	mkdir place && chown 65534:65534 place || exit 99
	exec setpriv --reuid 65534 --regid 65534 --clear-groups sh "$0"
fi
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done
cd place && place=$PWD || exit 99
initdb -D data -A trust -U u --no-instructions --no-sync >initdb.log || exit 98
postgres -D data -k "$place" -c listen_addresses= 2>&1 &
server=$!
ask() { psql -h "$place" -U u -d postgres -Atc "$1"; }
until pg_isready -q -h "$place" -U u -d postgres; do sleep 0.1; done
ask 'create table t (a int primary key, who text)'
clients=
for who in a b c; do
	for i in 1 2 3; do
		ask "insert into t select coalesce(max(a), 0) + 1, '$who' from t" 2>&1
	done &
	clients="$clients $!"
done
wait $clients
ask "select string_agg(who, ' ' order by a), random(), pg_backend_pid(), now() from t"
ask 'select max(md5(i::text)) from generate_series(1, 2000) i'
kill -INT $server
wait $server
