# Compiles a module and runs it.
HOME=$PWD
export HOME
erlc ring.erl && erl -noshell -s ring main
status=$?
rm -f ring.beam .erlang.cookie
exit $status
