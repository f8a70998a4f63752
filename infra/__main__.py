"""This repository's Pulumi program: the one that the package ships, on the stacks in stacks/."""

from pulumi_lockgate.program import deploy

deploy()
