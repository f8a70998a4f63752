"""Imports LLMKube's ModelRouter manifests."""
