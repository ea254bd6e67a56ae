#!/bin/sh
# A solver that answers the first question that it is asked, and no other.
asked=no
while read -r line; do
    case "$line $asked" in
    *:name* | *:version*) echo '("0")' ;;
    *check-sat*no) echo unsat; asked=yes ;;
    esac
done
