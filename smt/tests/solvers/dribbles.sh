#!/bin/sh
# A program that prints a line without end, slowly.
while printf 'x'; do sleep 0.2; done
