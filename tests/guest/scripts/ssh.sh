# A server with keys of its own, and clients: a command, a status, a copy of a file.
umask 077
ssh-keygen -q -t ed25519 -N '' -f key
ssh-keygen -q -t ed25519 -N '' -f host
mkdir -p /run/sshd
cat >config <<END
Port 22022
ListenAddress 127.0.0.1
HostKey $PWD/host
AuthorizedKeysFile $PWD/key.pub
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
END
/usr/sbin/sshd -D -f "$PWD/config" 2>server.log &
server=$!
options="-i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o LogLevel=ERROR"
until ssh -p 22022 $options 127.0.0.1 true 2>/dev/null; do sleep 0.1; done
echo hello | ssh -p 22022 $options 127.0.0.1 'echo in; tr a-z A-Z'
ssh -p 22022 $options 127.0.0.1 exit 5
echo $?
head -c 500000 /dev/zero >sent
scp -q -P 22022 $options sent 127.0.0.1:"$PWD/received"
cmp sent received
echo $?
kill $server
wait $server
rm -f key key.pub host host.pub config known sent received server.log
