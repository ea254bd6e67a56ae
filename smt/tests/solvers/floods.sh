#!/bin/sh
# A solver that says who it is unasked, and then prints a line without end, reading nothing.
printf '("0")\n("0")\n'
exec cat /dev/zero
