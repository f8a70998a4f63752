"""What a policy means: spec types, loading, labels, patterns, decide, digest. Pure."""
