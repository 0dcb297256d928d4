"""The demo: what a reader types into. Nothing at the top of `ftlib` imports from here."""
