"""Takes over what other routers are configured with: read with their meanings, written in ours."""
