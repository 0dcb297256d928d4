"""Studies: a list of configurations, each with several seeds; their row scores and their report."""
