#!/bin/sh
# A solver that answers with an error over two lines where nothing is asserted, and with a verdict of its own behind it;
# otherwise with `sat`, and that there is no model.
asserted=no
while read -r line; do
    case "$line $asserted" in
    *:name* | *:version*) echo '("0")' ;;
    *"(assert "*) asserted=yes ;;
    *check-sat*yes) echo sat ;;
    *check-sat*no) printf '(error "line 1 column 2: out\n(of memory"", it says")\nunsat\nunsat\n' ;;
    *get-value*) echo '(error "model (is not available")' ;;
    esac
done
