#!/bin/sh
# A program that begins an answer.
printf '(:name'
exec sleep 1000
