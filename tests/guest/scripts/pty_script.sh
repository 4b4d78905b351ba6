# script(1): a shell in a terminal of its own, typed to through a pipe, and what it leaves.
printf 'tty; stty size\necho typed | tr a-z A-Z\nexit 3\n' | script -qe -c 'PS1="> " sh -i' typescript
