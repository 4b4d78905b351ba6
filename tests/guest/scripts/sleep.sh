# Sleeps an hour; time is virtual, so nobody waits.
before=$(date +%s)
sleep 3600
after=$(date +%s)
echo "slept $((after - before))"
