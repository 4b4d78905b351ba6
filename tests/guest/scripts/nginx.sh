# A server of two processes before another one, and clients at once.
cat >nginx.conf <<'END'
worker_processes 2;
daemon off;
pid nginx.pid;
error_log error.log;
events { worker_connections 64; }
http {
	access_log access.log;
	client_body_temp_path t1;
	proxy_temp_path t2;
	fastcgi_temp_path t3;
	uwsgi_temp_path t4;
	scgi_temp_path t5;
	server {
		listen 127.0.0.1:18080;
		root .;
		location /before/ { proxy_pass http://127.0.0.1:18081/; }
	}
	server {
		listen 127.0.0.1:18081;
		location / { return 200 "behind\n"; }
	}
}
END
chmod 755 .
echo hello >file.txt
/usr/sbin/nginx -p "$PWD" -c nginx.conf 2>/dev/null &
until curl -s http://127.0.0.1:18080/file.txt; do sleep 0.1; done
curl -s http://127.0.0.1:18080/before/
ab -q -n 200 -c 8 http://127.0.0.1:18080/file.txt | grep -E 'Complete|Failed'
ab -q -n 100 -c 8 http://127.0.0.1:18080/before/x | grep -E 'Complete|Failed'
kill $!
wait
sort access.log | wc -l
rm -rf t? nginx.conf error.log access.log file.txt
