#!/bin/sh
# A solver that does not say who it is.
while read -r line; do
    case "$line" in
    *:name* | *:version*) echo '(error "line 1 column 10: unsupported info")' ;;
    esac
done
