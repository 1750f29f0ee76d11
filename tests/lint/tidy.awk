# Prints what clang-tidy found but for the lines PATH: CHECK of the first file, and says whether anything is left.

NR == FNR { if (!/^#/) accepted[$0]; next }

match($0, /(src|cli)\/[^:]*:[0-9]+:[0-9]+: (warning|error): .*\[/) {
    at = substr($0, RSTART)
    path = at; sub(/:.*/, "", path)
    check = at; sub(/^.*\[/, "", check); sub(/[],].*/, "", check)
    if ((path ": " check) in accepted) used[path ": " check]
    else if (!seen[at]++) { print at; found = 1 }
}

END {
    for (a in accepted) if (!(a in used)) { print "tests/lint/tidy-accepted: " a ": is not found any more"; found = 1 }
    exit found
}
