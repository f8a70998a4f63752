"""Brings a model's files onto a disk, from a hub, a bucket, a registry or a URL, and verifies them.

`source` says what a reference means, `listing` asks its place which files that is, `download`
brings one file, `folder` brings them all. `lockgate fetch` runs it, as an init container too.
"""
