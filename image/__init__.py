"""Makes the container images without a daemon: Debian packages, hashed wheels, our own wheel.

`debian` and `lock` say which packages and bring them, `layers` makes folders of them, `oci` an
image of the folders, `bom` a list of what is inside, `__main__` is the command. The Dockerfile
beside this runs the same code, so that both ways give the same files.
"""
