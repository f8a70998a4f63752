"""What Pulumi and `lockgate plan` run where a project has no program of its own."""

from pulumi_lockgate.program import deploy

deploy()
