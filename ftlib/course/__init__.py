"""What the exercises of the notebooks need: `check` has a checker for each, `verdict` says what all checkers have in common."""
