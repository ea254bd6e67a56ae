#!/bin/sh
# A solver that answers the first question of each conversation, and sleeps after it.
while read -r line; do
    case "$line" in
    *:name* | *:version*) echo '("0")' ;;
    *check-sat*) echo sat; exec sleep 1000 ;;
    esac
done
