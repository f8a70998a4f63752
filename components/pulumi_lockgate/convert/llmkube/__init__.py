"""LLMKube's ModelRouter manifests."""
