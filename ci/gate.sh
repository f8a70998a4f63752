#!/bin/sh
# The gate of a change: proves each stack and compares it with what the change starts from.
#
#   ci/gate.sh BASE STACK...      BASE: the revision that the change is made on
#
# Leaves in lockgate-out/: summary.md (verdict, diff and resources of every stack), comment.md (the
# same, cut where a comment would be too long), lockgate.sarif and a picture of each stack, STACK.svg.
# Exit status: the worst of all stacks; 0 good, 1 a leak, 2 refused, 3 a widening not accepted.
set -u
[ $# -ge 2 ] || { echo "usage: $0 BASE STACK..." >&2; exit 2; }
base=$1
shift
lockgate=${LOCKGATE:-.venv/bin/lockgate}
out=lockgate-out
rm -rf "$out"
mkdir "$out" || exit 2
most=60000 # bytes; GitHub takes 65,536 characters a comment
echo '<!-- lockgate -->' > "$out/summary.md"

git rev-parse --quiet --verify "$base^{commit}" > /dev/null \
  || { echo "$0: there is no revision $base here; fetch it first" >&2; exit 2; }

"$lockgate" check --sarif "$out/lockgate.sarif" "$@" > "$out/check.txt" 2>&1
worst=$?

for stack in "$@"; do
  file=stacks/Pulumi.$stack.yaml
  if git cat-file -e "$base:$file" 2> /dev/null; then
    git show "$base:$file" > "$out/base-$stack.yaml"
    "$lockgate" plan "$stack" --against "$out/base-$stack.yaml" --comment "$out/$stack.md"
  else
    "$lockgate" plan "$stack" --comment "$out/$stack.md"
  fi
  status=$?
  [ "$status" -le "$worst" ] || worst=$status
  "$lockgate" graph "$stack" --out "$out/$stack.svg" > /dev/null 2>&1 # no picture of what is refused
  echo >> "$out/summary.md"
  cat "$out/$stack.md" >> "$out/summary.md" || worst=2
done

if [ "$(wc -c < "$out/summary.md")" -gt "$most" ]; then
  head -c "$most" "$out/summary.md" | iconv -c -f UTF-8 -t UTF-8 > "$out/comment.md"
  printf '\n\n... cut: the whole text is in summary.md of this run\n' >> "$out/comment.md"
else
  cp "$out/summary.md" "$out/comment.md"
fi
exit "$worst"
