"""The command line: run-time verbs here, plan-time ones in components, found as entry points."""
