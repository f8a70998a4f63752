"""A policy as a picture: where each rule sends its requests, and what crosses into the cloud."""
