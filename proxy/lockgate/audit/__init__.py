"""The audit record of each request, how it is written, and its replay."""
