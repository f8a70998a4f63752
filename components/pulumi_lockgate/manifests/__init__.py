"""Kubernetes manifests as plain dicts, built by pure functions."""
