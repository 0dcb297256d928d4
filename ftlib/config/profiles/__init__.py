"""Recipes as YAML: `default.yaml` has every setting, each other file only its differences.

Sizes and hyperparameters are defined nowhere else; `ftlib config --profile NAME` prints the merged result.
"""
