"""What computed sentences share."""

from ftlib.reporting import sentence_parts


def test_a_file_that_was_not_recorded_is_none():
    """A notebook outside of the repository has no results/, and must run."""
    assert sentence_parts.recorded("no_such_file.json") is None
