"""The workshop: what makes and checks the course itself. Nothing at the top of `ftlib` imports from here."""
