"""The command line: run-time commands here, plan-time ones in `pulumi_lockgate`."""
