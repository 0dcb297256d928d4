"""Find catalog rows by title and question, and attribute sentences to them."""
