#!/bin/sh
# The gate of a change: proves each stack and compares it with what the change starts from.
#
#   ci/gate.sh BASE STACK...      BASE: the revision that the change is made on
#
# Leaves in lockgate-out/: summary.md (a table of the stacks, then verdict, diff and resources of each,
# the failing ones first), comment.md (the same, cut where a comment would be too long), what is wrong
# as lockgate.sarif, what widens as STACK.sarif, and a picture of each stack, STACK.svg.
# Where LOCKGATE_RECORDS names a folder, the audit records in its STACK.jsonl are replayed beside each diff.
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
: > "$out/order.txt"

git rev-parse --quiet --verify "$base^{commit}" > /dev/null \
  || { echo "$0: there is no revision $base here; fetch it first" >&2; exit 2; }

"$lockgate" check --sarif "$out/lockgate.sarif" "$@" > "$out/check.txt" 2>&1
worst=$?

for stack in "$@"; do
  file=stacks/Pulumi.$stack.yaml
  records=${LOCKGATE_RECORDS:+$LOCKGATE_RECORDS/$stack.jsonl}
  [ -s "$records" ] || records=
  if git cat-file -e "$base:$file" 2> /dev/null; then
    git show "$base:$file" > "$out/base-$stack.yaml"
    "$lockgate" plan "$stack" --against "$out/base-$stack.yaml" ${records:+--replay "$records"} \
      --comment "$out/$stack.md" --sarif "$out/$stack.sarif"
  else
    "$lockgate" plan "$stack" ${records:+--replay "$records"} --comment "$out/$stack.md"
  fi
  status=$?
  [ "$status" -le "$worst" ] || worst=$status
  "$lockgate" graph "$stack" --out "$out/$stack.svg" > /dev/null 2>&1 # no picture of what is refused
  [ -s "$out/$stack.md" ] || worst=2
  echo "$status $stack" >> "$out/order.txt"
done

row='1s/^### \([^ ]*\) Lockgate, stack \(`.*`\): \(.*\)$/| \1 | \2 | \3 |/p'
stacks=$(sort -s -k1,1nr "$out/order.txt" | cut -d' ' -f2-)
{
  printf '%s\n\n| | stack | verdict |\n| --- | --- | --- |\n' '<!-- lockgate -->'
  for stack in $stacks; do sed -n "$row" "$out/$stack.md"; done
  for stack in $stacks; do echo; cat "$out/$stack.md"; done
} > "$out/summary.md"

if [ "$(wc -c < "$out/summary.md")" -gt "$most" ]; then
  head -c "$most" "$out/summary.md" | iconv -c -f UTF-8 -t UTF-8 > "$out/comment.md"
  printf '\n\n... cut: the whole text is in summary.md of this run\n' >> "$out/comment.md"
else
  cp "$out/summary.md" "$out/comment.md"
fi
exit "$worst"
