"""The laboratory: studies (a list of configurations, each with several seeds), their scores and their report.

Why a room of its own: the modules at the top of `ftlib` are the course's story, and none of them needs this one.
"""
