# A server of many threads, and its client.
mariadb-install-db --user=root --datadir="$PWD/data" --skip-test-db >/dev/null 2>&1
/usr/sbin/mariadbd --no-defaults --user=root --datadir="$PWD/data" --socket="$PWD/socket" \
	--pid-file="$PWD/pid" --skip-networking --log-error="$PWD/log" &
until mariadb-admin -S "$PWD/socket" ping >/dev/null 2>&1; do sleep 0.5; done
mariadb -S "$PWD/socket" -e 'create database x; use x;
	create table t(a int primary key auto_increment, b varchar(40)) engine=innodb;
	insert into t(b) values (uuid()), (now()), (rand()); insert into t(b) select b from t;
	select * from t'
mariadb-admin -S "$PWD/socket" shutdown
wait
rm -rf data log socket pid
