"""The plan-time reading of a policy: what it lets happen, without the runtime's bound."""
