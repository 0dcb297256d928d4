"""Render results: tables, figures and the HTML report."""
