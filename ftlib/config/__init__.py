"""One validated configuration for the whole pipeline, with profiles as YAML files."""
