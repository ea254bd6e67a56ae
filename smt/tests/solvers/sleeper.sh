#!/bin/sh
# A solver that says who it is and answers nothing else.
while read -r line; do
    case "$line" in
    *:name* | *:version*) echo '("0")' ;;
    esac
done
