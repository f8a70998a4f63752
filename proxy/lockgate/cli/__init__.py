"""The command line: run-time verbs here, plan-time ones in `pulumi_lockgate`, by entry points."""
