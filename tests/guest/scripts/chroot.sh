# Programs below another root, made of copies; for root only.
[ "$(id -u)" = 0 ] || exit 0
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
mkdir -p jail/bin jail/etc jail/tmp jail/lib64 jail/work/deep
for p in /bin/bash /bin/ls /bin/cat /bin/pwd /bin/readlink /usr/bin/find /bin/cp /bin/mv /bin/rm /bin/ln /usr/bin/stat /usr/bin/realpath /usr/bin/tar /usr/bin/sort /usr/bin/tr; do
	cp "$p" jail/bin/
	ldd "$p" | grep -o "/[^ ]*" | while read -r l; do mkdir -p "jail$(dirname "$l")"; cp -L "$l" "jail$l"; done
done
ln -s bash jail/bin/sh
ln -s /work/deep jail/link
echo inner >jail/etc/name
cat >jail/script <<'X'
#!/bin/sh
echo "script $0 $*"
cd /link && /bin/pwd && pwd -P
ls -a / | tr '\n' ' '; echo
cat /../etc/name ../../../../etc/name
find /work /link -name '*' | sort
cp /etc/name /link/copy && mv /link/copy /tmp/moved && cat /tmp/moved
ln -s /tmp/moved /link/l && realpath /link/l && readlink -f /link/../l /link/l || echo none
stat -c '%n %F' /link /link/ /link/l /bin/sh
tar -C /work -cf /tmp/x.tar . && tar -tf /tmp/x.tar | sort
(cd / && exec -a x /bin/sh -c 'echo $0; /bin/pwd')
cat </etc/none || echo "status $?"
rm -r /tmp/moved /work
ls /link || echo gone
X
chmod 755 jail/script
chroot jail /script a b 2>&1
chroot --userspec=1234:1234 --groups=5,6 jail /bin/sh -c 'echo "$UID $GROUPS"; echo x >/tmp/x || echo denied; cat /etc/name' 2>&1
chroot jail /usr/none || echo "status $?"
rm -rf jail
