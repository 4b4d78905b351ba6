# Archives, made, listed, compared and unpacked.
set -e
tar -cf tree.tar tree
tar -tvf tree.tar | sort
tar -czf tree.tar.gz --sort=name tree
mkdir out
tar -xzf tree.tar.gz -C out
diff -r tree out/tree && echo equal
busybox tar -cf busybox.tar tree
busybox sha256sum busybox.tar tree.tar.gz
busybox find out -type f -size +1k | busybox sort | busybox head -5
