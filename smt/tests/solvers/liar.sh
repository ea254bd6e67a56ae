#!/bin/sh
# Says that there is no model, whatever it is asked.
while read -r line; do
    case $line in
        *"get-info :name"*) echo '(:name "liar")' ;;
        *"get-info :version"*) echo '(:version "1")' ;;
        *check-sat*) echo unsat ;;
    esac
done
