# rsync, its processes joined by socket pairs: a copy, then what changed.
set -e
rsync -a tree/ copy/
diff -r tree copy && echo equal
echo changed >tree/d1/f1
rm -r tree/d2
rsync -a --delete --itemize-changes tree/ copy/ | cut -c 13-
diff -r tree copy && echo equal
