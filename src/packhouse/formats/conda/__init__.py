"""The conda format: file names, archives, records, MatchSpecs, shards, repodata."""
