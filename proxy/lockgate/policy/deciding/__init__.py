"""Decides where a request may go under a policy, and explains the decision."""
