# Adds up what `gcov --branch-probabilities --branch-counts --stdout` says of all objects: lines of each room, and
# branches of the readers.  Two files come first: `readers`, lines of a folder and the files in it, and `unreached`,
# lines of PATH: TEXT, branches in lines that have TEXT and that nothing can reach, with their reasons as comments.
# The readers' lines with branches that were not taken, which nothing excuses, go to the file MISSED.

FILENAME ~ /readers$/   { if (!/^#/) for (i = 2; i <= NF; i++) readers[$1 "/" $i ".c"] = 0; next }
FILENAME ~ /unreached$/ { if (!/^#/ && (at = index($0, ": "))) { excused_file[++excuses] = substr($0, 1, at - 1); excused_text[excuses] = substr($0, at + 2) }; next }

match($0, /^ *-: *0:Source:/) { path = substr($0, RSTART + RLENGTH); sub(/^.*\/src\//, "src/", path); next }
path !~ /^src\//              { next }

match($0, /^ *[-#=0-9*]+: *[0-9]+:/) {
    split($0, field, ":")
    line = path ":" field[2] + 0
    text[line] = substr($0, RSTART + RLENGTH)
    if (field[1] ~ /-/) { branch = -1; next }
    lines[line] = lines[line] || field[1] ~ /[1-9]/
    branch = 0
    next
}

/^branch / && branch >= 0 { b = line "#" branch++; branches[b] = branches[b] || (/ taken / && !/ taken 0/) }

function is_excused(path, text,   i) { for (i = 1; i <= excuses; i++) if (path == excused_file[i] && index(text, excused_text[i])) { used[i] = 1; return 1 }; return 0 }
function percent(n, of) { return of ? sprintf("%6.2f %%  %d of %d", 100 * n / of, n, of) : "-" }

END {
    for (line in lines) {
        room = line; sub(/^src\//, "", room); sub(/\/.*/, "", room)
        total[room]++; reached[room] += lines[line]; all++; all_reached += lines[line]
    }
    for (b in branches) {
        line = b; sub(/#.*/, "", line); path = line; sub(/:.*/, "", path)
        every++; every_taken += branches[b]
        if (!(path in readers)) continue
        readers[path]++
        if (branches[b]) { known++; taken++; file_known[path]++; file_taken[path]++ }
        else if (is_excused(path, text[line])) left_out++
        else { known++; file_known[path]++; missed[line]++ }
    }
    for (room in total) printf "  %-10s %s lines\n", room, percent(reached[room], total[room]) | "sort"
    close("sort")
    printf "library     %s lines, %s branches\n", percent(all_reached, all), percent(every_taken, every)
    printf "readers     %s branches, %d more are left out as unreachable\n", percent(taken, known), left_out
    for (line in missed) printf "%s: %d %s\n", line, missed[line], text[line] | ("sort -t: -k1,1 -k2,2n > " MISSED)
    for (path in file_known) printf "%7.2f %s %d\n", 100 * file_taken[path] / file_known[path], path, file_known[path] - file_taken[path] | ("sort -n > " MISSED ".files")
    for (path in readers) if (!readers[path]) print "readers: no branch is counted in " path
    for (i = 1; i <= excuses; i++) if (!used[i]) printf "unreached: nothing is left out by: %s: %s\n", excused_file[i], excused_text[i]
}
