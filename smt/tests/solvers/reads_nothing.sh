#!/bin/sh
# A solver that says who it is unasked, and then reads nothing.
printf '("0")\n("0")\n'
exec sleep 1000
