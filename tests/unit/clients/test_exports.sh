#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libweir.so shows the functions of its headers and nothing else. Arguments: the library, the folder of headers.
set -eu
shown=$(nm -D --defined-only "$1" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort)
declared=$(cat "$2"/*.h | grep -o 'weir_[a-z_]*(' | tr -d '(' | sort -u)
echo "1..2"
foreign=$(echo "$shown" | grep -v '^weir_' || true)
[ -z "$foreign" ] && echo "ok 1 - only weir_* is exported" || { echo "not ok 1 - only weir_* is exported"; echo "# $foreign"; }
missing=""
for name in $(echo "$shown"); do
    echo "$declared" | grep -qx "$name" || missing="$missing $name"
done
for name in $(cat "$2"/*.h | tr '\n' ' ' | grep -o 'WEIR_API [^;(]*weir_[a-z_]*(' | grep -o 'weir_[a-z_]*($' | tr -d '('); do
    echo "$shown" | grep -qx "$name" || missing="$missing $name"
done
[ -z "$missing" ] && echo "ok 2 - exports and headers agree" || { echo "not ok 2 - exports and headers agree"; echo "#$missing"; }
