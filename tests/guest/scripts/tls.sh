# A certificate made here, a server of openssl, and clients of it: two of openssl's, one of curl's.
set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>/dev/null
openssl s_server -accept 127.0.0.1:7443 -key key.pem -cert cert.pem -www -quiet &
server=$!
until printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect localhost:7443 -CAfile cert.pem \
	-servername localhost -quiet -ign_eof >page.html 2>log.txt; do sleep 0.1; done
head -n 1 page.html
grep verify log.txt
echo | openssl s_client -connect localhost:7443 -CAfile cert.pem -tls1_2 2>&1 |
	grep -e 'Verify return code' -e Protocol -e Session-ID:
curl -s --cacert cert.pem https://localhost:7443/ | head -n 2
kill $server
wait $server || true
