"""The proof of a policy, made before it is deployed and without the runtime's bound."""
