"""The verbs that cross nouns."""
