# 100 pipelines of three short processes, and a sort of what they say; for sh and bash.
i=0
while [ $i -lt 100 ]; do
  /bin/echo line $i | tr 0-9 a-j | cut -c1-8
  i=$((i+1))
done | sort | md5sum
