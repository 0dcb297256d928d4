"""Where text becomes token ids and labels, and examples become fixed-length rows."""
