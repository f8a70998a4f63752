"""Policy tests as data: a request, and what a policy must make of it."""
