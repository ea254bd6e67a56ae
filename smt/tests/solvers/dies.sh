#!/bin/sh
# A solver that dies of the first question.
while read -r line; do
    case "$line" in
    *:name* | *:version*) echo '("0")' ;;
    *check-sat*) exit 1 ;;
    esac
done
