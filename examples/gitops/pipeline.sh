#!/usr/bin/env bash
# Proves a stack and hands it to Argo CD or Flux: pipeline.sh STACK FOLDER [BASE]
#
# FOLDER is a checkout of the repository that they apply from; BASE the revision of this repository
# that is deployed now, so that what widens is seen. kubectl runs as the pipeline's own account.
set -euo pipefail
stack=$1 folder=$2 base=${3:-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
against=()
if [ -n "$base" ]; then
    git show "$base:stacks/Pulumi.$stack.yaml" > "$work/Pulumi.$stack.yaml"
    against=(--against "$work/Pulumi.$stack.yaml")
fi

# ends here, and nothing is applied, where the policy leaks or widens and nobody accepted that
lockgate plan "$stack" "${against[@]}" --out "$folder/$stack" --admission "$work/admission"

# from now on the cluster takes this policy.json under this name, and no other
kubectl apply -f "$work/admission/proved.yaml"

git -C "$folder" add --all "$stack"
git -C "$folder" diff --cached --quiet || git -C "$folder" commit --quiet -m "$stack: proved"
git -C "$folder" push --quiet
