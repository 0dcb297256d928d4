"""From a raw file of product rows to a cleaned, deduplicated and split data set."""
