#!/bin/sh
# The house in figures: what each room holds, which rooms its objects ask symbols
# of, the widest functions, and where an architecture and an operation are named.
#
#     house.sh [DIR]            a checkout, this one by default; edges need its build/
set -eu
cd "${1:-$(dirname "$0")/..}"
rooms=$(cd src && ls -d */ | tr -d /)

echo "room        files  lines"
for dir in include $(printf 'src/%s ' $rooms) cli tests; do
    find "$dir" \( -name '*.c' -o -name '*.h' \) -exec cat {} + | awk -v room="${dir#src/}" -v files="$(find "$dir" -name '*.[ch]' | wc -l)" 'END { printf "%-10s %6d %6d\n", room, files, NR }'
done

# NAME: the rooms whose symbols its objects ask for.
if [ -d build ]; then
    printf '\nroom -> rooms by the symbols of its objects\n'
    for room in $rooms; do
        for object in $(find build/"$room" build/neon/"$room" build/avx2/"$room" build/avx512/"$room" -name '*.o' 2>/dev/null); do
            source=$(echo "$object" | sed 's:^build/::; s:^avx[0-9]*/::; s:^neon/::; s:^:src/:; s:o$:c:')
            [ ! -f "$source" ] || nm -P -g "$object" | sed "s/^/$room /"
        done
    done | awk -v order="$(echo $rooms)" '{ if ($3 == "U") asked[$1 " " $2]; else at[$2] = $1 }
        END { for (a in asked) { split(a, w, " "); if (w[2] in at && at[w[2]] != w[1]) edge[w[1] " " at[w[2]]] }
              n = split(order, room, " ")
              for (i = 1; i <= n; i++) { line = ""; for (j = 1; j <= n; j++) if ((room[i] " " room[j]) in edge) line = line " " room[j]; if (line) printf "%-7s ->%s\n", room[i], line } }'
fi

# A definition begins at the margin and ends its head with a brace.
printf '\nthe widest functions\nparameters  function\n'
find src cli -name '*.[ch]' -exec awk '
    FNR == 1 { head = "" }
    head == "" && /^[a-z].*\(/ && !/^(typedef|enum|struct|union|for|if|while|else)[ (]/ { head = " " }
    head != "" { head = head " " $0 }
    head != "" && /[;{]/ {
        split(head, part, /[;{]/); text = part[1]; brace = index(head, "{"); stop = index(head, ";"); head = ""
        if (!brace || (stop && stop < brace) || text ~ /=/) next
        depth = 0; count = 1
        for (i = index(text, "("); i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "(") depth++; else if (c == ")" && !--depth) break; else if (c == "," && depth == 1) count++
        }
        name = substr(text, 1, index(text, "(") - 1); sub(/.*[ *]/, "", name)
        printf "%10d  %s (%s)\n", count, name, FILENAME
    }' {} + | sort -k1,1nr -k2 | head -10

printf '\nfiles of src and cli that name an architecture or an operation\n'
for name in llama tokenformer pattention token_shift; do
    files=$(find src cli -name '*.[ch]' -exec grep -liE "(^|[^a-z0-9_])(arch_|op_)?$name([^a-z0-9_]|\$)" {} + | sort)
    printf '%-12s %2d:' "$name" "$(echo "$files" | wc -l)"
    printf ' %s' $files
    echo
done
