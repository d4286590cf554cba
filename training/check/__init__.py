"""Everything that is wrong with a data set, in words, before any training."""
