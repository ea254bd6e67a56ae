#!/bin/sh
# A solver that answers what is no answer.
while read -r line; do
    case "$line" in
    *:name* | *:version* | *check-sat*) echo '("0")' ;;
    esac
done
