"""The recipes. `default.yaml` is the course's own recipe; each other file says only what differs from it and why.

These files are the one place where sizes and hyper-parameters are written; `ftlib config --profile NAME` prints the result.
"""
