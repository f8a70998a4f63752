"""From a request and a policy to a decision that explains itself."""
