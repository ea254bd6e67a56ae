#!/bin/sh
# A program that neither reads nor says anything.
exec sleep 1000
