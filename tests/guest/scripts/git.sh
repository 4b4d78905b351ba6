# A repository from its beginning to its clean-up; identities of commits follow from virtual time.
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
git init -q -b main repository
cd repository
for round in 1 2 3; do
	for file in a b c d; do
		seq $((round * 100)) | sed "s/^/$file /" >$file.txt
	done
	git add .
	git commit -q -m "round $round"
done
git checkout -q -b side HEAD~1
echo side >side.txt
git add side.txt
git commit -q -m side
git merge -q -m merged main
git tag -a -m tagged v1
git log --format='%H %ct %s'
git gc -q --prune=now
git fsck --full
git count-objects -v
git clone -q . ../copy
git -C ../copy log -1 --format=%H
