#!/bin/sh
# A solver that says who it is unasked, closes its input, and stays.
printf '("0")\n("0")\n'
exec sleep 1000 <&-
