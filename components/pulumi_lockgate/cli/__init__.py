"""The commands of plan time: check, plan, diff, graph, test, import, demo."""
