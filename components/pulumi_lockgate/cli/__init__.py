"""The plan-time verbs."""
