"""The tests, sorted by what they need; a package so that `tests.kit` has one name everywhere."""
